"""From a worker's view to facts: the adapter that feeds activations to the state machine.

An activation is one workflow task as the SDK runs it: jobs come in, commands go out. Messages are
those of `temporalio.bridge.proto`, read by attribute access only. Payloads are measured and let
go: a worker keeps thousands of runs in its cache, and must not keep their data a second time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from tracer.identity import RunKey
from tracer.model.cancellation import CANCEL_EFFECTS, CancelEffect, effect_of_type
from tracer.model.changes import Asked, Changes
from tracer.model.enums import WORKFLOW_TASK_FAILED_CAUSE, name_of
from tracer.model.failures import (
    child_failure,
    child_start_failure,
    external_failure,
    failure_from,
)
from tracer.model.machine import RunMachine, note_cause
from tracer.model.payloads import size_of_all, text_of
from tracer.model.words import (
    Failure,
    Outcome,
    Patch,
    Payload,
    RetryPolicy,
    RunRef,
    RunStatus,
    Signal,
    Step,
    StepKind,
    Update,
    WokenBy,
    WorkflowTask,
)
from tracer.names import HEADER, LINK_HEADER, STEP_HEADER

type Job = Any
"""The variant of a `WorkflowActivationJob`."""
type Command = Any
"""The variant of a `WorkflowCommand`."""
type Excerpt = Callable[[str, Iterable[Payload]], tuple[Payload, ...]]
"""By workflow type: what to keep of payloads."""

_NS = 1_000_000_000
_WRAPPERS = frozenset({"activity", "child_workflow", "nexus_operation"})
"""What the SDK core puts around a step's failure and a history does not have."""

_CODE_FAILED = "WORKFLOW_WORKER_UNHANDLED_FAILURE"
"""The cause that the SDK core reports where the worker names none."""

MODEL_FREE_JOBS: Final = frozenset({"query_workflow", "remove_from_cache"})
"""Jobs that a replay of the run does not come past."""


