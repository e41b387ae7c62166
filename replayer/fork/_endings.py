"""How a step ends, apart from who says so: in a job for workflow code, and in a history's event.

The server is always told of a success or of a plain failure. Which failure it was, with its chain
of causes, its kind and retry state, is put into the job that the workflow code gets, and into the
event of the stored history. Both are made here, from one `Ending`, so that they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType, RetryState, TimeoutType
from temporalio.api.failure.v1 import (
    ApplicationFailureInfo,
    CanceledFailureInfo,
    Failure,
    TerminatedFailureInfo,
    TimeoutFailureInfo,
)
from temporalio.api.history.v1 import HistoryEvent

from replayer.fork.script import attributes_of
from tracer.model import Outcome, StepKind

_EVENT_NAMES = {
    StepKind.ACTIVITY: "ACTIVITY_TASK",
    StepKind.CHILD_WORKFLOW: "CHILD_WORKFLOW_EXECUTION",
}
_CARRIED_OVER = (
    "scheduled_event_id",
    "started_event_id",
    "initiated_event_id",
    "identity",
    "namespace",
    "namespace_id",
)
_CARRIED_MESSAGES = ("workflow_execution", "workflow_type")
_PLAIN_MESSAGES = {
    (StepKind.ACTIVITY, Outcome.FAILED): "Activity task failed",
    (StepKind.ACTIVITY, Outcome.TIMED_OUT): "Activity task timed out",
    (StepKind.ACTIVITY, Outcome.CANCELED): "Activity cancelled",
    (StepKind.CHILD_WORKFLOW, Outcome.FAILED): "Child Workflow execution failed",
    (StepKind.CHILD_WORKFLOW, Outcome.TIMED_OUT): "Child Workflow execution timed out",
    (StepKind.CHILD_WORKFLOW, Outcome.CANCELED): "Child Workflow execution cancelled",
    (StepKind.CHILD_WORKFLOW, Outcome.TERMINATED): "Child Workflow execution terminated",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a step ended."""

    outcome: Outcome
    result: Payloads | None = None
    failure: Failure | None = None
    """The cause, without what the server wraps around it."""
    details: Payloads | None = None
    """Of a cancellation."""
    retry_state: int = 0


PLACEHOLDER = Failure(
    message="the recorded failure takes this place",
    application_failure_info=ApplicationFailureInfo(type="RetrospanFork", non_retryable=True),
)
"""What the server is told of a step that does not succeed."""
TRY_AGAIN = Failure(
    message="a recorded attempt failed here",
    application_failure_info=ApplicationFailureInfo(type="RetrospanFork"),
)
"""What the server is told of an attempt that was followed by another."""


def ending_of(event: HistoryEvent, outcome: Outcome) -> Ending:
    """What a recorded event says of the end of its step."""
    a: Any = attributes_of(event)
    fields = a.DESCRIPTOR.fields_by_name
    if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
        result = a.details["result"] if "result" in a.details else None  # noqa: SIM401 - no dict
        return Ending(outcome, result, a.failure if a.HasField("failure") else None)
    return Ending(
        outcome,
        result=a.result if "result" in fields and a.HasField("result") else None,
        failure=a.failure if "failure" in fields and a.HasField("failure") else None,
        details=a.details if "details" in fields and a.HasField("details") else None,
        retry_state=a.retry_state if "retry_state" in fields else 0,
    )


def failed(failure: Failure) -> Ending:
    """A failure that is not tried again."""
    return Ending(
        Outcome.FAILED,
        failure=failure,
        retry_state=RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE,
    )


def put_into_job(kind: StepKind, ending: Ending, job: Any) -> None:
    """Make the answer to a placeholder the recorded answer.

    Args:
        kind: Of the step.
        ending: With its payloads decoded.
        job: `ResolveActivity` or `ResolveChildWorkflowExecution`.
    """
    if ending.outcome is Outcome.COMPLETED:
        return
    status = getattr(job.result, job.result.WhichOneof("status") or "failed")
    failure = Failure()
    failure.CopyFrom(status.failure)
    if kind is StepKind.LOCAL_ACTIVITY:
        # Nothing is wrapped around it.
        failure.CopyFrom(_cause(ending))
    else:
        failure.message = _PLAIN_MESSAGES.get((kind, ending.outcome), failure.message)
        failure.cause.CopyFrom(_cause(ending))
    which = failure.WhichOneof("failure_info")
    if which in ("activity_failure_info", "child_workflow_execution_failure_info"):
        getattr(failure, which).retry_state = ending.retry_state
    is_canceled = ending.outcome is Outcome.CANCELED
    target = job.result.cancelled if is_canceled else job.result.failed
    target.failure.CopyFrom(failure)


def _cause(ending: Ending) -> Failure:
    if ending.failure is not None:
        return ending.failure
    match ending.outcome:
        case Outcome.CANCELED:
            info = CanceledFailureInfo(details=ending.details)
            return Failure(message="cancelled", canceled_failure_info=info)
        case Outcome.TIMED_OUT:
            kind = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
            timeout = TimeoutFailureInfo(timeout_type=kind)
            return Failure(message="timed out", timeout_failure_info=timeout)
        case _:
            return Failure(message="terminated", terminated_failure_info=TerminatedFailureInfo())


def put_into_event(kind: StepKind, ending: Ending, event: HistoryEvent) -> None:
    """Make the event of a placeholder the recorded one; its references to other events stay."""
    if ending.outcome is Outcome.COMPLETED or kind not in _EVENT_NAMES:
        return
    old: Any = attributes_of(event)
    name = f"{_EVENT_NAMES[kind]}_{ending.outcome.upper()}"
    new: Any = type(getattr(event, f"{name.lower()}_event_attributes"))()
    fields = new.DESCRIPTOR.fields_by_name
    for field in _CARRIED_OVER:
        if field in fields and field in old.DESCRIPTOR.fields_by_name:
            setattr(new, field, getattr(old, field))
    for field in _CARRIED_MESSAGES:
        if field in fields and field in old.DESCRIPTOR.fields_by_name:
            getattr(new, field).CopyFrom(getattr(old, field))
    for field, value in (("failure", ending.failure), ("details", ending.details)):
        if value is not None and field in fields:
            getattr(new, field).CopyFrom(value)
    if "retry_state" in fields:
        new.retry_state = ending.retry_state
    event.event_type = EventType.Value(f"EVENT_TYPE_{name}")
    getattr(event, f"{name.lower()}_event_attributes").CopyFrom(new)
