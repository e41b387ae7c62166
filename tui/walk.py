"""A run prepared for walking: its events in order, and which step each of them belongs to.

A `Walk` is made once per run, off the event loop, and answers every question that a screen asks
about a position without looking at another event. Positions are indexes into `events`; event ids
may have gaps and are only for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from replayer.history import RunHistory
from tracer.model import Run, Step, run_from_events, time_of
from tracer.model.enums import EVENT_TYPE, name_of

type Event = Any
"""A `temporalio.api.history.v1.HistoryEvent`."""

# How events name the one that opened what they belong to: activities and Nexus operations, child
# workflows and external signals, timers. An activity's answer also has `started_event_id`, which
# names its own start; the first field that leads to a step counts.
_REFERENCES = ("scheduled_event_id", "initiated_event_id", "started_event_id")

_QUIET = frozenset({"WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"})


@dataclass(frozen=True, slots=True)
class Walk:
    """One run, with an index of its events."""

    run: Run
    history: RunHistory
    steps: Mapping[int, Step]
    """The step that the event at a position belongs to."""
    loud: tuple[int, ...]
    """Positions of all events but the coming and going of workflow tasks, ascending."""

    @property
    def events(self) -> Sequence[Event]:
        """Every event, in order."""
        return self.history.events

    def offset_ns(self, position: int) -> int:
        """Nanoseconds from the first event; negative where a clock went back."""
        return time_of(self.events[position]) - time_of(self.events[0])


def walk_of(history: RunHistory) -> Walk:
    """Prepare a run. Takes a few microseconds per event: not for the event loop."""
    run = run_from_events(history.key, history.events)
    opened = {s.scheduled_event_id: s for s in run.steps if s.scheduled_event_id is not None}
    steps: dict[int, Step] = {}
    loud: list[int] = []
    for position, event in enumerate(history.events):
        step = opened.get(event.event_id) or _referenced(event, opened)
        if step is not None:
            steps[position] = step
        if type_of(event) not in _QUIET:
            loud.append(position)
    return Walk(run, history, steps, tuple(loud))


def type_of(event: Event) -> str:
    """The event's type without prefix, such as `TIMER_FIRED`; a number for one that is unknown."""
    return name_of(EVENT_TYPE, event.event_type) or "UNSPECIFIED"


def attributes_of(event: Event) -> Any:
    """The part of the event that is particular to its type, `None` where it has none."""
    which = event.WhichOneof("attributes")
    return getattr(event, which) if which else None


def _referenced(event: Event, opened: Mapping[int, Step]) -> Step | None:
    which = event.WhichOneof("attributes")
    if which is None:
        return None
    attributes = getattr(event, which)
    for name in _references(attributes.DESCRIPTOR):
        step = opened.get(getattr(attributes, name))
        if step is not None:
            return step
    return None


@cache
def _references(descriptor: Any) -> tuple[str, ...]:
    return tuple(name for name in _REFERENCES if name in descriptor.fields_by_name)