class ActivationReader:
    """Feeds the activations of one run to a machine."""

    def __init__(self, key: RunKey, excerpt: Excerpt = lambda _, __: ()) -> None:
        self.machine = RunMachine(key)
        self._excerpt = excerpt
        self._run = self.machine.run
        self._steps: dict[tuple[str, int], Step] = {}
        """Open steps by what answers them and by the SDK's number."""
        self._asked_in: dict[tuple[str, int], int] = {}
        """The task in which each open step was asked for."""
        self._cancel_effects: dict[tuple[str, int], CancelEffect] = {}
        self._at = 0
        self._task_started_at = 0
        self.task_id = 0
        """The task that the run is in: the length of the history that the worker got."""
        self.largest_payload = 0
        """Bytes of the largest input in the task's answer."""
        self._changes = Changes()
        self._updates_in_progress: dict[str, Update] = {}

    def jobs(self, activation: Any, names: Sequence[str]) -> None:
        """Take in what happened since the last activation.

        Args:
            activation: With its jobs.
            names: Theirs, as `names_of_jobs` tells them.
        """
        self._changes = Changes()
        if not is_about_the_run(names):
            return
        self._at, length = _time(activation.timestamp), activation.history_length
        # A refused update leaves no event behind: the task of the next one has the same length.
        goes_on = self.task_id == length and "do_update" not in names
        if not goes_on:
            self.task_id, self._task_started_at = length, self._at
        self.largest_payload = 0
        self._run.history_length = length
        self._run.history_size_bytes = size = activation.history_size_bytes
        for name, job in zip(names, activation.jobs, strict=True):
            handler = _JOBS.get(name)
            if handler is not None:
                handler(self, getattr(job, name))
        task = WorkflowTask(
            scheduled_at=self._at,
            started_at=self._task_started_at,
            started_event_id=self.task_id,
            history_size_bytes=size,
        )
        self.machine.task_scheduled(task, goes_on=goes_on)

    def commands(self, completion: Any) -> Changes:
        """Take in the workflow's answer, after `jobs`; tells what this activation ended."""
        if not self._run.tasks:
            return self._changes
        task = self._run.tasks.pop()
        if completion.HasField("failed"):
            failure = failure_from(completion.failed.failure)
            cause = name_of(WORKFLOW_TASK_FAILED_CAUSE, completion.failed.force_cause)
            self.machine.task_failed(
                task, self._at, Outcome.FAILED, cause=cause or _CODE_FAILED, failure=failure
            )
            self._changes.task_failure = task
            return self._changes
        self.machine.task_completed(task, self._at)
        for command in completion.successful.commands:
            name = command.WhichOneof("variant") or ""
            if (handler := _COMMANDS.get(name)) is not None:
                handler(self, getattr(command, name), command)
        self._collect_waits()
        return self._changes

    @property
    def at(self) -> int:
        """When the run's task began, in nanoseconds."""
        return self._task_started_at

    @property
    def has_open_local_activities(self) -> bool:
        """Whether the worker is still at work on some, for the present task."""
        return any(step.kind is StepKind.LOCAL_ACTIVITY for step in self._steps.values())

    def _collect_waits(self) -> None:
        """Waits that are over for good: one that nothing explains may still go on."""
        waits = self._run.waits
        if not waits:
            return
        last = None if self._changes.closed else waits[-1]
        kept = last is not None and (last.closed_at is None or last.woken_by is WokenBy.UNKNOWN)
        self._changes.waits.extend(w for w in waits if w.closed_at and not (kept and w is last))
        waits[:] = [last] if last is not None and kept else []

    # -- jobs ----------------------------------------------------------------------------------

    def _initialize_workflow(self, job: Job) -> None:
        run = self._run
        self._changes.started = True
        run.workflow_type = job.workflow_type
        run.started_at = _time(job.start_time) or self._at
        run.input_bytes = size_of_all(job.arguments)
        run.input = self._excerpt(run.workflow_type, job.arguments)
        run.headers = _trace_headers(job.headers)
        run.attempt = max(job.attempt, 1)
        run.identity = job.identity
        run.first_run_id = job.first_execution_run_id
        run.original_run_id = getattr(job, "original_execution_run_id", "")
        run.continued_from_run_id = job.continued_from_execution_run_id
        run.cron_schedule = job.cron_schedule
        if job.HasField("parent_workflow_info"):
            parent = job.parent_workflow_info
            run.parent = RunRef(parent.workflow_id, parent.run_id, parent.namespace)

    def _fire_timer(self, job: Job) -> None:
        self._answer("fire_timer", job.seq, Outcome.COMPLETED)

    def _resolve_activity(self, job: Job) -> None:
        self._resolve("resolve_activity", job)

    def _resolve_child_workflow_execution_start(self, job: Job) -> None:
        step = self._steps.get(("resolve_child_workflow_execution", job.seq))
        if step is None:
            return
        match job.WhichOneof("status"):
            case "succeeded":
                step.child_run_id = job.succeeded.run_id
                step.started_at = self._at
            case "failed":
                failure = child_start_failure(job.failed.cause)
                self._answer("resolve_child_workflow_execution", job.seq, Outcome.FAILED, failure)
            case _:
                self._answer("resolve_child_workflow_execution", job.seq, Outcome.CANCELED)

    def _resolve_child_workflow_execution(self, job: Job) -> None:
        self._resolve("resolve_child_workflow_execution", job)

    def _resolve_nexus_operation_start(self, job: Job) -> None:
        step = self._steps.get(("resolve_nexus_operation", job.seq))
        if step is None:
            return
        if job.WhichOneof("status") == "failed":
            failure = _unwrapped(failure_from(job.failed))
            self._answer("resolve_nexus_operation", job.seq, Outcome.FAILED, failure)
            return
        step.started_at = self._at
        step.operation_token = job.operation_token

    def _resolve_nexus_operation(self, job: Job) -> None:
        self._resolve("resolve_nexus_operation", job)

    def _resolve_signal_external_workflow(self, job: Job) -> None:
        self._resolve_external("resolve_signal_external_workflow", job)

    def _update_random_seed(self, job: Job) -> None:
        # The core sends this only where a run begins that was reset from another one.
        self._changes.started = True

    def _resolve_request_cancel_external_workflow(self, job: Job) -> None:
        self._resolve_external("resolve_request_cancel_external_workflow", job)

    def _signal_workflow(self, job: Job) -> None:
        signal = Signal(
            job.signal_name,
            0,
            self._at,
            # SDKs before 1.33 do not know the field.
            getattr(job, "originating_event_id", 0) or None,
            identity=job.identity,
            input_bytes=size_of_all(job.input),
            headers=_trace_headers(job.headers),
        )
        self._changes.signals.append(self.machine.signal_received(signal))
        self._run.signals.clear()

    def _do_update(self, job: Job) -> None:
        update = self.machine.update(job.id, job.name)
        update.identity = job.meta.identity
        update.headers = _trace_headers(job.headers)
        # Acceptance will show that it ended a wait: a refused update leaves no trace in history.
        update.admitted_at = self._at
        self._updates_in_progress[job.protocol_instance_id] = update

    def _cancel_workflow(self, job: Job) -> None:
        self.machine.cancel_requested(self._at)

    def _resolve(self, answered_by: str, job: Job) -> None:
        which = job.result.WhichOneof("status")
        if which is None:
            return
        status = getattr(job.result, which)
        if which == "backoff":
            self._back_off(answered_by, job.seq, status)
            return
        effect = self._cancel_effects.get((answered_by, job.seq))
        if which == "cancelled" and effect is CancelEffect.NOTHING:
            return  # The workflow turned away; what the step comes to, it will not hear.
        # Most wrap failure and result in a message of their own, Nexus does not.
        is_bare = answered_by == "resolve_nexus_operation"
        failure = None
        result: tuple[Payload, ...] = ()
        if which != "completed":
            failure = _unwrapped(failure_from(status if is_bare else status.failure))
        elif is_bare or status.HasField("result"):
            result = (status if is_bare else status.result,)
        outcome = _outcome(which, failure)
        if answered_by == "resolve_child_workflow_execution":
            failure = child_failure(outcome, failure)
        step = self._steps.get((answered_by, job.seq))
        asked = step is not None and step.cancel_requested_at is not None
        in_task = asked and which == "cancelled" and effect is CancelEffect.REQUEST
        self._answer(answered_by, job.seq, outcome, failure, result, in_task=in_task)

    def _back_off(self, answered_by: str, seq: int, backoff: Any) -> None:
        """A local activity will be tried again: the workflow starts a timer, and then asks anew."""
        step = self._forget(answered_by, seq)
        if step is not None:
            step.attempt_count = backoff.attempt - 1
            self.machine.backing_off[step.name, _time(backoff.original_schedule_time)] = step

    def _resolve_external(self, answered_by: str, job: Job) -> None:
        failure = None
        if job.HasField("failure"):
            failure = external_failure(getattr(job, "cause", 0), job.failure.message)
        self._answer(
            answered_by, job.seq, Outcome.FAILED if failure else Outcome.COMPLETED, failure
        )

    def _answer(
        self,
        answered_by: str,
        seq: int,
        outcome: Outcome,
        failure: Failure | None = None,
        result: tuple[Payload, ...] = (),
        *,
        in_task: bool = False,
    ) -> None:
        step = self._forget(answered_by, seq)
        if step is None:
            return
        self.machine.step_closed(
            step, self._at, outcome, failure=failure, result=result, in_task=in_task
        )
        step.result = self._excerpt(self._run.workflow_type, result)
        self._changes.steps.append(step)
        if not in_task and step.kind is not StepKind.LOCAL_ACTIVITY:
            self._changes.answered.append(step)

    def _forget(self, answered_by: str, seq: int) -> Step | None:
        key = answered_by, seq
        self._asked_in.pop(key, None)
        self._cancel_effects.pop(key, None)
        return self._steps.pop(key, None)

    # -- commands ------------------------------------------------------------------------------

    def _schedule_activity(self, a: Command, command: Any) -> None:
        step = self._schedule(
            "resolve_activity", StepKind.ACTIVITY, a.activity_type, a.activity_id, a, command
        )
        step.task_queue = a.task_queue
        self._measure_input(step, a.arguments)
        step.retry_policy = _retry_policy(a)

    def _schedule_local_activity(self, a: Command, command: Any) -> None:
        self._changes.has_local_activities = True
        first_try = a.activity_type, _time(a.original_schedule_time)
        if a.attempt > 1 and (known := self.machine.backing_off.pop(first_try, None)) is not None:
            self._steps["resolve_activity", a.seq] = known
            self._changes.asked.append(Asked(known, a, None))
            return
        step = self._schedule(
            "resolve_activity", StepKind.LOCAL_ACTIVITY, a.activity_type, a.activity_id, a, command
        )
        self._measure_input(step, a.arguments)

    def _start_timer(self, a: Command, command: Any) -> None:
        step = self._schedule("fire_timer", StepKind.TIMER, "", str(a.seq), a, command)
        step.name = step.summary or step.id

    def _cancel_timer(self, a: Command, command: Any) -> None:
        if not self._withdrawn("fire_timer", a.seq):
            self._answer("fire_timer", a.seq, Outcome.CANCELED, in_task=True)

    def _request_cancel_activity(self, a: Command, command: Any) -> None:
        self._request_cancel("resolve_activity", a.seq)

    def _cancel_child_workflow_execution(self, a: Command, command: Any) -> None:
        self._request_cancel("resolve_child_workflow_execution", a.child_workflow_seq)

    def _cancel_signal_workflow(self, a: Command, command: Any) -> None:
        self._request_cancel("resolve_signal_external_workflow", a.seq)

    def _request_cancel_nexus_operation(self, a: Command, command: Any) -> None:
        self._request_cancel("resolve_nexus_operation", a.seq)

    def _request_cancel(self, answered_by: str, seq: int) -> None:
        if not self._withdrawn(answered_by, seq):
            step = self._steps.get((answered_by, seq))
            if step is not None:
                step.cancel_requested_at = self._at

    def _withdrawn(self, answered_by: str, seq: int) -> bool:
        """Whether the step was asked for in this very task: then the server never hears of it."""
        if self._asked_in.get((answered_by, seq)) != self.task_id:
            return False
        step = self._forget(answered_by, seq)
        if step is not None:
            self.machine.step_withdrawn(step)
        return True

    def _start_child_workflow_execution(self, a: Command, command: Any) -> None:
        step = self._schedule(
            "resolve_child_workflow_execution",
            StepKind.CHILD_WORKFLOW,
            a.workflow_type,
            a.workflow_id,
            a,
            command,
        )
        step.task_queue = a.task_queue
        step.child_namespace = a.namespace
        self._measure_input(step, a.input)
        step.retry_policy = _retry_policy(a)

    def _signal_external_workflow_execution(self, a: Command, command: Any) -> None:
        target = a.workflow_execution.workflow_id or a.child_workflow_id
        step = self._schedule(
            "resolve_signal_external_workflow",
            StepKind.SIGNAL_EXTERNAL,
            a.signal_name,
            target,
            a,
            command,
        )
        self._measure_input(step, a.args)

    def _request_cancel_external_workflow_execution(self, a: Command, command: Any) -> None:
        self._schedule(
            "resolve_request_cancel_external_workflow",
            StepKind.CANCEL_EXTERNAL,
            "cancel",
            a.workflow_execution.workflow_id,
            a,
            command,
        )

    def _schedule_nexus_operation(self, a: Command, command: Any) -> None:
        name = f"{a.service}/{a.operation}"
        step = self._schedule(
            "resolve_nexus_operation", StepKind.NEXUS_OPERATION, name, name, a, command
        )
        self._measure_input(step, (a.input,) if a.HasField("input") else ())

    def _set_patch_marker(self, a: Command, command: Any) -> None:
        self.machine.patch_taken(Patch(a.patch_id, a.deprecated, self._at))

    def _update_response(self, a: Command, command: Any) -> None:
        update = self._updates_in_progress.get(a.protocol_instance_id)
        if update is None:
            return
        which = a.WhichOneof("response")
        if which == "accepted":
            self.machine.update_accepted(update, self._at)
            return
        del self._updates_in_progress[a.protocol_instance_id]
        outcome, failure = Outcome.COMPLETED, None
        if which == "rejected":
            failure = failure_from(a.rejected)
            outcome = Outcome.FAILED if update.accepted_at else Outcome.REJECTED
        self.machine.update_completed(update, self._at, outcome, failure=failure)
        self._changes.updates.append(update)

    def _complete_workflow_execution(self, a: Command, command: Any) -> None:
        self._close(RunStatus.COMPLETED, result=(a.result,) if a.HasField("result") else ())

    def _fail_workflow_execution(self, a: Command, command: Any) -> None:
        self._close(RunStatus.FAILED, failure=failure_from(a.failure))

    def _cancel_workflow_execution(self, a: Command, command: Any) -> None:
        self._close(RunStatus.CANCELED)

    def _continue_as_new_workflow_execution(self, a: Command, command: Any) -> None:
        self._close(RunStatus.CONTINUED_AS_NEW)
        self._changes.continued_by = a

    def _close(self, status: RunStatus, **details: Any) -> None:
        self.machine.closed(status, self._at, **details)
        self.largest_payload = max(self.largest_payload, self._run.result_bytes)
        self._run.result = self._excerpt(self._run.workflow_type, self._run.result)
        self._changes.closed = True
        self._leave_open_steps()

    def _leave_open_steps(self) -> None:
        for (answered_by, seq), step in list(self._steps.items()):
            effect = self._cancel_effects.get((answered_by, seq))
            if step.cancel_requested_at is not None and effect is CancelEffect.REQUEST:
                # The history has the request; the worker's code would hear of it no more.
                self._answer(answered_by, seq, Outcome.CANCELED, in_task=True)
            elif step.kind is not StepKind.LOCAL_ACTIVITY:
                self._changes.unanswered.append(step)
        self._changes.unanswered.extend(self.machine.backing_off.values())

    def _measure_input(self, step: Step, payloads: Iterable[Payload]) -> None:
        step.input_bytes = size_of_all(payloads)
        step.input = self._excerpt(self._run.workflow_type, payloads)
        self.largest_payload = max(self.largest_payload, step.input_bytes)

    def _schedule(
        self,
        answered_by: str,
        kind: StepKind,
        name: str,
        id_in_history: str,
        a: Command,
        command: Any,
    ) -> Step:
        step = Step(kind, name, id_in_history, 0, 0, self._at)
        if command.HasField("user_metadata"):
            step.summary = text_of(command.user_metadata.summary)
        note_cause(step, command)
        key = answered_by, a.seq
        self._steps[key] = self.machine.step_scheduled(step)
        self._asked_in[key] = self.task_id
        effect = None
        if kind in CANCEL_EFFECTS:
            effect = self._cancel_effects[key] = effect_of_type(kind, a.cancellation_type)
        self._changes.asked.append(Asked(step, a, effect))
        self._run.steps.clear()
        return step


