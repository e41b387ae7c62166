"""Two sides, their rows and the cause: all that a command, a page or a screen shows of a diff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replayer.alignment._align import align
from replayer.alignment.cause import Because, Cause, cause_of
from replayer.alignment.tapes import Origin, decisions_of, origin_of, values_at
from replayer.alignment.words import AlignedRow, Entry, Side

if TYPE_CHECKING:
    from replayer.tape import Tape

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs that were compared."""

    left: Side
    right: Side
    rows: Sequence[AlignedRow]
    cause: Cause | None
    """`None` where the runs do not part."""
    origin: Origin | None = None
    """The line from which the code ran otherwise; `None` without tapes, or where it did not."""

    @property
    def differs(self) -> bool:
        """Whether anything differs but the time that things took."""
        return any(row.is_difference for row in self.rows)


def compare(left: Side, right: Side, tapes: tuple[Tape, Tape] | None = None) -> Comparison:
    """Align two sides and find out where they part.

    Args:
        left: A run.
        right: What it is compared with.
        tapes: Tapes of the two runs, which tell every decision and the line that differs.

    Raises:
        TapeError: A tape is damaged.
    """
    if tapes is None:
        rows = align(left, right)
        return Comparison(left, right, rows, cause_of(rows))
    left = replace(left, decisions=decisions_of(tapes[0]))
    right = replace(right, decisions=decisions_of(tapes[1]))
    rows = align(left, right)
    cause = cause_of(rows)
    if cause is not None and cause.because is Because.BRANCH and cause.explanation is not None:
        row = rows[cause.explanation]
        for tape, entry in zip(tapes, (row.left, row.right), strict=True):
            _read_values(tape, entry)
    origin = origin_of(tapes[0], left.run, tapes[1], right.run)
    return Comparison(left, right, rows, cause, origin)


def _read_values(tape: Tape, entry: Entry | None) -> None:
    if entry is not None and entry.decision is not None:
        entry.decision = replace(entry.decision, values=values_at(tape, entry.decision))
