"""Small histories, written as a story: each call appends one event."""

from collections.abc import Iterator
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

EPOCH = 1_700_000_000
"""Second at which every built history begins."""


def payload(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


def payloads(*texts: str) -> Payloads:
    return Payloads(payloads=[payload(text) for text in texts])


class EventBuilder:
    """Events with ascending ids; `at` is in seconds after `EPOCH`."""

    def __init__(self) -> None:
        self.events: list[HistoryEvent] = []
        self._at = 0.0

    def add(self, event_type: str, at: float | None = None, **attributes: Any) -> int:
        """Append an event; its id."""
        self._at = self._at if at is None else at
        event = HistoryEvent(
            event_id=len(self.events) + 1,
            event_type=EventType.Value(f"EVENT_TYPE_{event_type}"),
        )
        event.event_time.FromNanoseconds(int((EPOCH + self._at) * 1_000_000_000))
        summary = attributes.pop("summary", None)
        if summary is not None:
            event.user_metadata.summary.CopyFrom(payload(f'"{summary}"'))
        message = getattr(event, f"{event_type.lower()}_event_attributes")
        message.SetInParent()
        message.MergeFrom(type(message)(**attributes))
        self.events.append(event)
        return event.event_id

    def start(self, workflow_type: str = "Order", **attributes: Any) -> int:
        return self.add(
            "WORKFLOW_EXECUTION_STARTED",
            0.0,
            workflow_type={"name": workflow_type},
            task_queue={"name": "orders"},
            **attributes,
        )

    def task(self, at: float, **completed: Any) -> int:
        """A workflow task that completes; the id of its completion."""
        scheduled = self.add("WORKFLOW_TASK_SCHEDULED", at)
        started = self.add("WORKFLOW_TASK_STARTED", at, scheduled_event_id=scheduled)
        return self.add(
            "WORKFLOW_TASK_COMPLETED",
            at,
            scheduled_event_id=scheduled,
            started_event_id=started,
            **completed,
        )

    def activity(self, activity_id: str, name: str, at: float, **attributes: Any) -> int:
        return self.add(
            "ACTIVITY_TASK_SCHEDULED",
            at,
            activity_id=activity_id,
            activity_type={"name": name},
            **attributes,
        )

    def timer(self, timer_id: str, at: float, summary: str | None = None) -> int:
        return self.add("TIMER_STARTED", at, timer_id=timer_id, summary=summary)

    def __iter__(self) -> Iterator[HistoryEvent]:
        return iter(self.events)
