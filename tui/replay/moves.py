"""Every way to move, as a function from a focus to another; `None` where there is nothing.

With a tape a step leads to a line, without one to an event or to what the workflow asked for. The
position of the event and that on the tape always tell of the same moment. Each move has its
reverse.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from replayer.alignment import EntryKind
from replayer.tape import CoroutineKind, Kind
from tui.replay.book import Book
from tui.replay.focus import Focus
from tui.replay.stops import Stops

_ASIDE = frozenset({CoroutineKind.CONDITION, CoroutineKind.SDK})
"""Code that the SDK runs as often as it likes; nobody steps there on purpose."""


class Moves:
    """Moves within one book."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._branches: Sequence[int] | None = None
        self._entries: Sequence[int] | None = None

    # -- places --------------------------------------------------------------------------------

    def at_event(self, position: int) -> Focus:
        """The focus on an event."""
        book = self._book
        position = max(0, min(position, len(book.walk.events) - 1))
        line = None
        if book.tape is not None:
            line = book.tape.line_of(book.walk.events[position].event_id)
        return Focus(book.walk.run.key, position, book.branch, line)

    def at_line(self, line: int) -> Focus:
        """The focus on a position of the tape."""
        book = self._book
        assert book.tape is not None
        event = book.tape.event_of(line) or 0
        position = book.positions.get(event, 0)
        return Focus(book.walk.run.key, position, book.branch, line)

    # -- steps ---------------------------------------------------------------------------------

    def over(self, focus: Focus, direction: int) -> Focus | None:
        """The next line of this function, past what it calls; without a tape the next step."""
        book = self._book
        if book.tape is None or focus.line is None:
            return self.entry(focus, direction)
        tape = book.tape.tape
        line = tape.over(focus.line) if direction > 0 else tape.over_back(focus.line)
        return None if line is None else self.at_line(line)

    def into(self, focus: Focus, direction: int) -> Focus | None:
        """The next line that runs anywhere; without a tape the next event."""
        book = self._book
        if book.tape is None or focus.line is None:
            return self.event(focus, direction)
        tape = book.tape.tape
        line: int | None = focus.line
        while line is not None:
            line = tape.step(line) if direction > 0 else tape.step_back(line)
            if line is not None and not self._is_aside(line):
                return self.at_line(line)
        return None

    def _is_aside(self, line: int) -> bool:
        assert self._book.tape is not None
        tape = self._book.tape.tape
        coroutine = tape.at(line).coroutine
        return coroutine is not None and tape.coroutine(coroutine).kind in _ASIDE

    def out(self, focus: Focus, direction: int) -> Focus | None:
        """To the caller's next line, or to the line that called; only on a tape."""
        book = self._book
        if book.tape is None or focus.line is None:
            return None
        tape = book.tape.tape
        line = tape.out(focus.line) if direction > 0 else tape.out_back(focus.line)
        return None if line is None else self.at_line(line)

    def event(self, focus: Focus, direction: int) -> Focus | None:
        """The neighbouring event."""
        position = focus.position + direction
        return self.at_event(position) if 0 <= position < len(self._book.walk.events) else None

    def entry(self, focus: Focus, direction: int) -> Focus | None:
        """Where the next thing begins that the workflow asked for or was sent."""
        return self._among(self._entry_starts(), focus, direction)

    def _entry_starts(self) -> Sequence[int]:
        book = self._book
        if self._entries is None:
            self._entries = sorted({
                book.position_of(entry)
                for entry in book.entries
                if entry.kind is not EntryKind.START and entry.event_id is not None
            })  # fmt: skip
        return self._entries

    def turn(self, focus: Focus, direction: int) -> Focus | None:
        """Where the next turn begins, or the one before."""
        return self._among(self._turn_starts(), focus, direction)

    def turn_number(self, number: int) -> Focus | None:
        """Where a turn begins."""
        starts = self._turn_starts()
        return self.at_event(starts[number - 1]) if 1 <= number <= len(starts) else None

    def turn_edge(self, focus: Focus, direction: int) -> Focus | None:
        """The end of this turn, or its start."""
        book = self._book
        starts = self._turn_starts()
        if direction < 0:
            index = bisect_left(starts, focus.position) - 1
            return self.at_event(starts[index]) if index >= 0 else self.at_event(0)
        index = bisect_right(starts, focus.position)
        last = starts[index] if index < len(starts) else len(book.walk.events)
        return self.at_event(last - 1) if last - 1 > focus.position else None

    def _turn_starts(self) -> Sequence[int]:
        book = self._book
        return sorted(book.position_of(entry) for entry in book.entries if entry.is_model_call)

    def failure(self, focus: Focus, direction: int) -> Focus | None:
        """The next thing that failed, or the one before."""
        return self._among(self._book.failures, focus, direction)

    def first_failure(self) -> Focus | None:
        """The first thing that failed."""
        failures = self._book.failures
        return self.at_event(failures[0]) if failures else None

    def branch(self, focus: Focus, direction: int) -> Focus | None:
        """The next decision of the code, or the one before; only on a tape."""
        book = self._book
        if book.tape is None or focus.line is None:
            return None
        if self._branches is None:
            tape = book.tape.tape
            found = {self._line_at(each.position) for each in tape.branches()}
            self._branches = sorted(line for line in found if not self._is_aside(line))
        line = _neighbour(self._branches, focus.line, direction)
        return None if line is None else self.at_line(line)

    def _line_at(self, position: int) -> int:
        assert self._book.tape is not None
        tape = self._book.tape.tape
        if tape.at(position).kind is Kind.LINE:
            return position
        return tape.step_back(position) or position

    def stop(self, focus: Focus, direction: int, stops: Stops) -> Focus | None:
        """The next place where a breakpoint is, or the one before."""
        if self._book.tape is not None and focus.line is not None:
            line = _neighbour(stops.lines, focus.line, direction)
            return None if line is None else self.at_line(line)
        position = _neighbour(stops.positions, focus.position, direction)
        return None if position is None else self.at_event(position)

    def end(self, direction: int) -> Focus:
        """The first or the last moment of the run."""
        book = self._book
        if book.tape is not None and len(book.tape.tape):
            tape = book.tape.tape
            edge = 0 if direction < 0 else len(tape) - 1
            if tape.at(edge).kind is not Kind.LINE:
                line = tape.step(edge) if direction < 0 else tape.step_back(edge)
                edge = edge if line is None else line
            return self.at_line(edge)
        return self.at_event(0 if direction < 0 else len(book.walk.events) - 1)

    # -- values and frames ---------------------------------------------------------------------

    def who_set(self, focus: Focus, name: str) -> Focus | None:
        """The line that gave a name the value that it has here."""
        book = self._book
        if book.tape is None or focus.line is None:
            return None
        place = book.tape.tape.who_set(name, focus.line, focus.frame)
        return None if place is None else self.at_line(place.position)

    def frame(self, focus: Focus, direction: int) -> Focus | None:
        """The caller's frame, or back towards the innermost; the moment stays the same."""
        book = self._book
        if book.tape is None or focus.line is None:
            return None
        frames = [frame.frame for frame in book.tape.tape.state_at(focus.line).stack]
        if not frames:
            return None
        here = frames.index(focus.frame) if focus.frame in frames else len(frames) - 1
        index = here - direction
        if not 0 <= index < len(frames):
            return None
        return replace(focus, frame=frames[index])

    def _among(self, positions: Sequence[int], focus: Focus, direction: int) -> Focus | None:
        found = _neighbour(positions, focus.position, direction)
        return None if found is None else self.at_event(found)


def _neighbour(known: Sequence[int], here: int, direction: int) -> int | None:
    """The next of some ascending numbers after this one, or the last before it."""
    index = bisect_right(known, here) if direction > 0 else bisect_left(known, here) - 1
    return known[index] if 0 <= index < len(known) else None
