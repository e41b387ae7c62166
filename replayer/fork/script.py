"""The recording as a script: activation by activation, what came in and what was asked for.

Pure over the history. An activation is what the workflow code saw at once: the order *within* the
code depends on which answers and signals came in the same one, so a fork has to group them alike.
Workflow tasks that failed or timed out changed nothing and are left out; those that only kept a
local activity alive are part of the activation before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from replayer.history import RunHistory
from tracer.model import Outcome, Run, Step, StepKind, run_from_events, time_of

__all__ = ["Activation", "Item", "ItemKind", "Script", "attributes_of", "script_of"]


class ItemKind(StrEnum):
    """What can come in."""

    CHILD_STARTED = "child_started"
    STEP_CLOSED = "step_closed"
    SIGNAL = "signal"
    UPDATE = "update"
    CANCEL_REQUEST = "cancel_request"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the workflow code was told."""

    kind: ItemKind
    event: HistoryEvent
    """The event that told it; for an update, its acceptance."""
    step: Step | None = None
    """The step that it answers."""

    @property
    def at(self) -> int:
        """When, in nanoseconds."""
        return time_of(self.event)

    @property
    def is_message(self) -> bool:
        """Whether somebody outside sent it."""
        return self.kind in (ItemKind.SIGNAL, ItemKind.UPDATE, ItemKind.CANCEL_REQUEST)

    @property
    def name(self) -> str:
        """Of the signal, update or step."""
        match self.kind:
            case ItemKind.SIGNAL:
                return str(self.event.workflow_execution_signaled_event_attributes.signal_name)
            case ItemKind.UPDATE:
                accepted = self.event.workflow_execution_update_accepted_event_attributes
                return str(accepted.accepted_request.input.name)
            case ItemKind.CANCEL_REQUEST:
                return "cancel request"
        return self.step.name if self.step else ""


@dataclass(slots=True)
class Activation:
    """One turn of the workflow code."""

    started_at: int
    """What `workflow.now()` was, in nanoseconds."""
    completed_at: int
    event_id: int
    """Of the workflow task's completion; of its last event where it did not complete."""
    inbound: list[Item] = field(default_factory=list)
    """In the order of their events."""
    asked: list[Step] = field(default_factory=list)
    """Steps that it asked for, in the order of their events."""
    is_finished: bool = True
    """False where the recording ends before a workflow task took in what came."""


@dataclass(frozen=True, slots=True)
class Script:
    """A recording, ready to be played to workflow code."""

    history: RunHistory
    run: Run
    activations: tuple[Activation, ...]
    """The first is the start."""
    steps: tuple[Step, ...]
    """Those of the run, and the cancellations of its children: to the server they are requests like
    others, whose answers come in a workflow task."""

    @property
    def started(self) -> HistoryEvent:
        """The first event."""
        return self.history.events[0]

    def event(self, event_id: int) -> HistoryEvent:
        """One event; ids count from 1 without gaps."""
        return self.history.events[event_id - 1]

    def closing_of(self, step: Step) -> HistoryEvent | None:
        """The event that ended a step, None while it is open."""
        return None if step.closed_event_id is None else self.event(step.closed_event_id)


_TASK_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_CHILD_STARTED = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED
_UPDATE_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_MESSAGES = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: ItemKind.SIGNAL,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: ItemKind.CANCEL_REQUEST,
}
_CANCEL_ASKED = EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
_CANCEL_ANSWERS = {
    EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED: Outcome.COMPLETED,
    EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED: Outcome.FAILED,
}
_OWN_DOING = frozenset({EventType.EVENT_TYPE_TIMER_CANCELED, EventType.EVENT_TYPE_MARKER_RECORDED})
"""Events that end a step by the workflow's own command."""


def attributes_of(event: HistoryEvent) -> object:
    """What an event says, whichever type it is."""
    which = event.WhichOneof("attributes")
    return getattr(event, which) if which else None


def script_of(history: RunHistory) -> Script:
    """Read a recording."""
    run = run_from_events(history.key, history.events)
    steps = (*run.steps, *_child_cancellations(history.events))
    maker = _Maker(steps)
    for event in history.events:
        maker.take(event)
    return Script(history, run, tuple(maker.finished()), steps)


def _child_cancellations(events: Iterable[HistoryEvent]) -> list[Step]:
    found: dict[int, Step] = {}
    for event in events:
        if event.event_type == _CANCEL_ASKED:
            a = event.request_cancel_external_workflow_execution_initiated_event_attributes
            if a.child_workflow_only:
                target = a.workflow_execution.workflow_id
                step = Step(StepKind.CANCEL_EXTERNAL, "cancel", target, 1, 0, time_of(event))
                step.scheduled_event_id = event.event_id
                found[event.event_id] = step
        elif (outcome := _CANCEL_ANSWERS.get(event.event_type)) is not None:
            asked = found.get(getattr(attributes_of(event), "initiated_event_id", 0))
            if asked is not None:
                asked.outcome, asked.closed_event_id = outcome, event.event_id
                asked.closed_at = time_of(event)
    return list(found.values())


class _Maker:
    def __init__(self, steps: Sequence[Step]) -> None:
        self._closing = {s.closed_event_id: s for s in steps if s.closed_event_id}
        self._scheduled = {s.scheduled_event_id: s for s in steps if s.scheduled_event_id}
        self._done: list[Activation] = []
        self._pending: list[Item] = []
        self._taken = 0
        self._started_at = 0
        self._last_at = 0

    def take(self, event: HistoryEvent) -> None:
        self._last_at = time_of(event)
        if event.event_type == _TASK_STARTED:
            self._taken, self._started_at = len(self._pending), self._last_at
        elif event.event_type == _TASK_COMPLETED:
            inbound, self._pending = self._pending[: self._taken], self._pending[self._taken :]
            self._done.append(Activation(self._started_at, self._last_at, event.event_id, inbound))
            self._taken = 0
        elif event.event_type == _UPDATE_ACCEPTED and self._done:
            self._done[-1].inbound.append(Item(ItemKind.UPDATE, event))
        elif (item := self._item(event)) is not None:
            self._pending.append(item)
        elif (step := self._scheduled.get(event.event_id)) is not None and self._done:
            self._done[-1].asked.append(step)

    def _item(self, event: HistoryEvent) -> Item | None:
        if (kind := _MESSAGES.get(event.event_type)) is not None:
            return Item(kind, event)
        if event.event_type == _CHILD_STARTED:
            a = event.child_workflow_execution_started_event_attributes
            return Item(ItemKind.CHILD_STARTED, event, self._scheduled.get(a.initiated_event_id))
        step = self._closing.get(event.event_id)
        if step is None or event.event_type in _OWN_DOING:
            return None
        return Item(ItemKind.STEP_CLOSED, event, step)

    def finished(self) -> list[Activation]:
        kept: list[Activation] = []
        for activation in self._done:
            if kept and not activation.inbound:
                # A workflow task without news only kept local activities alive.
                kept[-1].asked.extend(activation.asked)
                kept[-1].completed_at = activation.completed_at
                kept[-1].event_id = activation.event_id
                continue
            kept.append(activation)
        if self._pending or not kept:
            at = self._last_at
            kept.append(Activation(at, at, 0, self._pending, is_finished=False))
        return kept
