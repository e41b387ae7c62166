"""Choosing a run to compare with: those of the same type first, healthy ones before others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nsmallest

from tui.app.run_table import RunTable
from tui.pieces import Line
from tui.sources import RunRow

_MOST_LISTED = 500
_WIDTH = 94


def candidates(rows: Iterable[RunRow], like: RunRow) -> list[RunRow]:
    """The other runs, the likeliest first: of the same type, completed, near in time."""

    def rank(row: RunRow) -> tuple[bool, bool, int]:
        is_other = row.workflow_type != like.workflow_type
        apart = abs((row.started_at or 0) - (like.started_at or 0))
        return is_other, row.status != "COMPLETED", apart

    others = (row for row in rows if row.key != like.key)
    return nsmallest(_MOST_LISTED, others, key=rank)


def candidate_lines(rows: Sequence[RunRow]) -> list[Line]:
    """One line each."""
    table = RunTable(rows)
    return [table.line(index, _WIDTH) for index in range(len(rows))]
