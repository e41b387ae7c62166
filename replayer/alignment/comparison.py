"""Two sides, their rows and the cause: all that a command, a page or a screen shows of a diff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replayer.alignment._align import align
from replayer.alignment.cause import Cause, cause_of
from replayer.alignment.words import AlignedRow, Side

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs that were compared."""

    left: Side
    right: Side
    rows: Sequence[AlignedRow]
    cause: Cause | None
    """`None` where the runs do not part."""

    @property
    def differs(self) -> bool:
        """Whether anything differs but the time that things took."""
        return any(row.is_difference for row in self.rows)


def compare(left: Side, right: Side) -> Comparison:
    """Align two sides and find out where they part."""
    rows = align(left, right)
    return Comparison(left, right, rows, cause_of(rows))
