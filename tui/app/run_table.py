"""Runs as lines of a table that fits its width: narrow terminals lose columns, never meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tracer.identity import RunKey
from tui import figures
from tui.event_words import STATUS_GLYPHS
from tui.pieces import Line, Piece, Tone, cell, figure
from tui.sources import RunRow


class _Widths(NamedTuple):
    """Cells of each column; 0 leaves it out. The id takes the rest."""

    status: int
    type: int
    started: int
    duration: int = 8
    steps: int = 6
    attempts: int = 5
    cost: int = 9

    def id(self, width: int) -> int:
        """What the other columns leave, one cell apart."""
        return max(8, width - sum(self) - sum(1 for each in self if each))


_NARROW = _Widths(status=12, type=18, started=0)
_WIDE = _Widths(status=18, type=26, started=19)
_WIDE_FROM = 120


class RunTable:
    """A `LineSource` over rows."""

    def __init__(self, rows: Sequence[RunRow], marked: frozenset[RunKey] = frozenset()) -> None:
        self._rows = rows
        self._marked = marked

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self._rows)

    def line(self, index: int, width: int) -> Line:
        """One run."""
        row = self._rows[index]
        widths = _widths(width)
        cells = [
            _status(row, widths.status),
            cell(row.workflow_type, widths.type, Tone.STRONG),
            self._id(row.key, widths.id(width)),
            cell(figures.moment(row.started_at), widths.started, Tone.DIM),
            figure(figures.duration(row.duration_ns), widths.duration),
            figure(figures.count(row.steps), widths.steps),
            figure(figures.count(row.attempts), widths.attempts),
            figure(figures.money(row.cost_usd), widths.cost),
        ]
        return _spaced(cells)

    def _id(self, key: RunKey, width: int) -> Piece:
        if key in self._marked:
            return cell(f"◆ {key.workflow_id}", width, Tone.WARN)
        return cell(key.workflow_id, width)


def _status(row: RunRow, width: int) -> Piece:
    if row.is_stuck:
        return cell("✗ STUCK", width, Tone.BAD)
    glyph, tone = STATUS_GLYPHS.get(row.status, ("·", Tone.PLAIN))
    return cell(f"{glyph} {row.status}", width, tone)


def headings(width: int) -> Line:
    """The titles above a table of this width."""
    widths = _widths(width)
    return _spaced(
        [
            cell("status", widths.status, Tone.DIM),
            cell("type", widths.type, Tone.DIM),
            cell("workflow id", widths.id(width), Tone.DIM),
            cell("started (UTC)", widths.started, Tone.DIM),
            figure("duration", widths.duration, Tone.DIM),
            figure("steps", widths.steps, Tone.DIM),
            figure("tries", widths.attempts, Tone.DIM),
            figure("cost", widths.cost, Tone.DIM),
        ]
    )


def _widths(width: int) -> _Widths:
    return _WIDE if width >= _WIDE_FROM else _NARROW


def _spaced(cells: Sequence[Piece]) -> Line:
    return tuple(part for each in cells if each.text for part in (each, Piece(" ")))
