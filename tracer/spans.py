"""From the model of a run to its spans: which there are, their ids, parents, names and outcome.

The live tracer and `spans_of` (import, backfill) both come here, so that they agree. Nothing here
touches OpenTelemetry: a `SpanRecord` is data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tracer._attributes import TEXTS, branch_values, contents, failure_attributes, step_attributes
from tracer._attributes import Value as Value
from tracer.branches.points import Branch, BranchKind
from tracer.context import SpanRef, caller_of, predecessor_of, trace_id_of
from tracer.identity import span_id
from tracer.limits import Limit, Limits, Use
from tracer.model.words import (
    Failure,
    Outcome,
    Payload,
    Query,
    Run,
    RunStatus,
    Signal,
    Step,
    StepKind,
    TaskFailureKind,
    Update,
    Wait,
    WorkflowTask,
)
from tracer.names import PLAIN, SpanKind
from tracer.names import Attribute as A
from tracer.settings import DEFAULT_SETTINGS, SpanSettings

_ERRORS = frozenset({Outcome.FAILED, Outcome.TIMED_OUT})
_FAILED_RUNS = frozenset({RunStatus.FAILED, RunStatus.TIMED_OUT})

STEP_SPANS: Final = {
    StepKind.ACTIVITY: SpanKind.STEP,
    StepKind.LOCAL_ACTIVITY: SpanKind.LOCAL,
    StepKind.CHILD_WORKFLOW: SpanKind.CHILD,
    StepKind.NEXUS_OPERATION: SpanKind.NEXUS,
    StepKind.TIMER: SpanKind.TIMER,
    StepKind.SIGNAL_EXTERNAL: SpanKind.EXTERNAL,
    StepKind.CANCEL_EXTERNAL: SpanKind.EXTERNAL,
}
"""The span that stands for a step, by its kind."""


@dataclass(slots=True)
class SpanRecord:
    """One finished span; of a live one, what is known so far."""

    trace_id: int
    span_id: int
    parent: SpanRef | None
    kind: SpanKind
    name: str
    start_ns: int
    end_ns: int
    is_error: bool
    status_message: str
    attributes: dict[str, Value]
    links: tuple[SpanRef, ...] = field(default=())
    sampled: bool = True
    """Whether it is recorded; if not, it only counts in metrics."""


class RunSpans:
    """Makes the spans of one run."""

    def __init__(
        self, run: Run, settings: SpanSettings = DEFAULT_SETTINGS, tenant: str | None = None
    ) -> None:
        """Prepare for a run.

        Args:
            run: The run, which may go on.
            settings: What its spans tell.
            tenant: Whom it is for, if the run itself does not know.
        """
        self._run = run
        self._content = settings.content
        self._limits = settings.limits
        self.tenant = tenant
        """May change as the run goes on."""
        if tenant is None and settings.tenant is not None:
            self.tenant = settings.tenant.of_run(run)
        self.sampled = True
        self.trace_id = trace_id_of(run.key.run_id, run.headers)
        self.root = SpanRef(self.trace_id, span_id(run.key.run_id, SpanKind.RUN, ""))
        """The run's anchor: parent of everything that the run did."""
        self._step_refs: dict[int, SpanRef] = {}
        """Of steps that were asked for and not told yet, by `Step.seq`."""
        self._of_run: dict[str, Value] = {
            A.WORKFLOW_ID.value: run.key.workflow_id,
            A.RUN_ID.value: run.key.run_id,
            A.NAMESPACE.value: run.key.namespace,
            A.WORKFLOW_TYPE.value: run.workflow_type,
        }

    def anchor(self) -> SpanRecord:
        """`run {type}`: exported at once, so that children never miss their parent."""
        run = self._run
        attributes = self._attributes(
            {A.TASK_QUEUE: run.task_queue, A.WORKFLOW_ATTEMPT: run.attempt}
        )
        if run.parent:
            attributes[A.PARENT_WORKFLOW_ID] = run.parent.workflow_id
        if run.continued_from_run_id:
            attributes[A.CONTINUED_FROM] = run.continued_from_run_id
        start = run.started_at or 0
        return self._record(
            SpanKind.RUN,
            "",
            1,
            f"run {run.workflow_type}",
            start,
            start,
            attributes,
            parent=caller_of(run.headers),
            links=self._predecessors(),
        )

    def _predecessors(self) -> tuple[SpanRef, ...]:
        run = self._run
        continued = predecessor_of(run.headers)
        if continued is not None:
            return (continued,)
        if run.original_run_id in ("", run.key.run_id):
            return ()
        original = run.original_run_id
        trace_id = trace_id_of(original, run.headers)
        return (SpanRef(trace_id, span_id(original, SpanKind.RUN, "")),)

    def workflow(self, loops: tuple[str, ...] = ()) -> SpanRecord:
        """`workflow {type}` of a run that ended.

        Args:
            loops: What its code's loops did, where a worker looked.
        """
        run = self._run
        result = run.result if run.status is RunStatus.COMPLETED else ()
        return self._record(
            SpanKind.WORKFLOW,
            "",
            1,
            f"workflow {run.workflow_type}",
            run.started_at or 0,
            run.closed_at or run.started_at or 0,
            self._attributes(
                {
                    A.WORKFLOW_STATUS: run.status.value,
                    A.TASK_QUEUE: run.task_queue,
                    A.INPUT_BYTES: run.input_bytes,
                    A.RESULT_BYTES: run.result_bytes,
                    A.PATCHES: ",".join(dict.fromkeys(patch.id for patch in run.patches)),
                    **self._contents(run.input, result),
                    **({A.LOOPS: loops} if loops else {}),
                    **self._history_limits(),
                }
            ),
            is_error=run.status in _FAILED_RUNS,
            failure=run.failure,
        )

    def step_ref(self, step: Step) -> SpanRef:
        """The span of a step, known as soon as the step is: attempts and children nest under it."""
        ref = self._step_refs.get(step.seq)
        if ref is None:
            kind = TEXTS[STEP_SPANS[step.kind]]
            number = span_id(self._run.key.run_id, kind, step.id, step.occurrence)
            ref = self._step_refs[step.seq] = SpanRef(self.trace_id, number, self.sampled)
        return ref

    def step(self, step: Step) -> SpanRecord:
        """The span of a step that was answered, or that was open when the run ended."""
        kind = STEP_SPANS[step.kind]
        closed_at = self._run.closed_at if step.is_open else step.closed_at
        result = step.result if step.outcome is Outcome.COMPLETED else ()
        shown = self._contents(step.input, result) if step.input or result else {}
        attributes = self._attributes(shown, step_attributes(step))
        self._add_payload_limit(attributes, max(step.input_bytes, step.result_bytes))
        ref = self.step_ref(step)
        del self._step_refs[step.seq]
        return self._record(
            kind,
            step.id,
            step.occurrence,
            TEXTS[kind] if kind is SpanKind.TIMER else f"{TEXTS[kind]} {step.name}",
            step.scheduled_at,
            closed_at or step.scheduled_at,
            attributes,
            is_error=step.outcome in _ERRORS,
            # A cancellation is what the workflow asked for; its details differ with who tells it.
            failure=None if step.outcome is Outcome.CANCELED else step.failure,
            links=self._causes(step),
            number=ref.span_id,
        )

    def _causes(self, step: Step) -> tuple[SpanRef, ...]:
        """The signal or update whose handler asked for the step."""
        if step.caused_by_signal is None and not step.caused_by_update_id:
            return ()
        causes = []
        if step.caused_by_signal is not None:
            causes.append((SpanKind.SIGNAL, *step.caused_by_signal))
        if step.caused_by_update_id:
            causes.append((SpanKind.UPDATE, step.caused_by_update_id, 1))
        run_id = self._run.key.run_id
        return tuple(SpanRef(self.trace_id, span_id(run_id, *cause)) for cause in causes)

    def wait(self, wait: Wait) -> SpanRecord:
        """The span of a wait that ended."""
        return self._record(
            SpanKind.WAIT,
            str(wait.task_event_id),
            1,
            f"wait {wait.label}".rstrip(),
            wait.opened_at,
            wait.closed_at or wait.opened_at,
            self._attributes(
                {
                    A.WAIT_LABEL: wait.label,
                    A.WOKEN_BY: wait.woken_by.value if wait.woken_by else "",
                    A.IS_HUMAN_WAIT: wait.is_human,
                    A.IDENTITY: wait.woken_by_identity,
                }
            ),
        )

    def signal(self, signal: Signal) -> SpanRecord:
        """The span of a signal that was received."""
        caller = caller_of(signal.headers)
        return self._record(
            SpanKind.SIGNAL,
            signal.name,
            signal.occurrence,
            f"signal {signal.name}",
            signal.at,
            signal.at,
            self._attributes(
                {
                    A.SIGNAL_NAME: signal.name,
                    A.IDENTITY: signal.identity,
                    A.INPUT_BYTES: signal.input_bytes,
                }
            ),
            links=(caller,) if caller else (),
        )

    def update(self, update: Update) -> SpanRecord:
        """The span of an update that was answered."""
        caller = caller_of(update.headers)
        start = update.admitted_at or update.accepted_at or update.completed_at or 0
        return self._record(
            SpanKind.UPDATE,
            update.id,
            1,
            f"update {update.name}",
            start,
            update.completed_at or start,
            self._attributes(
                {
                    A.UPDATE_ID: update.id,
                    A.UPDATE_NAME: update.name,
                    A.OUTCOME: update.outcome.value if update.outcome else "",
                    A.IDENTITY: update.identity,
                }
            ),
            is_error=update.outcome is Outcome.FAILED,
            failure=update.failure,
            links=(caller,) if caller else (),
        )

    def limit(
        self,
        use: Use,
        start_ns: int,
        end_ns: int,
        *,
        task_id: int | None = None,
        details: Mapping[A, Value] | None = None,
    ) -> SpanRecord:
        """The span of a limit that is near.

        Args:
            use: How near.
            start_ns: When that was so.
            end_ns: And until when.
            task_id: The workflow task, for a limit that each task has anew.
            details: More attributes.
        """
        return self._record(
            SpanKind.LIMIT,
            use.limit.value if task_id is None else f"{use.limit.value}:{task_id}",
            1,
            f"limit {use.limit.value}",
            start_ns,
            end_ns,
            self._attributes(
                {
                    A.LIMIT_NAME: use.limit.value,
                    A.LIMIT_USED: use.used,
                    A.LIMIT_MAXIMUM: use.maximum,
                    A.LIMIT_HEADROOM: use.headroom,
                    A.LIMIT_NEAR: use.limit.value if self._limits.is_near(use) else "",
                    **(details or {}),
                }
            ),
        )

    def _history_limits(self) -> dict[A, Value]:
        run = self._run
        uses = list(self._limits.of_history(run.history_length, run.history_size_bytes))
        if not uses:
            return {}
        return {
            A.HISTORY_EVENTS: run.history_length or 0,
            A.HISTORY_BYTES: run.history_size_bytes or 0,
            A.HISTORY_HEADROOM: min(use.headroom for use in uses),
            A.LIMIT_NEAR: ",".join(u.limit.value for u in uses if self._limits.is_near(u)),
        }

    def _add_payload_limit(self, attributes: dict[str, Value], n_bytes: int) -> None:
        if not n_bytes:
            return
        use = self._limits.of_payload(n_bytes)
        attributes[PLAIN[A.PAYLOAD_HEADROOM]] = use.headroom
        if self._limits.is_near(use):
            attributes[A.LIMIT_NEAR.value] = use.limit.value

    def branches(self, branches: Sequence[Branch], dropped: int = 0) -> list[SpanRecord]:
        """The spans of what one activation decided, in its order.

        Args:
            branches: What it decided.
            dropped: How many decisions more were only counted.
        """
        records = [self._branch(branch, place) for place, branch in enumerate(branches)]
        if dropped and records:
            records[-1].attributes[A.BRANCH_DROPPED.value] = dropped
        return records

    def _branch(self, branch: Branch, place: int) -> SpanRecord:
        point = branch.point
        is_named = point.kind is BranchKind.DECISION
        # A nanosecond apart: stores order spans by time, and these are of one activation.
        at = (branch.at or 0) + place
        attributes = self._attributes(
            {
                A.CODE_FUNCTION: point.qualname,
                A.CODE_FILE: point.file,
                A.CODE_LINE: point.line,
                A.BRANCH_KIND: point.kind.value,
                A.DECISION_NAME if is_named else A.BRANCH_CONDITION: point.condition,
                A.BRANCH_OCCURRENCE: branch.occurrence,
                A.BRANCH_BECAUSE: branch.because,
                A.DECISION_WHY if is_named else A.BRANCH_VALUES: branch_values(branch, is_named),
            }
        )
        attributes[A.BRANCH_OUTCOME.value] = branch.outcome
        if branch.rounds is not None:
            attributes[A.BRANCH_ROUNDS.value] = branch.rounds
        return self._record(
            SpanKind.BRANCH,
            # A task that failed and went another way when it was tried again did both.
            f"{point.id}:{point.condition if is_named else ''}:{branch.outcome}",
            branch.occurrence,
            f"branch {point.condition if is_named else point.qualname}",
            at,
            at,
            attributes,
        )

    def task_failure(self, task: WorkflowTask) -> SpanRecord:
        """The span of a workflow task that failed."""
        return self._record(
            SpanKind.TASK_FAILURE,
            _task_id(task),
            1,
            "task failure",
            task.started_at or task.scheduled_at,
            task.closed_at or task.scheduled_at,
            self._attributes(
                {
                    A.TASK_FAILURE_CAUSE: task.cause,
                    A.TASK_FAILURE_KIND: task.failure_kind.value if task.failure_kind else "",
                    A.IDENTITY: task.identity,
                }
            ),
            # New work that arrives while a task completes is nobody's fault.
            is_error=task.cause != "UNHANDLED_COMMAND",
            failure=task.failure,
        )

    def query(self, query: Query) -> SpanRecord:
        """The span of a query that was answered."""
        caller = caller_of(query.headers)
        return self._record(
            SpanKind.QUERY,
            f"{query.id}:{query.asked_at}",
            1,
            f"query {query.name}",
            query.asked_at,
            query.answered_at,
            self._attributes({A.QUERY_NAME: query.name, A.OUTCOME: query.outcome.value}),
            is_error=query.outcome is Outcome.FAILED,
            failure=query.failure,
            links=(caller,) if caller else (),
        )

    def _contents(self, input: Sequence[Payload], result: Sequence[Payload]) -> dict[A, Value]:
        return contents(self._content, self._run.workflow_type, input, result)

    def _attributes(
        self, more: Mapping[A, Value], known: Mapping[str, Value] | None = None
    ) -> dict[str, Value]:
        attributes = {**self._of_run, **known} if known else dict(self._of_run)
        if self.tenant:
            attributes[PLAIN[A.TENANT]] = self.tenant
        for key, value in more.items():
            if value != "":
                attributes[PLAIN[key]] = value
        return attributes

    def _record(
        self,
        kind: SpanKind,
        id_in_history: str,
        occurrence: int,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: dict[str, Value],
        *,
        is_error: bool = False,
        failure: Failure | None = None,
        parent: SpanRef | None = None,
        links: tuple[SpanRef, ...] = (),
        number: int | None = None,
    ) -> SpanRecord:
        attributes[PLAIN[A.SPAN_KIND]] = text = TEXTS[kind]
        if failure is not None:
            attributes.update(failure_attributes(failure))
        return SpanRecord(
            trace_id=self.trace_id,
            span_id=number or span_id(self._run.key.run_id, text, id_in_history, occurrence),
            parent=parent if kind is SpanKind.RUN else self.root,
            kind=kind,
            name=name,
            start_ns=start_ns,
            # Clocks of two machines: a span must not end before it starts.
            end_ns=max(end_ns, start_ns),
            is_error=is_error and not (failure and failure.root.benign),
            status_message=failure.root.message if failure and is_error else "",
            attributes=attributes,
            links=links,
            sampled=self.sampled,
        )


