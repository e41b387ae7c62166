"""The scrubber: the whole run in one line, with marks that can be clicked.

`●` is here, `✗` a failure, `◆` a breakpoint. Marks are of different shapes, so that none depends on
its colour; the one that matters most wins a cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from tui.pieces import Line, Piece, Tone


@dataclass(frozen=True, slots=True)
class Marks:
    """The cells with marks: there may be thousands of failures, and a step moves none of them."""

    count: int
    """How many places there are."""
    width: int
    """Cells."""
    failures: frozenset[int]
    stops: frozenset[int]

    @classmethod
    def of(cls, count: int, width: int, failures: Iterable[int], stops: Iterable[int]) -> Marks:
        """The marks of some places."""
        return cls(
            count,
            width,
            frozenset(cell_of(place, count, width) for place in failures),
            frozenset(cell_of(place, count, width) for place in stops),
        )

    def line(self, here: int) -> Line:
        """The line, with the reader at a place."""
        if not self.width:
            return ()
        current = cell_of(here, self.count, self.width)
        cells = [("━", Tone.NOTE if cell < current else Tone.DIM) for cell in range(self.width)]
        for cell in self.stops:
            cells[cell] = "◆", Tone.WARN
        for cell in self.failures:
            cells[cell] = "✗", Tone.BAD
        cells[current] = "●", Tone.STRONG
        groups = groupby(cells, key=lambda cell: cell[1])
        return tuple(Piece("".join(text for text, _ in group), tone) for tone, group in groups)


def cell_of(place: int, count: int, width: int) -> int:
    """The cell that shows a place."""
    return 0 if count <= 1 else min(width - 1, place * (width - 1) // (count - 1))


def place_of(cell: int, count: int, width: int) -> int:
    """The place that a click on a cell means."""
    if width <= 1:
        return 0
    return max(0, min(count - 1, round(cell * (count - 1) / (width - 1))))
