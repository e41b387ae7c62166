"""From a recorded history to facts: the adapter that feeds events to the state machine.

Events are `temporalio.api.history.v1.HistoryEvent` messages, read by attribute access only, so
that this module needs no temporalio. Every event type has a handler here; a type that a newer
server may invent is kept as an `UnknownEvent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tracer.identity import RunKey
from tracer.model import markers
from tracer.model.cancellation import CancelEffect, effect_in, effect_in_headers
from tracer.model.enums import EVENT_TYPE, RETRY_STATE, WORKFLOW_TASK_FAILED_CAUSE, name_of
from tracer.model.failures import (
    child_failure,
    child_start_failure,
    external_failure,
    failure_from,
)
from tracer.model.garbage import uncollected
from tracer.model.machine import RunMachine, note_cause
from tracer.model.payloads import payloads_of, size_of_all, text_of
from tracer.model.words import (
    NO_PAYLOADS,
    Failure,
    Outcome,
    Payload,
    RetryPolicy,
    Run,
    RunRef,
    RunStatus,
    Signal,
    Step,
    StepKind,
    UnknownEvent,
    WorkflowTask,
)
from tracer.names import NEXUS_STATE_HEADER

type Event = Any
"""A `HistoryEvent`."""
type Attributes = Any
"""The attributes message that belongs to the event's type."""

_NS = 1_000_000_000

_IN_THE_ANSWER = "request-from-RespondWorkflowTaskCompleted"
"""How servers sign a task that a worker got in the answer to the one before, as it does every few
seconds while a local activity is at work. The event's time is some 100 us after that one's."""


def run_from_events(key: RunKey, events: Iterable[Event]) -> Run:
    """The model of a run, from its events in ascending order."""
    reader = EventReader(key)
    with uncollected():
        for event in events:
            reader.read(event)
    return reader.machine.finish()