def spans_of(run: Run, settings: SpanSettings = DEFAULT_SETTINGS) -> Iterator[SpanRecord]:
    """Every span that a live tracer emits for what the run's history tells, but attempts.

    Only what came to an end has a span; an open run has its anchor and what ended so far. The
    settings have to be those of the live tracer, if the attributes are to be the same too.
    """
    if run.started_at is None:
        return
    spans = RunSpans(run, settings)
    yield spans.anchor()
    yield from (spans.step(step) for step in run.steps if _is_told(step, run))
    yield from (spans.wait(wait) for wait in run.waits if _is_over(wait, run))
    yield from (spans.signal(signal) for signal in run.signals if not signal.is_inherited)
    yield from (spans.update(u) for u in run.updates if u.outcome and not u.is_inherited)
    # The same mistake at the same place of the code is told once, however often it is tried.
    failed = {_task_id(task): task for task in reversed(run.tasks) if _has_failed(task)}
    yield from (spans.task_failure(task) for task in reversed(failed.values()))
    yield from _limits_of(run, spans, settings.limits)
    if run.is_closed:
        yield spans.workflow()


def _limits_of(run: Run, spans: RunSpans, limits: Limits) -> Iterator[SpanRecord]:
    """For each limit of the history, the first task that found it near."""
    told: set[Limit] = set()
    for task in run.tasks:
        if task.outcome is not Outcome.COMPLETED:
            continue
        at = task.started_at or task.scheduled_at
        for use in limits.of_history(task.started_event_id, task.history_size_bytes):
            if limits.is_near(use) and use.limit not in told:
                told.add(use.limit)
                if not task.is_inherited:
                    yield spans.limit(use, at, at)


