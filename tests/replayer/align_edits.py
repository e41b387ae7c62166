"""Random edits of real histories, event by event, with a record of what was done."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from replayer.alignment import AlignedRow, Entry, Reason, Verdict
from replayer.alignment.words import STEPS

type What = tuple[str, str, tuple[bytes, ...]]
"""Kind, name and input of a step: two steps of which all that is the same are exchangeable."""
type Edit = tuple[str, What]

_OPENING = {
    "ACTIVITY_TASK_SCHEDULED": "scheduled_event_id",
    "TIMER_STARTED": "started_event_id",
    "START_CHILD_WORKFLOW_EXECUTION_INITIATED": "initiated_event_id",
    "NEXUS_OPERATION_SCHEDULED": "scheduled_event_id",
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": "initiated_event_id",
}
_REFERENCES = frozenset(_OPENING.values())
_PREFIX = "EVENT_TYPE_"


def name_of(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix(_PREFIX)


def attributes_of(event: HistoryEvent) -> Any:
    which = event.WhichOneof("attributes")
    assert which is not None
    return getattr(event, which)


@dataclass
class Edited:
    """A history under edit. Events are known by the object; ids are given out at the end."""

    events: list[HistoryEvent]
    done: Counter[Edit] = field(default_factory=Counter)
    """What was done to it."""
    touched: set[int] = field(default_factory=set)
    """Scheduling events, by identity, that were edited already: one edit each."""
    index: dict[tuple[str, int], list[HistoryEvent]] = field(default_factory=dict)
    """Events by the id of the scheduling event that they refer to."""

    @classmethod
    def of(cls, events: Iterable[HistoryEvent]) -> Edited:
        return cls([copy_of(event) for event in events])

    def steps(self) -> list[HistoryEvent]:
        """Scheduling events that nobody touched."""
        return [
            event
            for event in self.events
            if name_of(event) in _OPENING and id(event) not in self.touched
        ]

    def answers(self, step: HistoryEvent) -> list[HistoryEvent]:
        """The events that belong to a step, itself first."""
        if not self.index:
            for event in self.events:
                for reference in _REFERENCES & set(attributes_of(event).DESCRIPTOR.fields_by_name):
                    if not name_of(event).startswith("WORKFLOW_TASK"):
                        number = getattr(attributes_of(event), reference)
                        self.index.setdefault((reference, number), []).append(event)
        found = self.index.get((_OPENING[name_of(step)], step.event_id), [])
        return [step, *(event for event in found if event is not step)]

    def renumbered(self) -> list[HistoryEvent]:
        """The events with ids that ascend without a gap, as a server writes them."""
        numbers = {event.event_id: number for number, event in enumerate(self.events, 1)}
        for event in self.events:
            attributes = attributes_of(event)
            for each in attributes.DESCRIPTOR.fields:
                if each.name.endswith("event_id") and getattr(attributes, each.name):
                    old = getattr(attributes, each.name)
                    setattr(attributes, each.name, numbers.get(old, 0))
            event.event_id = numbers[event.event_id]
        return self.events


def copy_of(event: HistoryEvent) -> HistoryEvent:
    copy = HistoryEvent()
    copy.CopyFrom(event)
    return copy


def what_of(event: HistoryEvent) -> What:
    attributes = attributes_of(event)
    kind = name_of(event).partition("_")[0]
    match name_of(event):
        case "ACTIVITY_TASK_SCHEDULED":
            name = attributes.activity_type.name
        case "TIMER_STARTED":
            name = event.user_metadata.summary.data.decode().strip('"')
        case "START_CHILD_WORKFLOW_EXECUTION_INITIATED":
            name = attributes.workflow_type.name
        case "NEXUS_OPERATION_SCHEDULED":
            return kind, f"{attributes.service}/{attributes.operation}", (attributes.input.data,)
        case _:
            name = attributes.signal_name
    given = () if kind == "TIMER" else tuple(p.data for p in attributes.input.payloads)
    return kind, name, given


def activities(edited: Edited) -> list[HistoryEvent]:
    return [step for step in edited.steps() if name_of(step) == "ACTIVITY_TASK_SCHEDULED"]


def delete(edited: Edited, rng: random.Random) -> None:
    step = rng.choice(edited.steps())
    gone = {id(event) for event in edited.answers(step)}
    edited.done["delete", what_of(step)] += 1
    edited.events = [event for event in edited.events if id(event) not in gone]


def insert(edited: Edited, rng: random.Random) -> None:
    """A step like another one of the history, with an input of its own, somewhere else."""
    new = copy_of(rng.choice(activities(edited)))
    new.event_id = 1_000_000 + rng.randrange(10**9)
    new.activity_task_scheduled_event_attributes.activity_type.name += rng.choice(["", "_extra"])
    _set_input(new, rng)
    place = edited.events.index(rng.choice(edited.steps()))
    edited.events.insert(place, new)
    edited.touched.add(id(new))
    edited.done["insert", what_of(new)] += 1


def change(edited: Edited, rng: random.Random) -> None:
    step = rng.choice(activities(edited))
    _set_input(step, rng)
    edited.touched.add(id(step))
    edited.done["change", what_of(step)] += 1


def retry(edited: Edited, rng: random.Random) -> None:
    started = [
        (step, event)
        for step in edited.steps()
        for event in edited.answers(step)
        if name_of(event) == "ACTIVITY_TASK_STARTED"
    ]
    step, event = rng.choice(started)
    event.activity_task_started_event_attributes.attempt += rng.randint(1, 4)
    edited.touched.add(id(step))
    edited.done["retry", what_of(step)] += 1


def reorder(edited: Edited, rng: random.Random) -> None:
    """Two steps that are open at the same time end the other way round: no difference."""
    pairs = list(_parallel_ends(edited))
    if pairs:
        i, j = rng.choice(pairs)
        edited.events[i], edited.events[j] = edited.events[j], edited.events[i]


def _parallel_ends(edited: Edited) -> Iterable[tuple[int, int]]:
    """Places of neighbouring closing events that may change places."""
    place = {id(event): k for k, event in enumerate(edited.events)}
    ends = sorted(
        (place[id(found[-1])], place[id(found[-2])])
        for step in edited.steps()
        if len(found := edited.answers(step)) > 1
    )
    for (one, _), (other, opened_last) in pairwise(ends):
        if opened_last < one:
            yield one, other


def _set_input(step: HistoryEvent, rng: random.Random) -> None:
    given = step.activity_task_scheduled_event_attributes.input
    del given.payloads[:]
    data = b'{"changed": %d}' % rng.randrange(10**6)
    given.payloads.append(Payload(metadata={"encoding": b"json/plain"}, data=data))


EDITS = (delete, insert, change, retry, reorder)


def edited(events: Sequence[HistoryEvent], share: float, seed: int) -> Edited:
    """A copy with that share of its steps edited."""
    rng = random.Random(seed)
    copy = Edited.of(events)
    for _ in range(max(1, round(len(copy.steps()) * share))):
        rng.choice(EDITS)(copy, rng)
    copy.renumbered()
    return copy


def recovered(rows: Iterable[AlignedRow]) -> Counter[Edit]:
    """The edits that an alignment tells of."""
    found: Counter[Edit] = Counter()
    for row in rows:
        if row.entry.kind not in STEPS:
            continue
        if row.verdict in (Verdict.ONLY_LEFT, Verdict.ONLY_RIGHT):
            name = "delete" if row.verdict is Verdict.ONLY_LEFT else "insert"
            found[name, _what(row.entry)] += 1
        elif row.right is not None and row.verdict is Verdict.MOVED:
            found["move", _what(row.right)] += 1
        elif row.right is not None and Reason.INPUT in row.reasons:
            found["change", _what(row.right)] += 1
        elif row.right is not None and Reason.ATTEMPTS in row.reasons:
            found["retry", _what(row.right)] += 1
        elif row.reasons and set(row.reasons) != {Reason.DURATION}:
            found["other", _what(row.entry)] += 1
    return found


_KINDS = {
    "activity": "ACTIVITY",
    "timer": "TIMER",
    "child_workflow": "START",
    "nexus_operation": "NEXUS",
    "signal_external": "SIGNAL",
}


def _what(entry: Entry) -> What:
    given = tuple(payload.data for payload in entry.input)
    return _KINDS.get(entry.kind, entry.kind), entry.name, given
