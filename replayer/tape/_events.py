"""Which event of the history a job came from, and which one a command became.

Commands become events in the order in which they were asked for, so each takes the first event of
its type and its id that comes after the workflow task began. What answers a step is the model's
knowledge (`tracer.model`): the step that the scheduling event opened knows what closed it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from tracer.model import Run, Step

__all__ = ["ENDINGS", "AskedFor", "Brought", "EventMap"]

_PREFIX: Final = "EVENT_TYPE_"
_BECOMES: Final = {
    "start_timer": "TIMER_STARTED",
    "schedule_activity": "ACTIVITY_TASK_SCHEDULED",
    "request_cancel_activity": "ACTIVITY_TASK_CANCEL_REQUESTED",
    "cancel_timer": "TIMER_CANCELED",
    "complete_workflow_execution": "WORKFLOW_EXECUTION_COMPLETED",
    "fail_workflow_execution": "WORKFLOW_EXECUTION_FAILED",
    "continue_as_new_workflow_execution": "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
    "cancel_workflow_execution": "WORKFLOW_EXECUTION_CANCELED",
    "start_child_workflow_execution": "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
    "cancel_child_workflow_execution": "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
    "request_cancel_external_workflow_execution": (
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"
    ),
    "signal_external_workflow_execution": "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
    "upsert_workflow_search_attributes": "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
    "modify_workflow_properties": "WORKFLOW_PROPERTIES_MODIFIED",
    "schedule_nexus_operation": "NEXUS_OPERATION_SCHEDULED",
    "request_cancel_nexus_operation": "NEXUS_OPERATION_CANCEL_REQUESTED",
}
_ANSWERS: Final = {
    "fire_timer": "timer",
    "resolve_activity": "activity",
    "resolve_child_workflow_execution": "child",
    "resolve_child_workflow_execution_start": "child",
    "resolve_nexus_operation": "nexus",
    "resolve_nexus_operation_start": "nexus",
    "resolve_signal_external_workflow": "signal",
    "resolve_request_cancel_external_workflow": "cancel",
}
_OPENS: Final = {
    "start_timer": "timer",
    "schedule_activity": "activity",
    "schedule_local_activity": "activity",
    "start_child_workflow_execution": "child",
    "schedule_nexus_operation": "nexus",
    "signal_external_workflow_execution": "signal",
    "request_cancel_external_workflow_execution": "cancel",
}
ENDINGS: Final = frozenset({
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
})  # fmt: skip
"""Commands that end a run."""
_STARTED: Final = {
    "CHILD_WORKFLOW_EXECUTION_STARTED": "initiated_event_id",
    "NEXUS_OPERATION_STARTED": "scheduled_event_id",
}


@dataclass(frozen=True, slots=True)
class AskedFor:
    """A command, with the event that it became."""

    name: str
    about: str
    event_id: int | None
    opens: tuple[str, int] | None
    """What will be answered: kind and the SDK's number; None for what has no answer."""


@dataclass(frozen=True, slots=True)
class Brought:
    """A job, with the event that it came from."""

    name: str
    about: str
    event_id: int | None
    asked_by: tuple[str, int] | None
    """What the workflow asked for and is answered here: kind and the SDK's number."""


