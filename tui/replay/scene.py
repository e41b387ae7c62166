"""What every pane shows at a focus: one value, made off the event loop.

A tape reads chunks from its file as they are needed, so a scene is made in a worker thread and
handed to the screen whole. Panes that are drawn from one scene cannot disagree.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from replayer.tape import (
    FrameState,
    Kind,
    Place,
    SourceState,
    State,
    Value,
    Variable,
)
from tui.replay.book import Book
from tui.replay.code import Code, code_of
from tui.replay.focus import Focus

_MOST_RAN: Final = 50_000
"""Positions of a turn that are looked at for the lines that ran."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the tape knows at a focus."""

    focus: Focus
    place: Place | None = None
    """`None` without a tape, and for events that show nowhere in the code."""
    stack: tuple[FrameState, ...] = ()
    """Outermost first."""
    frame: FrameState | None = None
    """The frame whose values are shown."""
    before: Mapping[str, Variable] = field(default_factory=dict)
    """What its names stood for before the last line ran."""
    since: int = -1
    """Position of that line."""
    subject: Value | None = None
    """What is returned or raised here."""
    code: Code | None = None
    ran: frozenset[int] = frozenset()
    """Lines of the file that ran in this turn."""
    source_state: SourceState = SourceState.SAME
    """How the file on disk compares with what ran."""


class Scenes:
    """Makes scenes of one book; safe to be asked by several threads."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._codes: dict[str, tuple[Code | None, SourceState]] = {}
        self._ran: dict[tuple[int, int, str], frozenset[int]] = {}

    def at(self, focus: Focus) -> Scene:
        """The scene at a focus.

        Raises:
            TapeError: The tape is damaged there.
        """
        if self._book.tape is None or focus.line is None:
            return Scene(focus)
        with self._lock:
            return self._scene(focus, focus.line)

    def _scene(self, focus: Focus, line: int) -> Scene:
        assert self._book.tape is not None
        tape = self._book.tape.tape
        place = tape.at(line)
        stack = tape.state_at(line).stack
        frame = next((each for each in stack if each.frame == focus.frame), None)
        frame = frame or (stack[-1] if stack else None)
        back = tape.over_back(line) if place.kind is Kind.LINE else tape.step_back(line)
        before = {} if back is None or frame is None else _before(tape.state_at(back), frame)
        file = frame.file if frame is not None else place.file
        code, source_state = self._code(file)
        return Scene(
            focus,
            place,
            stack,
            frame,
            before,
            line if back is None else back,
            tape.subject(line),
            code,
            self._lines_of_turn(focus, file) if file else frozenset(),
            source_state,
        )

    def _code(self, file: str) -> tuple[Code | None, SourceState]:
        known = self._codes.get(file)
        if known is None:
            assert self._book.tape is not None
            source = self._book.tape.tape.source(file) if file else None
            code = None if source is None else code_of(file, source.text)
            state = self._book.tape.tape.source_state(file) if source else SourceState.MISSING
            known = self._codes[file] = code, state
        return known

    def _lines_of_turn(self, focus: Focus, file: str) -> frozenset[int]:
        """The lines of a file that ran in the turn, or in the activation where there is none."""
        first, last = self._span(focus)
        key = (first, last, file)
        if key not in self._ran:
            assert self._book.tape is not None
            tape = self._book.tape.tape
            places = (tape.at(position) for position in range(first, last + 1))
            self._ran[key] = frozenset(
                place.line for place in places if place.kind is Kind.LINE and place.file == file
            )
        return self._ran[key]

    def _span(self, focus: Focus) -> tuple[int, int]:
        book = self._book
        assert book.tape is not None
        assert focus.line is not None
        entry = book.entry_at(focus.position)
        activation = book.tape.tape.activation(book.tape.tape.at(focus.line).activation)
        if not entry.turn:
            return activation.first, min(activation.last, activation.first + _MOST_RAN)
        inside = [each for each in book.entries if each.turn == entry.turn and each.event_id]
        first = book.tape.line_of(inside[0].event_id or 0) or 0
        last = book.tape.line_of(max(each.answer_event_id or 0 for each in inside))
        last = max(activation.last, last or first)
        return min(first, activation.first), min(last, first + _MOST_RAN)


def _before(state: State, frame: FrameState) -> dict[str, Variable]:
    """The names of a frame as they were; those of its caller's object where it had not begun."""
    stack = state.stack
    found = next((each for each in stack if each.frame == frame.frame), None)
    found = found or (stack[-1] if stack else None)
    return {} if found is None else {each.name: each for each in found.variables}
