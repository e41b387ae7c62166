"""What the fork's history says so far, kept up to date event by event."""

from __future__ import annotations

from collections import Counter
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from replayer.fork.script import attributes_of
from tracer.model import time_of

CLOSINGS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }
)
TASK_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)
ACTIVITY_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
        EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
    }
)
CHILD_BEGINNINGS = frozenset(
    {
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED,
    }
)
CHILD_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TIMED_OUT,
    }
)
EXTERNAL_ASKED = frozenset(
    {
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    }
)
EXTERNAL_ANSWERS = frozenset(
    {
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    }
)


class Ledger:
    """Where the fork stands on its server."""

    def __init__(self) -> None:
        self.events: list[HistoryEvent] = []
        self.task_ends = 0
        """Workflow tasks that completed, failed or timed out."""
        self.last_task_end: HistoryEvent | None = None
        self.closing: HistoryEvent | None = None
        self.timers: dict[str, int] = {}
        """Timers that run, by id: when they fire by the server's clock, in nanoseconds."""
        self.children_begun: set[str] = set()
        """Workflow ids of children that started, or that could not be started."""
        self.children_ended: list[str] = []
        """Workflow ids, in the order in which they ended."""
        self._open_activities: set[int] = set()
        self._is_task_open = False
        self._external: dict[int, str] = {}
        self.external_answered = Counter[str]()
        """Workflow ids of others: how often they were signaled or asked to cancel, or in vain."""

    @property
    def locks(self) -> int:
        """What holds the time-skipping server's clock: tasks that are to be done, or being done."""
        children = len(self.children_begun) - len(set(self.children_ended))
        return len(self._open_activities) + self._is_task_open + max(0, children)

    @property
    def has_task_timed_out(self) -> bool:
        """Whether the last workflow task to end did so because the worker was too slow."""
        end = self.last_task_end
        return end is not None and end.HasField("workflow_task_timed_out_event_attributes")

    @property
    def task_failure(self) -> str | None:
        """Why the last workflow task failed, None where it did not."""
        end = self.last_task_end
        if end is None or not end.HasField("workflow_task_failed_event_attributes"):
            return None
        failure = end.workflow_task_failed_event_attributes.failure
        kind = failure.application_failure_info.type
        return f"the workflow code fails: {kind + ': ' if kind else ''}{failure.message}"

    def take(self, event: HistoryEvent) -> None:
        """Take one event in."""
        self.events.append(event)
        kind, a = event.event_type, attributes_of(event)
        if kind in TASK_ENDS:
            self._is_task_open = False
            self.task_ends += 1
            self.last_task_end = event
        elif kind in CLOSINGS:
            self.closing = event
        elif kind == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
            self._is_task_open = True
        elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            self._open_activities.add(event.event_id)
        elif kind in ACTIVITY_ENDS:
            self._open_activities.discard(getattr(a, "scheduled_event_id", 0))
        elif kind in CHILD_BEGINNINGS:
            self.children_begun.add(_workflow_id(a))
            if kind == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
                self.children_ended.append(_workflow_id(a))
        elif kind in CHILD_ENDS:
            self.children_ended.append(_workflow_id(a))
        elif kind in EXTERNAL_ASKED:
            self._external[event.event_id] = _workflow_id(a)
        elif kind in EXTERNAL_ANSWERS:
            self.external_answered[self._external.get(_initiated(a), "")] += 1
        else:
            self._take_timer(event)

    def _take_timer(self, event: HistoryEvent) -> None:
        match event.event_type:
            case EventType.EVENT_TYPE_TIMER_STARTED:
                a = event.timer_started_event_attributes
                self.timers[a.timer_id] = time_of(event) + a.start_to_fire_timeout.ToNanoseconds()
            case EventType.EVENT_TYPE_TIMER_FIRED:
                self.timers.pop(event.timer_fired_event_attributes.timer_id, None)
            case EventType.EVENT_TYPE_TIMER_CANCELED:
                self.timers.pop(event.timer_canceled_event_attributes.timer_id, None)


def _workflow_id(a: Any) -> str:
    if "workflow_execution" in a.DESCRIPTOR.fields_by_name:
        return str(a.workflow_execution.workflow_id)
    return str(a.workflow_id)


def _initiated(a: Any) -> int:
    return int(a.initiated_event_id)