def names_of_jobs(activation: Any) -> tuple[str, ...]:
    """What each job of an activation is about."""
    return tuple([job.WhichOneof("variant") or "" for job in activation.jobs])


def is_about_the_run(names: Sequence[str]) -> bool:
    """Whether jobs of these names move the run: neither a query nor the cache does."""
    return not MODEL_FREE_JOBS.issuperset(names)


def _time(timestamp: Any) -> int:
    return int(timestamp.seconds * _NS + timestamp.nanos)


def _trace_headers(headers: Mapping[str, Payload]) -> dict[str, Payload]:
    # A copy: a message that is kept would keep the whole activation in memory.
    names = (HEADER, STEP_HEADER, LINK_HEADER)
    return {name: copy.deepcopy(headers[name]) for name in names if name in headers}


def _unwrapped(failure: Failure | None) -> Failure | None:
    if failure is not None and failure.kind in _WRAPPERS and failure.cause is not None:
        return failure.cause
    return failure


def _outcome(which: str, failure: Failure | None) -> Outcome:
    match which:
        case "completed":
            return Outcome.COMPLETED
        case "cancelled":
            return Outcome.CANCELED
        case "timed_out":
            return Outcome.TIMED_OUT
        case _:
            return _OUTCOME_OF_FAILURE.get(failure.kind if failure else "", Outcome.FAILED)


