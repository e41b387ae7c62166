"""A run with all that is known of it, ready to be stepped through.

A `Book` is made once, off the event loop, and made anew when a tape comes; it never changes. It
knows which row of the timeline an event belongs to, and which line of code on the tape: everything
a step needs, so that a step is a look-up.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from replayer.alignment import Entry, EntryKind, Knowledge, Side, entries_of
from replayer.history import RunHistory
from replayer.tape import Kind, Tape
from tracer.model import Step, Wait
from tui.forks import origin_of
from tui.walk import Walk, walk_of

_HIDDEN = frozenset({EntryKind.WAIT, EntryKind.BRANCH})
"""A wait is told beside what ended it, a decision by the line that takes it."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the whole run took of models."""

    model_calls: int
    tokens: int | None
    cost_usd: float | None
    """Of the calls whose price is known; `None` if there are none."""
    priced_calls: int


@dataclass(frozen=True, slots=True)
class TapeIndex:
    """A tape, and where on it each event of the run shows."""

    tape: Tape
    events: Sequence[int]
    """Ids of events that show on the tape, ascending."""
    lines: Sequence[int]
    """The line of each of them."""
    commands: Mapping[int, int]
    """Position of a line to the id of the event that its command became."""

    def line_of(self, event_id: int) -> int | None:
        """The line where an event shows, or the last one before it."""
        index = bisect_right(self.events, event_id) - 1
        return self.lines[index] if index >= 0 else None

    def event_of(self, line: int) -> int | None:
        """The event that a line asked for, or the one that made it run."""
        return self.commands.get(line) or self.tape.event_of(line)


@dataclass(frozen=True, slots=True)
class Book:
    """One run."""

    walk: Walk
    entries: Sequence[Entry]
    """What the timeline shows, in its order."""
    owners: Sequence[int]
    """For each event the index of the entry that it belongs to."""
    positions: Mapping[int, int]
    """Event id to position."""
    steps: Mapping[int, Step]
    """Steps by `Step.seq`."""
    waits: Mapping[int, Wait]
    """Waits by the id of the event that ended them."""
    totals: Totals
    failures: Sequence[int]
    """Positions of events that tell of a failure, ascending."""
    tape: TapeIndex | None = None
    branch: str = ""
    """Run id of the fork that this is; empty for a recording."""
    knowledge: Knowledge = field(default_factory=Knowledge)

    @property
    def has_turns(self) -> bool:
        """Whether the run calls models."""
        return self.totals.model_calls > 0

    def entry_at(self, position: int) -> Entry:
        """The entry that the event at a position belongs to."""
        return self.entries[self.owners[position]]

    def position_of(self, entry: Entry) -> int:
        """The position of the event that began an entry."""
        return self.positions.get(entry.event_id or 0, len(self.walk.events) - 1)

    def with_tape(self, tape: Tape | None) -> Book:
        """The same run with a tape."""
        return replace(self, tape=None if tape is None else index_tape(tape))


def book_of(history: RunHistory, knowledge: Knowledge | None = None, branch: str = "") -> Book:
    """Prepare a run. Takes some 10 microseconds per event: not for the event loop.

    Args:
        history: The run.
        knowledge: What else is known of it, such as the model calls that spans told of.
        branch: Its run id, if it is a fork that does not say so itself.
    """
    walk = walk_of(history)
    known = knowledge or Knowledge()
    side = Side(walk.run, calls=known.calls)
    entries = [entry for entry in entries_of(side) if entry.kind not in _HIDDEN]
    positions = {event.event_id: index for index, event in enumerate(walk.events)}
    run = walk.run
    return Book(
        walk,
        entries,
        _owners(walk, entries, positions),
        positions,
        {step.seq: step for step in run.steps},
        {wait.closed_event_id: wait for wait in run.waits if wait.closed_event_id is not None},
        _totals(entries),
        _failures(walk, entries, positions),
        branch=branch or (run.key.run_id if origin_of(run) is not None else ""),
        knowledge=known,
    )


def index_tape(tape: Tape) -> TapeIndex:
    """Find out where the events of a run show on its tape."""
    found: dict[int, int] = {}
    commands: dict[int, int] = {}
    for activation in tape.activations():
        found.setdefault(activation.event_id, activation.first)
        for job in activation.jobs:
            if job.event_id:
                found[job.event_id] = activation.first if job.position is None else job.position
        for command in activation.commands:
            if command.event_id:
                found[command.event_id] = command.position
                commands.setdefault(command.position, command.event_id)
    events = sorted(found)
    return TapeIndex(tape, events, [_line_from(tape, found[each]) for each in events], commands)


def _line_from(tape: Tape, position: int) -> int:
    """The line at a position, or the first that runs from there on; else the one before."""
    if tape.at(position).kind is Kind.LINE:
        return position
    after, before = tape.step(position), tape.step_back(position)
    return position if after is before is None else (before or 0) if after is None else after


def _owners(walk: Walk, entries: Sequence[Entry], positions: Mapping[int, int]) -> Sequence[int]:
    owners = array("l", [-1]) * len(walk.events)
    by_seq = {entry.seq: index for index, entry in enumerate(entries) if entry.seq is not None}
    for position, step in walk.steps.items():
        owners[position] = by_seq.get(step.seq, -1)
    for index, entry in enumerate(entries):
        for event_id in (entry.event_id, entry.answer_event_id):
            at = positions.get(event_id or 0)
            if at is not None and owners[at] < 0:
                owners[at] = index
    owner = 0
    for position, found in enumerate(owners):
        # The coming and going of workflow tasks belongs to what was before.
        owner = owner if found < 0 else found
        owners[position] = owner
    return owners


def _totals(entries: Sequence[Entry]) -> Totals:
    calls = [entry for entry in entries if entry.is_model_call]
    tokens = [call.tokens for call in calls if call.tokens is not None]
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    return Totals(
        len(calls), sum(tokens) if tokens else None, sum(costs) if costs else None, len(costs)
    )


def _failures(walk: Walk, entries: Sequence[Entry], positions: Mapping[int, int]) -> Sequence[int]:
    failed = {
        positions.get(entry.answer_event_id or 0) for entry in entries if entry.failure is not None
    }
    failed |= {
        positions.get(task.closed_event_id or 0)
        for task in walk.run.tasks
        if task.outcome not in (None, "completed")
    }
    return sorted(position for position in failed if position is not None)