def _is_told(step: Step, run: Run) -> bool:
    if not step.is_open:
        return not step.is_inherited
    # A history knows a local activity from the end of its first try only.
    is_known = step.kind is not StepKind.LOCAL_ACTIVITY or step.attempt_count > 0
    return run.is_closed and is_known


def _is_over(wait: Wait, run: Run) -> bool:
    if wait.closed_at is None or wait.is_inherited:
        return False
    # Whether it was one shows when the task completes that it ended with.
    return run.is_closed or any(
        task.outcome is Outcome.COMPLETED and (task.closed_at or 0) >= wait.closed_at
        for task in reversed(run.tasks)
    )


def _has_failed(task: WorkflowTask) -> bool:
    """Whether code ran and failed; a task that no worker took in time, or a reset, is none."""
    if task.outcome not in _ERRORS or task.is_inherited or task.started_event_id is None:
        return False
    return task.failure_kind is not TaskFailureKind.RESET


def _task_id(task: WorkflowTask) -> str:
    """What worker and history both know of a failed task.

    The SDK's core finds nondeterminism while it replays, before it tells the worker's code which
    task it is about: there the finding itself is the identity.
    """
    if task.failure_kind is TaskFailureKind.NONDETERMINISM and task.failure:
        return f"{TaskFailureKind.NONDETERMINISM}:{task.failure.message}"
    return str(task.started_event_id)


def attempt_span_id(run_id: str, parent_span_id: int, activity_id: str, number: int) -> int:
    """The span id of one try of an activity.

    The parent counts because a workflow may use an activity id again; the activity id counts
    because a foreign tracer may be the parent of several activities.
    """
    return span_id(run_id, TEXTS[SpanKind.ATTEMPT], f"{parent_span_id:016x}:{activity_id}", number)