class EventReader:
    """Feeds the events of one run to a machine, one by one."""

    def __init__(self, key: RunKey) -> None:
        self.machine = RunMachine(key)
        self._run = self.machine.run
        self._steps: dict[int, Step] = {}
        """Open and closed steps by the id of the event that scheduled them."""
        self._id = 0
        """Of the event at hand: reading a field of a message takes longer than reading ours."""
        self._at = 0
        """Its time."""
        self._policies: dict[bytes, RetryPolicy] = {}
        """By their serialized form: a run has few, and to read one takes as long as an event."""
        self._cancel_effects: dict[int, CancelEffect | None] = {}
        """Of Nexus operations, by the step's `seq`: their headers are no payloads."""

    def read(self, event: Event) -> None:
        """Take in one event."""
        run = self._run
        run.event_count += 1
        run.last_event_id = self._id = event.event_id
        run.last_event_at = self._at = time_of(event)
        if run.first_event_id is None:
            run.first_event_id = self._id
        event_type = event.event_type
        handler = _HANDLERS.get(event_type)
        if handler is None:
            name = name_of(EVENT_TYPE, event_type) or "UNSPECIFIED"
            run.unknown_events.append(UnknownEvent(self._id, name, self._at))
            return
        attribute, method = handler
        method(self, event, getattr(event, attribute))

    # -- the run -------------------------------------------------------------------------------

    def _workflow_execution_started(self, event: Event, a: Attributes) -> None:
        run = self._run
        run.workflow_type = a.workflow_type.name
        run.task_queue = a.task_queue.name
        run.started_at = self._at
        run.input = payloads_of(a.input)
        run.input_bytes = size_of_all(run.input)
        run.headers = a.header.fields
        run.memo = dict(a.memo.fields)
        run.search_attributes = dict(a.search_attributes.indexed_fields)
        run.attempt = max(a.attempt, 1)
        run.identity = a.identity
        run.first_run_id = a.first_execution_run_id
        run.original_run_id = a.original_execution_run_id
        run.continued_from_run_id = a.continued_execution_run_id
        run.cron_schedule = a.cron_schedule
        run.retry_policy = self._retry_policy(a)
        run.timeouts = _timeouts(a, _OF_WORKFLOWS)
        if a.HasField("parent_workflow_execution"):
            parent = a.parent_workflow_execution
            run.parent = RunRef(parent.workflow_id, parent.run_id, a.parent_workflow_namespace)
        if a.HasField("root_workflow_execution"):
            root = a.root_workflow_execution
            run.root = RunRef(root.workflow_id, root.run_id)

    def _workflow_execution_completed(self, event: Event, a: Attributes) -> None:
        self._run.continued_to_run_id = a.new_execution_run_id
        self._close(event, RunStatus.COMPLETED, result=payloads_of(a.result))

    def _workflow_execution_failed(self, event: Event, a: Attributes) -> None:
        self._run.continued_to_run_id = a.new_execution_run_id
        self._close(
            event,
            RunStatus.FAILED,
            failure=failure_from(a.failure),
            reason=name_of(RETRY_STATE, a.retry_state),
        )

    def _workflow_execution_timed_out(self, event: Event, a: Attributes) -> None:
        self._run.continued_to_run_id = a.new_execution_run_id
        self._close(event, RunStatus.TIMED_OUT, reason=name_of(RETRY_STATE, a.retry_state))

    def _workflow_execution_terminated(self, event: Event, a: Attributes) -> None:
        self._close(event, RunStatus.TERMINATED, reason=a.reason, identity=a.identity)

    def _workflow_execution_canceled(self, event: Event, a: Attributes) -> None:
        self._close(event, RunStatus.CANCELED, result=payloads_of(a.details))

    def _workflow_execution_continued_as_new(self, event: Event, a: Attributes) -> None:
        self._run.continued_to_run_id = a.new_execution_run_id
        self._close(event, RunStatus.CONTINUED_AS_NEW, failure=failure_from(a.failure))

    def _close(self, event: Event, status: RunStatus, **details: Any) -> None:
        self.machine.closed(status, self._at, event_id=self._id, **details)

    def _workflow_execution_cancel_requested(self, event: Event, a: Attributes) -> None:
        self.machine.cancel_requested(self._at, self._id, a.identity)

    def _workflow_execution_paused(self, event: Event, a: Attributes) -> None:
        self._run.is_paused = True

    def _workflow_execution_unpaused(self, event: Event, a: Attributes) -> None:
        self._run.is_paused = False

    def _upsert_workflow_search_attributes(self, event: Event, a: Attributes) -> None:
        self._run.search_attributes.update(a.search_attributes.indexed_fields)

    def _workflow_properties_modified(self, event: Event, a: Attributes) -> None:
        self._run.memo.update(a.upserted_memo.fields)

    def _noted(self, event: Event, a: Attributes) -> None:
        """Changes how the server treats the run, nothing that the model tells."""

    # -- workflow tasks ------------------------------------------------------------------------

    def _workflow_task_scheduled(self, event: Event, a: Attributes) -> None:
        self.machine.task_scheduled(
            WorkflowTask(
                scheduled_at=self._at,
                scheduled_event_id=self._id,
                attempt=max(a.attempt, 1),
            )
        )

    def _workflow_task_started(self, event: Event, a: Attributes) -> None:
        task = self._task(event)
        task.started_at = self._at
        if a.request_id == _IN_THE_ANSWER:
            self.machine.task_followed_at_once(task)
        task.started_event_id = self._run.history_length = self._id
        task.identity = a.identity
        task.suggest_continue_as_new = a.suggest_continue_as_new
        if a.HasField("worker_version"):
            task.build_id = a.worker_version.build_id
        if size := a.history_size_bytes:
            task.history_size_bytes = self._run.history_size_bytes = size
        self._run.suggest_continue_as_new = task.suggest_continue_as_new

    def _workflow_task_completed(self, event: Event, a: Attributes) -> None:
        task = self._task(event)
        run, build_id = self._run, ""
        if a.HasField("deployment_version"):
            deployment = a.deployment_version
            build_id = deployment.build_id
            run.deployment_name = deployment.deployment_name or run.deployment_name
        task.build_id = build_id or a.worker_version.build_id or a.binary_checksum
        run.build_id = task.build_id or run.build_id
        if a.HasField("sdk_metadata"):
            sdk = a.sdk_metadata
            run.sdk_name = sdk.sdk_name or run.sdk_name
            run.sdk_version = sdk.sdk_version or run.sdk_version
        self.machine.task_completed(task, self._at, self._id)

    def _workflow_task_failed(self, event: Event, a: Attributes) -> None:
        cause = name_of(WORKFLOW_TASK_FAILED_CAUSE, a.cause)
        if cause == "RESET_WORKFLOW":
            self._run.reset_from_run_id = a.base_run_id
            self.machine.reset_here()
        self.machine.task_failed(
            self._task(event),
            self._at,
            Outcome.FAILED,
            event_id=self._id,
            cause=cause,
            failure=failure_from(a.failure),
        )

    def _workflow_task_timed_out(self, event: Event, a: Attributes) -> None:
        self.machine.task_failed(self._task(event), self._at, Outcome.TIMED_OUT, event_id=self._id)

    def _task(self, event: Event) -> WorkflowTask:
        tasks = self._run.tasks
        if tasks and tasks[-1].outcome is None:
            return tasks[-1]
        # A reset history may end a task that it never scheduled.
        return self.machine.task_scheduled(WorkflowTask(scheduled_at=self._at))

    # -- activities ----------------------------------------------------------------------------

    def _activity_task_scheduled(self, event: Event, a: Attributes) -> None:
        step = self._schedule(event, StepKind.ACTIVITY, a.activity_type.name, a.activity_id)
        step.task_queue = a.task_queue.name
        step.input = payloads_of(a.input)
        step.input_bytes = size_of_all(step.input)
        if a.HasField("header"):
            step.headers = a.header.fields
        step.retry_policy = self._retry_policy(a)
        step.timeouts = _timeouts(a, _OF_ACTIVITIES)

    def _activity_task_started(self, event: Event, a: Attributes) -> None:
        if (step := self._steps.get(a.scheduled_event_id)) is not None:
            attempt = max(a.attempt, 1)
            self.machine.step_started(
                step,
                self._at,
                attempt=attempt,
                identity=a.identity,
                last_failure=failure_from(a.last_failure) if attempt > 1 else None,
            )

    def _activity_task_completed(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.scheduled_event_id, Outcome.COMPLETED, result=payloads_of(a.result))

    def _activity_task_failed(self, event: Event, a: Attributes) -> None:
        self._answer_failed(event, a, Outcome.FAILED)

    def _activity_task_timed_out(self, event: Event, a: Attributes) -> None:
        self._answer_failed(event, a, Outcome.TIMED_OUT)

    def _activity_task_canceled(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.scheduled_event_id, Outcome.CANCELED, result=payloads_of(a.details))

    def _activity_task_cancel_requested(self, event: Event, a: Attributes) -> None:
        if (step := self._steps.get(a.scheduled_event_id)) is not None:
            self._cancel_requested(event, step)

    # -- timers --------------------------------------------------------------------------------

    def _timer_started(self, event: Event, a: Attributes) -> None:
        step = self._schedule(event, StepKind.TIMER, "", a.timer_id)
        step.name = step.summary or a.timer_id
        step.timeouts = _timeouts(a, _OF_TIMERS)

    def _timer_fired(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.started_event_id, Outcome.COMPLETED)

    def _timer_canceled(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.started_event_id, Outcome.CANCELED, in_task=True)

    # -- child workflows -----------------------------------------------------------------------

    def _start_child_workflow_execution_initiated(self, event: Event, a: Attributes) -> None:
        step = self._schedule(event, StepKind.CHILD_WORKFLOW, a.workflow_type.name, a.workflow_id)
        step.task_queue = a.task_queue.name
        step.child_namespace = a.namespace
        step.input = payloads_of(a.input)
        step.input_bytes = size_of_all(step.input)
        if a.HasField("header"):
            step.headers = a.header.fields
        step.retry_policy = self._retry_policy(a)
        step.timeouts = _timeouts(a, _OF_WORKFLOWS)

    def _child_workflow_execution_started(self, event: Event, a: Attributes) -> None:
        if (step := self._steps.get(a.initiated_event_id)) is not None:
            step.child_run_id = a.workflow_execution.run_id
            step.started_at = self._at

    def _start_child_workflow_execution_failed(self, event: Event, a: Attributes) -> None:
        failure = child_start_failure(a.cause)
        self._answer(event, a.initiated_event_id, Outcome.FAILED, failure=failure)

    def _child_workflow_execution_completed(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.initiated_event_id, Outcome.COMPLETED, result=payloads_of(a.result))

    def _child_workflow_execution_failed(self, event: Event, a: Attributes) -> None:
        self._answer(
            event,
            a.initiated_event_id,
            Outcome.FAILED,
            failure=failure_from(a.failure),
            retry_state=name_of(RETRY_STATE, a.retry_state),
        )

    def _child_workflow_execution_canceled(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.initiated_event_id, Outcome.CANCELED, result=payloads_of(a.details))

    def _child_workflow_execution_timed_out(self, event: Event, a: Attributes) -> None:
        self._child_ended(event, a, Outcome.TIMED_OUT)

    def _child_workflow_execution_terminated(self, event: Event, a: Attributes) -> None:
        self._child_ended(event, a, Outcome.TERMINATED)

    def _child_ended(self, event: Event, a: Attributes, outcome: Outcome) -> None:
        failure = child_failure(outcome, None)
        self._answer(event, a.initiated_event_id, outcome, failure=failure)

    # -- other workflows -----------------------------------------------------------------------

    def _signal_external_workflow_execution_initiated(self, event: Event, a: Attributes) -> None:
        target = a.workflow_execution.workflow_id
        step = self._schedule(event, StepKind.SIGNAL_EXTERNAL, a.signal_name, target)
        step.input = payloads_of(a.input)
        step.input_bytes = size_of_all(step.input)
        if a.HasField("header"):
            step.headers = a.header.fields

    def _external_workflow_execution_signaled(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.initiated_event_id, Outcome.COMPLETED)

    def _signal_external_workflow_execution_failed(self, event: Event, a: Attributes) -> None:
        failure = external_failure(a.cause)
        self._answer(event, a.initiated_event_id, Outcome.FAILED, failure=failure)

    def _request_cancel_external_workflow_execution_initiated(
        self, event: Event, a: Attributes
    ) -> None:
        target = a.workflow_execution.workflow_id
        if a.child_workflow_only:
            # No step of its own: the workflow cancelled the step that stands for its child.
            child = self._open_child(target)
            if child is not None:
                self._cancel_requested(event, child)
            return
        self._schedule(event, StepKind.CANCEL_EXTERNAL, "cancel", target)

    def _external_workflow_execution_cancel_requested(self, event: Event, a: Attributes) -> None:
        self._answer(event, a.initiated_event_id, Outcome.COMPLETED)

    def _request_cancel_external_workflow_execution_failed(
        self, event: Event, a: Attributes
    ) -> None:
        failure = external_failure(a.cause)
        self._answer(event, a.initiated_event_id, Outcome.FAILED, failure=failure)

    # -- Nexus ---------------------------------------------------------------------------------

    def _nexus_operation_scheduled(self, event: Event, a: Attributes) -> None:
        # Workers know an operation by a number that no event has: its name must do as its id.
        name = f"{a.service}/{a.operation}"
        step = self._schedule(event, StepKind.NEXUS_OPERATION, name, name)
        if a.HasField("input"):
            step.input = (a.input,)
            step.input_bytes = size_of_all(step.input)
        step.timeouts = _timeouts(a, _OF_OPERATIONS)
        headers = a.nexus_header
        self._cancel_effects[step.seq] = effect_in(headers.get(NEXUS_STATE_HEADER)) or effect_in(
            headers.get("tracestate")
        )

    def _nexus_operation_started(self, event: Event, a: Attributes) -> None:
        if (step := self._steps.get(a.scheduled_event_id)) is not None:
            # Handlers tell the time in an HTTP date, which has whole seconds.
            step.started_at = max(self._at, step.scheduled_at)
            step.operation_token = a.operation_token or a.operation_id

    def _nexus_operation_completed(self, event: Event, a: Attributes) -> None:
        result = (a.result,) if a.HasField("result") else ()
        self._answer(event, a.scheduled_event_id, Outcome.COMPLETED, result=result)

    def _nexus_operation_failed(self, event: Event, a: Attributes) -> None:
        self._answer_nexus(event, a, Outcome.FAILED)

    def _nexus_operation_canceled(self, event: Event, a: Attributes) -> None:
        self._answer_nexus(event, a, Outcome.CANCELED)

    def _nexus_operation_timed_out(self, event: Event, a: Attributes) -> None:
        self._answer_nexus(event, a, Outcome.TIMED_OUT)

    def _nexus_operation_cancel_requested(self, event: Event, a: Attributes) -> None:
        if (step := self._steps.get(a.scheduled_event_id)) is not None:
            self._cancel_requested(event, step)

    def _nexus_operation_cancel_request_completed(self, event: Event, a: Attributes) -> None:
        step = self._steps.get(a.scheduled_event_id)
        if step is not None and self._cancel_effect(step) is CancelEffect.DELIVERY:
            self._cancelled(event, step, in_task=False)

    def _answer_nexus(self, event: Event, a: Attributes, outcome: Outcome) -> None:
        failure = failure_from(a.failure)
        self._answer(event, a.scheduled_event_id, outcome, failure=failure)

    # -- messages ------------------------------------------------------------------------------

    def _workflow_execution_signaled(self, event: Event, a: Attributes) -> None:
        signal = Signal(a.signal_name, 0, self._at, self._id, a.identity)
        if a.HasField("input"):
            signal.input = payloads_of(a.input)
            signal.input_bytes = size_of_all(signal.input)
        if a.HasField("header"):
            signal.headers = a.header.fields
        if a.HasField("external_workflow_execution"):
            signal.from_workflow_id = a.external_workflow_execution.workflow_id
        self.machine.signal_received(signal)

    def _workflow_execution_update_admitted(self, event: Event, a: Attributes) -> None:
        update = self._request(a.request)
        self.machine.update_admitted(update, self._at, self._id)

    def _workflow_execution_update_accepted(self, event: Event, a: Attributes) -> None:
        # The request is left out where an earlier UpdateAdmitted event has it.
        if a.HasField("accepted_request"):
            update = self._request(a.accepted_request)
        else:
            update = self.machine.update(a.protocol_instance_id)
        self.machine.update_accepted(update, self._at, self._id)

    def _workflow_execution_update_rejected(self, event: Event, a: Attributes) -> None:
        update = self._request(a.rejected_request)
        failure = failure_from(a.failure)
        self.machine.update_completed(
            update, self._at, Outcome.REJECTED, event_id=self._id, failure=failure
        )

    def _workflow_execution_update_completed(self, event: Event, a: Attributes) -> None:
        update = self.machine.update(a.meta.update_id)
        failed = a.outcome.HasField("failure")
        self.machine.update_completed(
            update,
            self._at,
            Outcome.FAILED if failed else Outcome.COMPLETED,
            event_id=self._id,
            failure=failure_from(a.outcome.failure) if failed else None,
            result=() if failed else payloads_of(a.outcome.success),
        )

    def _request(self, request: Any) -> Any:
        update = self.machine.update(request.meta.update_id, request.input.name)
        update.identity = request.meta.identity
        update.input = payloads_of(request.input.args)
        update.headers = request.input.header.fields
        return update

    def _marker_recorded(self, event: Event, a: Attributes) -> None:
        markers.record(self.machine, event, a, self._at)

    # -- cancellation --------------------------------------------------------------------------

    def _cancel_requested(self, event: Event, step: Step) -> None:
        step.cancel_requested_at = self._at
        if self._cancel_effect(step) is CancelEffect.REQUEST:
            self._cancelled(event, step, in_task=True)

    def _cancel_effect(self, step: Step) -> CancelEffect | None:
        return self._cancel_effects.get(step.seq) or effect_in_headers(step.headers)

    def _cancelled(self, event: Event, step: Step, *, in_task: bool) -> None:
        self.machine.step_closed(
            step, self._at, Outcome.CANCELED, event_id=self._id, in_task=in_task
        )

    def _open_child(self, workflow_id: str) -> Step | None:
        children = (s for s in reversed(self._run.steps) if s.kind is StepKind.CHILD_WORKFLOW)
        return next((s for s in children if s.id == workflow_id and s.is_open), None)

    # -- common --------------------------------------------------------------------------------

    def _schedule(self, event: Event, kind: StepKind, name: str, id_in_history: str) -> Step:
        step = Step(kind, name, id_in_history, 0, 0, self._at, self._id)
        if event.HasField("user_metadata"):
            step.summary = text_of(event.user_metadata.summary)
        note_cause(step, event)
        self._steps[self._id] = step
        return self.machine.step_scheduled(step)

    def _retry_policy(self, a: Attributes) -> RetryPolicy | None:
        if not a.HasField("retry_policy"):
            return None
        message = a.retry_policy
        serialized = message.SerializeToString()
        known = self._policies.get(serialized)
        if known is None:
            known = self._policies[serialized] = _policy_of(message)
        return known

    def _answer(
        self,
        event: Event,
        step_event: int,
        outcome: Outcome,
        *,
        failure: Failure | None = None,
        result: Sequence[Payload] = NO_PAYLOADS,
        retry_state: str = "",
        in_task: bool = False,
    ) -> None:
        if (step := self._steps.get(step_event)) is not None:
            self.machine.step_closed(
                step,
                self._at,
                outcome,
                event_id=self._id,
                failure=failure,
                result=result,
                retry_state=retry_state,
                in_task=in_task,
            )

    def _answer_failed(self, event: Event, a: Attributes, outcome: Outcome) -> None:
        self._answer(
            event,
            a.scheduled_event_id,
            outcome,
            failure=failure_from(a.failure),
            retry_state=name_of(RETRY_STATE, a.retry_state),
        )


