"""Where `continue` stops: breakpoints, and the values that are watched.

A breakpoint is plain data. Whether a place is one is asked of a book, never of a running program:
the run is recorded, so every place where it would stop is known beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from replayer.tape import Tape
from tui.replay.book import Book
from tui.walk import type_of

_MOST_CHANGES: Final = 10_000
"""Changes of one value that are stops; a counter of a long run has more."""
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


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """One place to stop at."""

    kind: BreakKind
    name: str = ""
    """The file of a line; the name of a step, an event or a value."""
    line: int = 0

    def __str__(self) -> str:
        """For people."""
        match self.kind:
            case BreakKind.LINE:
                return f"line {self.name.rpartition('/')[2]}:{self.line}"
            case BreakKind.FAILURE:
                return "any failure"
            case kind:
                return f"{kind} {self.name}"


def parse_breakpoint(text: str, file: str = "") -> Breakpoint:
    """Read what follows `:break`.

    `118` and `workflow.py:118` are lines, `failure` is any failure, a name in capitals is a type of
    event, `=name` the change of a value; anything else names steps.

    Args:
        text: As typed.
        file: The file that a bare number is a line of.
    """
    text = text.strip()
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
        positions |= found
        if book.tape is not None:
            events = book.walk.events
            at = (book.tape.line_of(events[position].event_id) for position in found)
            lines.update(line for line in at if line is not None)
            lines.update(_lines(book.tape.tape, each))
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


def _lines(tape: Tape, wanted: Breakpoint) -> Iterator[int]:
    if wanted.kind is BreakKind.LINE:
        yield from tape.hits(wanted.name, wanted.line)
    elif wanted.kind is BreakKind.CHANGE and len(tape):
        last = len(tape) - 1
        for count, change in enumerate(tape.changes(wanted.name, last)):
            if count >= _MOST_CHANGES:
                return
            yield change.position if change.set_by is None else change.set_by
