"""Where the tracer looks: at the boundary between Temporal's worker and workflow code.

Each activation passes here with its jobs, and comes back with its commands, on the host side of the
sandbox. That shows timers, patches and failures which no interceptor sees. Both classes wrap by
delegation: they pass every call on, so that methods which a new SDK adds keep working.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, cast

from temporalio.worker import WorkflowRunner

from tracer._activation_clock import Took
from tracer._branching import Watched
from tracer._emitter import Emitter
from tracer._evictions import EXECUTION_ENDING, REFUSED, failed_task
from tracer._headers import context_payload, put_context, put_nexus_context, put_tenant
from tracer._meters import Measured
from tracer._open_waits import Standing
from tracer._queries import queries_in
from tracer._tenant import TenantOfRun
from tracer.context import caller_of
from tracer.identity import RunKey
from tracer.limits import Limit, Use
from tracer.model.activations import ActivationReader, is_about_the_run, names_of_jobs
from tracer.model.cancellation import trace_state
from tracer.model.changes import Asked, Changes
from tracer.model.words import StepKind
from tracer.names import LINK_HEADER, SpanKind
from tracer.names import Attribute as A
from tracer.spans import RunSpans, SpanRecord, Value

if TYPE_CHECKING:
    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails


_EVICTION: Final = ("remove_from_cache",)
"""The jobs of an activation that takes the run out of the cache: there are no others."""
_WITHOUT_HEADERS: Final = frozenset({StepKind.TIMER, StepKind.CANCEL_EXTERNAL})
"""Steps that reach nobody who could read a header."""


class TracingRunner(WorkflowRunner):
    """Any workflow runner, with every instance that it makes watched."""

    def __init__(self, runner: WorkflowRunner, emitter: Emitter) -> None:
        self._runner = runner
        self._emitter = emitter

    def prepare_workflow(self, defn: Any) -> None:
        """Read the workflow's code, and pass on."""
        self._emitter.branching.include(defn)
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """Pass on."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of the wrapped runner, watched."""
        return watched(self._runner.create_instance(det), det, self._emitter)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


def watched(
    instance: WorkflowInstance, det: WorkflowInstanceDetails, emitter: Emitter
) -> WorkflowInstance:
    """The instance, watched; as it is if the tracer fails."""
    with emitter.guard.shielded("creating an instance"):
        key = RunKey(det.info.namespace, det.info.workflow_id, det.info.run_id)
        return cast("WorkflowInstance", TracingInstance(instance, key, emitter))
    return instance


