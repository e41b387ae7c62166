"""What the history answered to each command, as the jobs by which the SDK tells workflow code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob

from replayer.check.commands import Recorded
from replayer.check.model import CommandKind
from replayer.check.watching import Asked

__all__ = ["Answer", "Answers", "news_of", "patches_of"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A job, and the event that it tells of."""

    event: HistoryEvent
    job: WorkflowActivationJob


class Answers:
    """The events that answer each command of a history."""

    def __init__(self, events: Iterable[HistoryEvent]) -> None:
        self._of: dict[int, list[tuple[str, HistoryEvent]]] = defaultdict(list)
        for event in events:
            name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
            field = _ANSWERED_ID.get(name)
            if field is not None:
                attributes = getattr(event, f"{name.lower()}_event_attributes")
                self._of[getattr(attributes, field)].append((name, event))

    def to(self, recorded: Recorded, asked: Asked) -> list[Answer]:
        """What the code hears when it asks for what was recorded."""
        if recorded.command.kind is CommandKind.LOCAL_ACTIVITY:
            return [_local(recorded, asked)]
        found = []
        for name, event in self._of[recorded.event.event_id]:
            attributes = getattr(event, f"{name.lower()}_event_attributes")
            job = _job(asked, name, attributes)
            if job is not None:
                found.append(Answer(event, job))
        return found

    def instead(self, recorded: Recorded, asked: Asked) -> list[Answer]:
        """What the code may hear when it asks for something else in the place of the recorded.

        A renamed activity answers what it did before; where nothing fits, it answers nothing.
        """
        if asked.variant not in _JOBS:
            return []
        ends = [
            each for each in self._of[recorded.event.event_id] if not each[0].endswith(_STARTED)
        ]
        name, event = ends[0] if ends else ("", recorded.event)
        attributes = getattr(event, f"{name.lower()}_event_attributes") if name else None
        jobs = [_JOBS[asked.variant](asked, name, attributes)]
        if asked.variant == "start_child_workflow_execution" and name:
            jobs.insert(0, _child(asked, "", None))
        return [Answer(event, job) for job in jobs]


def news_of(events: Iterable[HistoryEvent], after: int) -> list[Answer]:
    """The signals and updates that came in after an event."""
    found = []
    for event in events:
        if event.event_id <= after:
            continue
        job = WorkflowActivationJob()
        if event.HasField("workflow_execution_signaled_event_attributes"):
            signal = event.workflow_execution_signaled_event_attributes
            job.signal_workflow.signal_name = signal.signal_name
            job.signal_workflow.input.extend(signal.input.payloads)
        elif event.HasField("workflow_execution_update_accepted_event_attributes"):
            accepted = event.workflow_execution_update_accepted_event_attributes
            request = accepted.accepted_request
            job.do_update.id = request.meta.update_id
            job.do_update.protocol_instance_id = accepted.protocol_instance_id
            job.do_update.name = request.input.name
            job.do_update.input.extend(request.input.args.payloads)
        else:
            continue
        found.append(Answer(event, job))
    return found


def patches_of(recorded: Iterable[Recorded]) -> list[WorkflowActivationJob]:
    """The patches that a run is going to take."""
    found = []
    for each in recorded:
        if each.command.kind is CommandKind.PATCH:
            job = WorkflowActivationJob()
            job.notify_has_patch.patch_id = each.command.name
            found.append(job)
    return found


_ANSWERED_ID = {
    "ACTIVITY_TASK_COMPLETED": "scheduled_event_id",
    "ACTIVITY_TASK_FAILED": "scheduled_event_id",
    "ACTIVITY_TASK_TIMED_OUT": "scheduled_event_id",
    "ACTIVITY_TASK_CANCELED": "scheduled_event_id",
    "TIMER_FIRED": "started_event_id",
    "CHILD_WORKFLOW_EXECUTION_STARTED": "initiated_event_id",
    "CHILD_WORKFLOW_EXECUTION_COMPLETED": "initiated_event_id",
    "CHILD_WORKFLOW_EXECUTION_FAILED": "initiated_event_id",
    "CHILD_WORKFLOW_EXECUTION_CANCELED": "initiated_event_id",
    "CHILD_WORKFLOW_EXECUTION_TIMED_OUT": "initiated_event_id",
    "CHILD_WORKFLOW_EXECUTION_TERMINATED": "initiated_event_id",
    "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED": "initiated_event_id",
    "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED": "initiated_event_id",
}


