"""Steps on a tape, forward and back: from a position to the next that a person means.

All steps lead to lines. There is no replay: a step looks at columns of numbers. Each gives None
where there is nothing to step to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replayer.tape._chunks import NO_FRAME
from replayer.tape._load import Loaded
from replayer.tape.words import Kind

__all__ = ["Steps"]

_LINE: Final = Kind.LINE
_ENDS: Final = (Kind.RETURN, Kind.UNWIND, Kind.GONE)


class Steps:
    """Steps on one tape."""

    def __init__(self, loaded: Loaded) -> None:
        self._kinds = loaded.kinds
        self._frames = loaded.frames
        self._parents = loaded.tables.frame_parents
        self._coroutines = loaded.tables.frame_coroutines

    def forward(self, position: int) -> int | None:
        """The next line that runs, in whatever coroutine."""
        found = self._kinds.find(_LINE, position + 1)
        return None if found < 0 else found

    def back(self, position: int) -> int | None:
        """The line that ran before."""
        found = self._kinds.rfind(_LINE, 0, position)
        return None if found < 0 else found

    def over(self, position: int) -> int | None:
        """The next line of this function, past what it calls and awaits; else of its caller."""
        frame = self._frames[position]
        if frame == NO_FRAME:
            return self.forward(position)
        return self._next_in(frame, self._after(position))

    def over_back(self, position: int) -> int | None:
        """The line of this function before, past what it called; else the line that called it."""
        frame = self._frames[position]
        if frame == NO_FRAME:
            return self.back(position)
        return self._previous_in(frame, range(position - 1, -1, -1))

    def out(self, position: int) -> int | None:
        """The next line of the caller, when this function is over."""
        frame = self._frames[position]
        if frame == NO_FRAME:
            return self.forward(position)
        for at in self._after(position):
            if self._frames[at] == frame and self._kinds[at] in _ENDS:
                return self._next_in(self._parents[frame], self._after(at))
        return None

    def out_back(self, position: int) -> int | None:
        """The line that called this function."""
        frame = self._frames[position]
        if frame == NO_FRAME:
            return self.back(position)
        for at in range(position, -1, -1):
            if self._frames[at] == frame and self._kinds[at] == Kind.CALL:
                return self._previous_in(self._parents[frame], range(at - 1, -1, -1))
        return None

    def along(self, position: int) -> int | None:
        """The next line in the same coroutine."""
        return self._same_coroutine(position, self._after(position))

    def along_back(self, position: int) -> int | None:
        """The line before in the same coroutine."""
        return self._same_coroutine(position, range(position - 1, -1, -1))

    def _after(self, position: int) -> range:
        return range(position + 1, len(self._kinds))

    def _next_in(self, frame: int, positions: range) -> int | None:
        kinds, frames = self._kinds, self._frames
        for at in positions:
            if frame == NO_FRAME:
                # The coroutine is over: go on with whatever runs next.
                return self.forward(at - 1)
            if frames[at] != frame:
                continue
            if kinds[at] == _LINE:
                return at
            if kinds[at] in _ENDS:
                frame = self._parents[frame]
        return None

    def _previous_in(self, frame: int, positions: range) -> int | None:
        kinds, frames = self._kinds, self._frames
        for at in positions:
            if frame == NO_FRAME:
                return self.back(at + 1)
            if frames[at] != frame:
                continue
            if kinds[at] == _LINE:
                return at
            if kinds[at] == Kind.CALL:
                frame = self._parents[frame]
        return None

    def _same_coroutine(self, position: int, positions: Iterable[int]) -> int | None:
        frame = self._frames[position]
        if frame == NO_FRAME:
            return None
        coroutine = self._coroutines[frame]
        for at in positions:
            if self._kinds[at] != _LINE:
                continue
            if self._coroutines[self._frames[at]] == coroutine:
                return at
        return None
