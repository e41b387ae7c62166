"""Small valid histories, built from protobuf."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import History, HistoryEvent

RUN_ID = "5f0f9b3e-8a57-4b3c-9d55-0d7d1f6f3a10"
_START_SECONDS = 1_780_000_000

MakeHistory = Callable[..., History]


def _event(history: History, kind: str, **attributes: object) -> HistoryEvent:
    """Append one event: ids count up, and events are half a second apart."""
    event_id = len(history.events) + 1
    field = f"{kind}_event_attributes"
    event = history.events.add(
        event_id=event_id,
        event_type=EventType.Value(f"EVENT_TYPE_{kind.upper()}"),
        task_id=1_048_576 + event_id,
    )
    event.event_time.FromNanoseconds((_START_SECONDS * 2 + event_id) * 500_000_000 + 123_456_789)
    getattr(event, field).SetInParent()
    for name, value in attributes.items():
        target = getattr(event, field)
        if hasattr(value, "DESCRIPTOR"):
            getattr(target, name).CopyFrom(value)
        elif isinstance(value, dict):
            getattr(target, name).MergeFrom(type(getattr(target, name))(**value))
        else:
            setattr(target, name, value)
    return event


def _payloads(*data: bytes) -> dict[str, object]:
    return {"payloads": [{"metadata": {"encoding": b"json/plain"}, "data": d} for d in data]}


def _workflow_task(history: History) -> int:
    first = len(history.events) + 1
    _event(history, "workflow_task_scheduled", task_queue={"name": "q"}, attempt=1)
    _event(history, "workflow_task_started", scheduled_event_id=first, history_size_bytes=4711)
    _event(history, "workflow_task_completed", scheduled_event_id=first, started_event_id=first + 1)
    return first + 2


def _reset(history: History, new_run_id: str) -> None:
    first = len(history.events) + 1
    _event(history, "workflow_task_scheduled", attempt=1)
    _event(history, "workflow_task_started", scheduled_event_id=first)
    _event(
        history,
        "workflow_task_failed",
        scheduled_event_id=first,
        cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        base_run_id=RUN_ID,
        new_run_id=new_run_id,
    )


def _make_history(
    *,
    activities: int = 1,
    workflow_id: str = "order-1",
    run_id: str = RUN_ID,
    first_run_id: str | None = None,
    continued_from: str = "",
    reset_to: str | None = None,
    is_open: bool = False,
    data: bytes = b'{"amount": 900}',
) -> History:
    """A run with some activities, a timer and a marker; 6 + 6 events for each activity."""
    history = History()
    _event(
        history,
        "workflow_execution_started",
        workflow_type={"name": "Order"},
        task_queue={"name": "q"},
        input=_payloads(data),
        workflow_id=workflow_id,
        original_execution_run_id=run_id,
        first_execution_run_id=run_id if first_run_id is None else first_run_id,
        continued_execution_run_id=continued_from,
        attempt=1,
    )
    completed = _workflow_task(history)
    if reset_to is not None:
        _reset(history, reset_to)
        completed = _workflow_task(history)
    for _ in range(activities):
        scheduled = _event(
            history,
            "activity_task_scheduled",
            activity_id=str(completed),
            activity_type={"name": "charge"},
            input=_payloads(b'"a"', b"7"),
            workflow_task_completed_event_id=completed,
        ).event_id
        started = _event(
            history, "activity_task_started", scheduled_event_id=scheduled, attempt=1
        ).event_id
        _event(
            history,
            "activity_task_completed",
            scheduled_event_id=scheduled,
            started_event_id=started,
            result=_payloads(b"true"),
        )
        completed = _workflow_task(history)
    _event(history, "timer_started", timer_id="1", workflow_task_completed_event_id=completed)
    if not is_open:
        _event(
            history,
            "workflow_execution_completed",
            result=_payloads(b"null"),
            workflow_task_completed_event_id=completed,
        )
    return history


@pytest.fixture(scope="session")
def make_history() -> MakeHistory:
    return _make_history