class EventMap:
    """Maps one replay's jobs and commands onto a history. Give it all of them, in order."""

    def __init__(self, run: Run, events: Iterable[HistoryEvent]) -> None:
        self._queues: dict[tuple[str, str], deque[int]] = defaultdict(deque)
        self._started: dict[int, int] = {}
        self._steps = {step.scheduled_event_id: step for step in run.steps}
        self._local = {
            step.id: step for step in run.steps if step.closed_event_id == step.scheduled_event_id
        }
        self._patches = {patch.id: patch.event_id for patch in reversed(run.patches)}
        self._open: dict[tuple[str, int], tuple[str, int | None, Step | None]] = {}
        """By kind and number: what it is about, its event, its step."""
        self._update_ids: dict[str, str] = {}
        self._first = run.first_event_id
        self._batches: list[tuple[int, int]] = []
        """Events that code sees or causes, with the `WORKFLOW_TASK_COMPLETED` that caused them."""
        for event in events:
            self._add(event)

    def job(self, name: str, job: Any, history_length: int) -> Brought:
        """The event behind a job of an activation that has seen `history_length` events."""
        if name in _ANSWERS:
            return self._answer(name, job, history_length)
        match name:
            case "initialize_workflow":
                return Brought(name, job.workflow_type, self._first, None)
            case "signal_workflow":
                event_id = self._take(("WORKFLOW_EXECUTION_SIGNALED", job.signal_name), 0)
                return Brought(name, job.signal_name, event_id, None)
            case "do_update":
                self._update_ids[job.protocol_instance_id] = job.id
                key = ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED", job.protocol_instance_id)
                return Brought(name, job.name, self._peek(key), None)
            case "cancel_workflow":
                key = ("WORKFLOW_EXECUTION_CANCEL_REQUESTED", "")
                return Brought(name, job.reason, self._take(key, 0), None)
            case "notify_has_patch":
                return Brought(name, job.patch_id, self._patches.get(job.patch_id), None)
            case _:
                return Brought(name, "", None, None)

    def command(self, name: str, command: Any, history_length: int) -> AskedFor:
        """The event that a command became."""
        about, event_id = self._became(name, command, history_length)
        kind = _OPENS.get(name)
        if kind is None:
            return AskedFor(name, about, event_id, None)
        step = self._steps.get(event_id) if event_id is not None else None
        self._open[kind, command.seq] = (about, event_id, step)
        return AskedFor(name, about, event_id, (kind, command.seq))

    def _became(self, name: str, command: Any, after: int) -> tuple[str, int | None]:
        match name:
            case "schedule_local_activity":
                step = self._local.get(command.activity_id)
                return command.activity_type, step.scheduled_event_id if step else None
            case "set_patch_marker":
                return command.patch_id, self._patches.get(command.patch_id)
            case "update_response":
                return self._update_response(command, after)
            case "cancel_timer" | "request_cancel_activity" | "request_cancel_nexus_operation":
                return self._cancel(name, command, after)
            case _:
                key, about = _identity(name, command)
                event_id = self._take((_BECOMES.get(name, ""), key), after)
                if name in ENDINGS and event_id is not None and self._goes_on(after, event_id):
                    event_id = None
                return about, event_id

    def _goes_on(self, after: int, closing: int) -> bool:
        """Whether the run went on between a task's start and the event that closed it."""
        batch = next((batch for event_id, batch in self._batches if event_id == closing), 0)
        return any(
            after + 1 < event_id < closing and (not its_batch or its_batch != batch)
            for event_id, its_batch in self._batches
        )

    def _cancel(self, name: str, command: Any, after: int) -> tuple[str, int | None]:
        kind = {"cancel_timer": "timer", "request_cancel_activity": "activity"}.get(name, "nexus")
        about, opened, _ = self._open.get((kind, command.seq), ("", None, None))
        key = str(command.seq) if kind == "timer" else str(opened)
        return about, self._take((_BECOMES[name], key), after)

    def _update_response(self, command: Any, after: int) -> tuple[str, int | None]:
        which = command.WhichOneof("response") or ""
        if which == "accepted":
            key = ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED", command.protocol_instance_id)
        else:
            update_id = self._update_ids.get(command.protocol_instance_id, "")
            key = ("WORKFLOW_EXECUTION_UPDATE_COMPLETED", update_id)
        return which, self._take(key, after)

    def _answer(self, name: str, job: Any, history_length: int) -> Brought:
        asked_by = (_ANSWERS[name], job.seq)
        about, opened, step = self._open.get(asked_by, ("", None, None))
        if name.endswith("_start") and opened in self._started:
            event_id: int | None = self._started[opened]
        else:
            event_id = step.closed_event_id if step else None
        if event_id is not None and event_id > history_length and not self._is_local(step):
            # Answered before the history says so: the SDK does not wait for some cancellations.
            event_id = None
        return Brought(name, about, event_id, asked_by)

    def _is_local(self, step: Step | None) -> bool:
        return step is not None and step.closed_event_id == step.scheduled_event_id

    def _take(self, key: tuple[str, str], after: int) -> int | None:
        queue = self._queues.get(key)
        while queue:
            if (event_id := queue.popleft()) > after:
                return event_id
        return None

    def _peek(self, key: tuple[str, str]) -> int | None:
        queue = self._queues.get(key)
        return queue[0] if queue else None

    def _add(self, event: HistoryEvent) -> None:
        name = _type_of(event)
        field = event.WhichOneof("attributes")
        if field is None:
            return
        attributes = getattr(event, field)
        self._queues[name, _event_key(name, attributes)].append(event.event_id)
        if not name.startswith("WORKFLOW_TASK_") and name != "MARKER_RECORDED":
            batch = getattr(attributes, "workflow_task_completed_event_id", 0)
            self._batches.append((event.event_id, batch))
        if (started := _STARTED.get(name)) is not None:
            self._started[getattr(attributes, started)] = event.event_id


def _type_of(event: HistoryEvent) -> str:
    try:
        return EventType.Name(event.event_type).removeprefix(_PREFIX)
    except ValueError:
        return ""


def _event_key(name: str, a: Any) -> str:
    """What tells events of one type apart, in the words of the command or job."""
    match name:
        case "TIMER_STARTED" | "TIMER_CANCELED":
            return str(a.timer_id)
        case "ACTIVITY_TASK_SCHEDULED":
            return str(a.activity_id)
        case "ACTIVITY_TASK_CANCEL_REQUESTED" | "NEXUS_OPERATION_CANCEL_REQUESTED":
            return str(a.scheduled_event_id)
        case "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            return str(a.workflow_id)
        case "WORKFLOW_EXECUTION_SIGNALED" | "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED":
            return str(a.signal_name)
        case "WORKFLOW_EXECUTION_UPDATE_ACCEPTED":
            return str(a.protocol_instance_id)
        case "WORKFLOW_EXECUTION_UPDATE_COMPLETED":
            return str(a.meta.update_id)
        case "NEXUS_OPERATION_SCHEDULED":
            return f"{a.service}/{a.operation}"
        case _:
            return ""


def _identity(name: str, a: Any) -> tuple[str, str]:
    """What tells commands of one kind apart, and what to show."""
    match name:
        case "start_timer":
            return str(a.seq), str(a.seq)
        case "schedule_activity":
            return str(a.activity_id), str(a.activity_type)
        case "start_child_workflow_execution":
            return str(a.workflow_id), str(a.workflow_type)
        case "signal_external_workflow_execution":
            return str(a.signal_name), str(a.signal_name)
        case "schedule_nexus_operation":
            return f"{a.service}/{a.operation}", f"{a.service}/{a.operation}"
        case "continue_as_new_workflow_execution":
            return "", str(a.workflow_type)
        case _:
            return "", ""
