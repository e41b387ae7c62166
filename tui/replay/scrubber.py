"""The scrubber: the whole run in one line, with marks that can be clicked.

`●` is here, `✗` a failure, `◆` a breakpoint. Marks are of different shapes, so that none depends on
its colour; the one that matters most wins a cell.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from tui.pieces import Line, Piece, Tone


def scrubber_line(
    count: int, here: int, failures: Iterable[int], stops: Iterable[int], width: int
) -> Line:
    """The line.

    Args:
        count: How many places there are.
        here: The place of the reader.
        failures: Places of failures.
        stops: Places of breakpoints.
        width: Cells.
    """
    cells: list[tuple[str, Tone]] = [("━", Tone.DIM)] * width
    current = cell_of(here, count, width)
    for index in range(current):
        cells[index] = "━", Tone.NOTE
    for place in stops:
        cells[cell_of(place, count, width)] = "◆", Tone.WARN
    for place in failures:
        cells[cell_of(place, count, width)] = "✗", Tone.BAD
    if width:
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