_STARTED = "_EXECUTION_STARTED"


def _job(asked: Asked, name: str, attributes: Any) -> WorkflowActivationJob | None:
    make = _JOBS.get(asked.variant)
    return None if make is None else make(asked, name, attributes)


def _activity(asked: Asked, name: str, a: Any) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    job.resolve_activity.seq = asked.seq or 0
    job.resolve_activity.is_local = asked.variant == "schedule_local_activity"
    _resolve(job.resolve_activity.result, name, a)
    return job


def _timer(asked: Asked, name: str, a: Any) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    job.fire_timer.seq = asked.seq or 0
    return job


def _child(asked: Asked, name: str, a: Any) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    if name in ("CHILD_WORKFLOW_EXECUTION_STARTED", ""):
        start = job.resolve_child_workflow_execution_start
        start.seq = asked.seq or 0
        start.succeeded.run_id = a.workflow_execution.run_id if a is not None else ""
        return job
    job.resolve_child_workflow_execution.seq = asked.seq or 0
    _resolve(job.resolve_child_workflow_execution.result, name, a)
    return job


def _signal(asked: Asked, name: str, a: Any) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    job.resolve_signal_external_workflow.seq = asked.seq or 0
    return job


def _cancel(asked: Asked, name: str, a: Any) -> WorkflowActivationJob:
    job = WorkflowActivationJob()
    job.resolve_request_cancel_external_workflow.seq = asked.seq or 0
    return job


_JOBS: dict[str, Callable[[Asked, str, Any], WorkflowActivationJob]] = {
    "schedule_activity": _activity,
    "schedule_local_activity": _activity,
    "start_timer": _timer,
    "start_child_workflow_execution": _child,
    "signal_external_workflow_execution": _signal,
    "request_cancel_external_workflow_execution": _cancel,
}


def _resolve(result: Any, name: str, a: Any) -> None:
    """Fill in an activity's or a child's resolution; a success without a value by default."""
    if name.endswith("_COMPLETED"):
        result.completed.SetInParent()
        if a.result.payloads:
            result.completed.result.CopyFrom(a.result.payloads[0])
    elif name.endswith("_CANCELED"):
        result.cancelled.failure.canceled_failure_info.SetInParent()
    elif name.endswith(("_FAILED", "_TIMED_OUT", "_TERMINATED")):
        cause = getattr(a, "failure", None)
        result.failed.failure.CopyFrom(_wrapped(name, cause))
    else:
        result.completed.result.metadata["encoding"] = b"binary/null"


def _wrapped(name: str, cause: Failure | None) -> Failure:
    """A failure as the core hands it to code: what happened, inside of what it happened to."""
    failure = Failure(message=name.lower().replace("_", " "))
    if name.startswith("ACTIVITY"):
        failure.activity_failure_info.SetInParent()
    else:
        failure.child_workflow_execution_failure_info.SetInParent()
    if cause is not None:
        failure.cause.CopyFrom(cause)
    elif name.endswith("_TIMED_OUT"):
        failure.cause.timeout_failure_info.SetInParent()
    return failure


def _local(recorded: Recorded, asked: Asked) -> Answer:
    job = WorkflowActivationJob()
    job.resolve_activity.seq = asked.seq or 0
    job.resolve_activity.is_local = True
    a = recorded.attributes
    if a.HasField("failure"):
        job.resolve_activity.result.failed.failure.CopyFrom(a.failure)
    else:
        job.resolve_activity.result.completed.SetInParent()
        payloads = a.details["result"].payloads if "result" in a.details else ()
        if payloads:
            job.resolve_activity.result.completed.result.CopyFrom(payloads[0])
    return Answer(recorded.event, job)
