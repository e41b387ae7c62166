"""Where `continue` stops: breakpoints, and the values that are watched.

A breakpoint is plain data. Whether a place is one is asked of a book, never of a running program:
the run is recorded, so every place where it would stop is known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import islice
from typing import Final

from replayer.tape import Change, Kind, Tape
from tui.replay.book import Book
from tui.replay.conditions import Condition, parse_condition
from tui.walk import type_of

_MOST_CHANGES: Final = 10_000
"""Changes of one value, or lines of a condition on locals, that are stops; long runs have more."""
_PLACE: Final = re.compile(r"(?:(?P<file>.+):)?(?P<line>\d+)")


class BreakKind(StrEnum):
    """What a breakpoint waits for."""

    LINE = "line"
    """A line of code is about to run."""
    STEP = "step"
    """A step, signal or update of this name begins; `*` stands for anything."""
    EVENT = "event"
    """An event of this type, such as `TIMER_FIRED`."""
    FAILURE = "failure"
    """Anything fails."""
    CHANGE = "change"
    """A value gets another one: what is watched."""
    WHEN = "when"
    """A condition comes to be so, wherever that is."""


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """One place to stop at."""

    kind: BreakKind
    name: str = ""
    """The file of a line; the name of a step, an event or a value."""
    line: int = 0
    condition: Condition | None = None
    """What must be so for it to stop; nothing needs to be so for `None`."""

    def __str__(self) -> str:
        """For people."""
        when = "" if self.condition is None else f" if {self.condition}"
        return f"{self._place}{when}"

    @property
    def _place(self) -> str:
        match self.kind:
            case BreakKind.WHEN:
                return "any line"
            case BreakKind.LINE:
                return f"line {self.name.rpartition('/')[2]}:{self.line}"
            case BreakKind.FAILURE:
                return "any failure"
            case kind:
                return f"{kind} {self.name}"


def parse_breakpoint(text: str, file: str = "") -> Breakpoint:
    """Read what follows `:break`.

    `118` and `workflow.py:118` are lines, `failure` is any failure, a name in capitals is a type of
    event, `=name` the change of a value; anything else names steps. `… if CONDITION` stops there
    only while a condition holds, and `if CONDITION` alone wherever it comes to hold.

    Args:
        text: As typed.
        file: The file that a bare number is a line of.

    Raises:
        ConditionError: What follows `if` is no condition.
    """
    text, has_condition, asked = f" {text.strip()} ".partition(" if ")
    text, condition = text.strip(), parse_condition(asked) if has_condition else None
    if condition is not None and not text:
        return Breakpoint(BreakKind.WHEN, condition=condition)
    return replace(_placed(text, file), condition=condition)


def _placed(text: str, file: str) -> Breakpoint:
    place = _PLACE.fullmatch(text)
    if place is not None:
        return Breakpoint(BreakKind.LINE, place["file"] or file, int(place["line"]))
    if text in ("", "failure"):
        return Breakpoint(BreakKind.FAILURE)
    if text.startswith("="):
        return Breakpoint(BreakKind.CHANGE, text[1:].strip())
    if text.isupper() and "_" in text:
        return Breakpoint(BreakKind.EVENT, text)
    return Breakpoint(BreakKind.STEP, text)


@dataclass(frozen=True, slots=True)
class Stops:
    """Every place that the breakpoints name in one run."""

    lines: tuple[int, ...]
    """Positions on the tape, ascending."""
    positions: tuple[int, ...]
    """Positions of events, ascending."""


def stops_of(book: Book, breakpoints: Iterable[Breakpoint]) -> Stops:
    """Find the places. Reads the tape; for watched values a good part of it."""
    lines: set[int] = set()
    positions: set[int] = set()
    for each in breakpoints:
        found = set(_positions(book, each))
        if book.tape is None:
            # Without a tape no value is known, so no condition is so.
            positions |= found if each.condition is None else set()
            continue
        events, tape = book.walk.events, book.tape
        at = {position: tape.line_of(events[position].event_id) for position in found}
        stops = {line for line in (*at.values(), *_lines(tape.tape, each)) if line is not None}
        kept = _held(tape.tape, each, stops)
        lines |= kept
        positions |= {position for position in found if not each.condition or at[position] in kept}
    return Stops(tuple(sorted(lines)), tuple(sorted(positions)))


def _positions(book: Book, wanted: Breakpoint) -> Iterator[int]:
    match wanted.kind:
        case BreakKind.STEP:
            for entry in book.entries:
                if entry.event_id is not None and fnmatchcase(entry.name, wanted.name):
                    yield book.position_of(entry)
        case BreakKind.EVENT:
            for position, event in enumerate(book.walk.events):
                if type_of(event) == wanted.name:
                    yield position
        case BreakKind.FAILURE:
            yield from book.failures


def _held(tape: Tape, wanted: Breakpoint, lines: set[int]) -> set[int]:
    """The lines at which the condition holds; where it is all there is, those where that is new."""
    condition = wanted.condition
    if condition is None:
        return lines
    kept: set[int] = set()
    did_hold = False
    for line in sorted(lines):
        stack = tape.state_at(line).stack
        holds = condition.holds(stack[-1] if stack else None)
        if holds and not (wanted.kind is BreakKind.WHEN and did_hold):
            kept.add(line)
        did_hold = holds
    return kept


def _lines(tape: Tape, wanted: Breakpoint) -> Iterator[int]:
    if wanted.kind is BreakKind.LINE:
        yield from tape.hits(wanted.name, wanted.line)
    elif wanted.kind is BreakKind.CHANGE:
        for change in _changes(tape, wanted.name):
            yield change.position if change.set_by is None else change.set_by
    elif wanted.kind is BreakKind.WHEN and wanted.condition is not None:
        names = wanted.condition.names
        if all(name.startswith("self.") for name in names):
            # Only with a value can a condition change.
            for name in names:
                yield from (change.position for change in _changes(tape, name))
        else:  # A local is another one in each call.
            places = map(tape.at, range(min(len(tape), _MOST_CHANGES)))
            yield from (place.position for place in places if place.kind is Kind.LINE)


def _changes(tape: Tape, name: str) -> Iterator[Change]:
    return islice(tape.changes(name, len(tape) - 1), _MOST_CHANGES) if len(tape) else iter(())