def _retry_policy(a: Command) -> RetryPolicy | None:
    if not a.HasField("retry_policy"):
        return None
    policy = a.retry_policy
    return RetryPolicy(
        initial_interval=_time(policy.initial_interval) / _NS or None,
        backoff_coefficient=policy.backoff_coefficient,
        maximum_interval=_time(policy.maximum_interval) / _NS or None,
        maximum_attempts=policy.maximum_attempts,
        non_retryable_error_types=tuple(policy.non_retryable_error_types),
    )


_OUTCOME_OF_FAILURE = {"timeout": Outcome.TIMED_OUT, "terminated": Outcome.TERMINATED}


def _handlers(names: Iterable[str]) -> dict[str, Callable[..., None]]:
    return {name: getattr(ActivationReader, f"_{name}") for name in names}


_JOBS = _handlers(
    (
        "initialize_workflow",
        "update_random_seed",
        "fire_timer",
        "resolve_activity",
        "resolve_child_workflow_execution_start",
        "resolve_child_workflow_execution",
        "resolve_nexus_operation_start",
        "resolve_nexus_operation",
        "resolve_signal_external_workflow",
        "resolve_request_cancel_external_workflow",
        "signal_workflow",
        "do_update",
        "cancel_workflow",
    )
)
_COMMANDS = _handlers(
    (
        "schedule_activity",
        "schedule_local_activity",
        "start_timer",
        "start_child_workflow_execution",
        "signal_external_workflow_execution",
        "request_cancel_external_workflow_execution",
        "schedule_nexus_operation",
        "cancel_timer",
        "request_cancel_activity",
        "cancel_child_workflow_execution",
        "cancel_signal_workflow",
        "request_cancel_nexus_operation",
        "set_patch_marker",
        "update_response",
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    )
)