def time_of(event: Event) -> int:
    """The event's time in nanoseconds since the epoch."""
    time = event.event_time
    nanoseconds: int = time.seconds * _NS + time.nanos
    return nanoseconds


_OF_WORKFLOWS = (
    ("execution", "workflow_execution_timeout"),
    ("run", "workflow_run_timeout"),
    ("task", "workflow_task_timeout"),
)
_OF_OPERATIONS = (
    ("schedule_to_close", "schedule_to_close_timeout"),
    ("schedule_to_start", "schedule_to_start_timeout"),
    ("start_to_close", "start_to_close_timeout"),
)
_OF_ACTIVITIES = (*_OF_OPERATIONS, ("heartbeat", "heartbeat_timeout"))
_OF_TIMERS = (("start_to_fire", "start_to_fire_timeout"),)
_OF_RETRIES = (("initial", "initial_interval"), ("maximum", "maximum_interval"))


def _timeouts(message: Any, fields: tuple[tuple[str, str], ...]) -> dict[str, float]:
    """Seconds by name, from the fields of a message; what is not set is left out."""
    timeouts = {}
    for name, field in fields:
        # Most are not set, and reading one that is not makes an object.
        if message.HasField(field):
            duration = getattr(message, field)
            if seconds := duration.seconds + duration.nanos / _NS:
                timeouts[name] = seconds
    return timeouts


def _policy_of(message: Any) -> RetryPolicy:
    times = _timeouts(message, _OF_RETRIES)
    return RetryPolicy(
        initial_interval=times.get("initial"),
        backoff_coefficient=message.backoff_coefficient,
        maximum_interval=times.get("maximum"),
        maximum_attempts=message.maximum_attempts,
        non_retryable_error_types=tuple(message.non_retryable_error_types),
    )


type _Handler = Callable[[EventReader, Event, Attributes], None]

_NOTED = frozenset(
    {
        "WORKFLOW_PROPERTIES_MODIFIED_EXTERNALLY",
        "ACTIVITY_PROPERTIES_MODIFIED_EXTERNALLY",
        "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
        "NEXUS_OPERATION_CANCEL_REQUEST_FAILED",
        "WORKFLOW_EXECUTION_TIME_SKIPPING_TRANSITIONED",
    }
)


def _handler(name: str) -> _Handler:
    method = "_noted" if name in _NOTED else f"_{name.lower()}"
    handler: _Handler = getattr(EventReader, method)
    return handler


_HANDLERS: Mapping[int, tuple[str, _Handler]] = {
    number: (f"{name.lower()}_event_attributes", _handler(name))
    for number, name in EVENT_TYPE.items()
}