class TracingInstance:
    """A workflow instance that tells the emitter what each activation brought to an end."""

    def __init__(self, instance: WorkflowInstance, key: RunKey, emitter: Emitter) -> None:
        self._instance = instance
        self._emitter = emitter
        self._run_id = key.run_id
        self._reader = ActivationReader(key, emitter.settings.content.excerpt)
        self._tenant = TenantOfRun(emitter.settings.tenant, key)
        self._spans: RunSpans | None = None
        self._held_task: int | None = None
        self._has_failed = False
        self._branching = emitter.branching.of_run()
        self._watched: Watched | None = None
        """The last activation, until what it decided is told."""
        self._took: Took | None = None
        """What the last activation took, until it is told."""
        self._near: set[Limit] = set()
        """Limits that the run's history came near, told by this worker or another."""
        self._is_live = False
        """The last activation was no replay."""
        self._is_given_up = False
        """The worker did not wait for the last activation: it was deadlocked."""
        self._is_evicted = False
        emitter.open_waits.add(self, TracingInstance._standing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def _standing(self) -> Standing | None:
        """Since when it stands still; `None` while it does not, and for what is no live run."""
        run = self._reader.machine.run
        since = self._reader.machine.waiting_since() if self._is_live else None
        if since is None or self._is_evicted:
            return None
        return Standing((run.key.namespace, run.workflow_type), since)

    def activate(self, act: Any) -> Any:
        """Let the workflow code run, and note what came in and out."""
        guard = self._emitter.guard
        names: tuple[str, ...] = ()
        with guard.shielded("reading jobs"):
            names = names_of_jobs(act)
            if names == _EVICTION:
                self._evicted(act.jobs[0].remove_from_cache)
            self._settle(act, names)
            self._tenant.started(act)
            self._reader.jobs(act, names)
        began_at = time.time_ns()
        completion = self._run(act, names)
        with guard.shielded("reading commands"):
            changes = self._reader.commands(completion)
            self._tenant.commanded(completion)
            self._spans_of_run().tenant = self._tenant.name
            self._send_context(changes)
            # What replays has been told before: by this worker, or by the one that had the run.
            crossed = self._crossed()
            if not act.is_replaying and not self._is_given_up:
                self._tell(changes, act.history_length, crossed)
                self._tell_activation()
            # They come last, and alone; most activations have none.
            if names and names[-1] == "query_workflow":
                self._tell_queries(act, completion, began_at)
            self._watched = None
        return completion

    def _run(self, act: Any, names: tuple[str, ...]) -> Any:
        """Let the workflow code run under watch."""
        if names == _EVICTION:
            return self._instance.activate(act)
        guard, clock = self._emitter.guard, self._emitter.clock
        context: AbstractContextManager[object] = nullcontext()
        began = None
        with guard.shielded("watching decisions"):
            self._is_live = not act.is_replaying
            context = self._watched = self._branching.around(act, names)
            began = clock.begin()
        try:
            with context:
                return self._instance.activate(act)
        finally:
            with guard.shielded("ending an activation"):
                took = clock.end(began) if began else None
                watched = self._watched
                self._took = took if watched is not None and watched.is_of_the_run else None
                if self._is_given_up:
                    self._tell_branches(self._branches())
                    self._tell_activation()

    def _spans_of_run(self) -> RunSpans:
        if self._spans is None:
            run = self._reader.machine.run
            self._spans = RunSpans(run, self._emitter.settings, self._tenant.name)
            self._spans.sampled = self._emitter.is_sampled(
                self._spans.trace_id, caller_of(run.headers), f"run {run.workflow_type}"
            )
        return self._spans

    def _settle(self, act: Any, names: tuple[str, ...]) -> None:
        """Learn from a new activation whether the run's task before it was accepted."""
        outbox, task_id = self._emitter.outbox, act.history_length
        held = outbox.held_task(self._run_id)
        if held is None or not is_about_the_run(names):
            return
        if act.is_replaying:
            if held == task_id:
                outbox.accepted(self._run_id)
        elif held != self._held_task:
            # Another instance held it, and this one did not see it replay.
            outbox.rejected(self._run_id)
        elif held != task_id:
            outbox.accepted(self._run_id)

    def _crossed(self) -> list[Use]:
        """The limits that the run's history is near for the first time."""
        limits, run = self._emitter.settings.limits, self._reader.machine.run
        length, size = run.history_length or 0, run.history_size_bytes or 0
        if limits.is_far(length, size):
            return []
        uses = limits.of_history(length, size)
        crossed = [u for u in uses if limits.is_near(u) and u.limit not in self._near]
        self._near.update(use.limit for use in crossed)
        return crossed

    def _tell_activation(self) -> None:
        """What the last activation took, and more of it if that was much."""
        took, self._took = self._took, None
        if took is None or not self._is_live:
            return
        emitter, run = self._emitter, self._reader.machine.run
        emitter.emit(
            Measured(
                (run.key.namespace, run.workflow_type),
                took.seconds,
                took.cpu_seconds,
                run.history_length or 0,
                run.history_size_bytes or 0,
            )
        )
        limits = emitter.settings.limits
        if limits.is_slow(took.seconds):
            now = time.time_ns()
            details: dict[A, Value] = {A.ACTIVATION_CPU: took.cpu_seconds}
            if took.hot_lines:
                details[A.HOT_LINES] = took.hot_lines
            emitter.emit_once(
                self._spans_of_run().limit(
                    limits.of_activation(took.seconds),
                    now - int(took.seconds * 1e9),
                    now,
                    task_id=self._reader.task_id,
                    details=details,
                )
            )

    def _tell(self, changes: Changes, task_id: int, crossed: list[Use]) -> None:
        spans, emitter = self._spans_of_run(), self._emitter
        if changes.started:
            emitter.emit_once(spans.anchor())
        if changes.task_failure is not None:
            self._tell_what_failed(spans.task_failure(changes.task_failure))
            # A task that fails may fail for days: what came before it must not wait so long.
            for record in (*map(spans.step, changes.answered), *map(spans.signal, changes.signals)):
                # Each retry of the task brings the same answers.
                if emitter.is_new(record):
                    emitter.emit_once(record)
            return
        records = [
            *self._branches(),
            *map(spans.step, changes.steps),
            *map(spans.wait, changes.waits),
            *map(spans.signal, changes.signals),
            *map(spans.update, changes.updates),
        ]
        at = self._reader.at
        records += [spans.limit(use, at, at) for use in crossed]
        if changes.closed:
            records += map(spans.step, changes.unanswered)
            records.append(spans.workflow(self._branching.loops()))
        if records or changes.has_local_activities:
            self._held_task = task_id
            emitter.hold(self._run_id, task_id, [r for r in records if emitter.is_new(r)])

    def _tell_queries(self, act: Any, completion: Any, began_at: int) -> None:
        spans = self._spans_of_run()
        for query in queries_in(act, completion, began_at, time.time_ns()):
            self._emitter.emit(spans.query(query))

    def _evicted(self, job: Any) -> None:
        """The run leaves the cache: perhaps because its last task was refused."""
        self._is_evicted = True
        outbox = self._emitter.outbox
        if job.reason == EXECUTION_ENDING:
            outbox.accepted(self._run_id)
        elif self._reader.has_open_local_activities:
            # They are cancelled, and the task with them: it will run again from its start.
            outbox.abandoned(self._run_id)
        if job.reason not in REFUSED:
            return
        reader = self._reader
        task = failed_task(
            job.reason, job.message, reader.task_id, reader.largest_payload, time.time_ns()
        )
        is_first = self._spans is None
        if task is None or self._has_failed or reader.machine.run.started_at is None:
            outbox.rejected(self._run_id)
            return
        spans = self._spans_of_run()
        if is_first and self._is_live:
            self._emitter.emit_once(spans.anchor())
        self._tell_what_failed(spans.task_failure(task))

    def _tell_what_failed(self, failure: SpanRecord) -> None:
        """A failed task, and the branches that led there: it may take them again, or never."""
        self._has_failed = True
        held = self._emitter.outbox.rejected(self._run_id)
        self._emitter.emit_once(failure)
        if not failure.is_error:
            return
        self._tell_branches(item for item in held if isinstance(item, SpanRecord))
        # Then the eviction may come while the code still runs: the activation tells at its end.
        self._is_given_up = True
        if self._watched is not None and self._watched.is_over:
            self._tell_branches(self._branches())

    def _tell_branches(self, records: Iterable[SpanRecord]) -> None:
        for record in records:
            if record.kind is SpanKind.BRANCH:
                self._emitter.emit_once(record)

    def _branches(self) -> list[SpanRecord]:
        """What the last activation decided, as long as it is not told."""
        watched, self._watched = self._watched, None
        if watched is None:
            return []
        return self._spans_of_run().branches(*self._branching.to_tell(watched))

    def _send_context(self, changes: Changes) -> None:
        """Put trace context into the headers of what the workflow asks for.

        Headers are no part of what Temporal compares on replay.
        """
        for asked in changes.asked:
            if asked.step.kind not in _WITHOUT_HEADERS:
                self._send_to_step(asked)
        if changes.continued_by is not None:
            self._send_to_next_run(changes.continued_by.headers)

    def _send_to_next_run(self, headers: Any) -> None:
        spans = self._spans_of_run()
        root = spans.root._replace(sampled=spans.sampled)
        if self._emitter.nests_chains:
            put_context(headers, root)
        else:
            headers[LINK_HEADER].CopyFrom(context_payload(root))
        if self._tenant.is_sent:
            put_tenant(headers, self._tenant.name)

    def _send_to_step(self, asked: Asked) -> None:
        step, command, effect = asked
        ref = self._spans_of_run().step_ref(step)
        state = trace_state(effect) if effect else ""
        if step.kind is StepKind.NEXUS_OPERATION:
            put_nexus_context(command.nexus_header, ref, state)
            return
        put_context(command.headers, ref, state)
        if self._tenant.is_sent:
            put_tenant(command.headers, self._tenant.name)
