"""Where two runs part, and the recorded value that explains it.

A workflow decides by what it reads: its input, the answers of steps, messages, fired timers. So the
first thing that it *did* otherwise (asked for another step, asked with other input, came to another
end) is where the runs part, and what it *read* otherwise before that is why. If it read nothing
otherwise, the code itself must be another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from replayer.alignment.words import (
    MESSAGES,
    STEPS,
    AlignedRow,
    Entry,
    EntryKind,
    Reason,
    Verdict,
)

__all__ = ["Because", "Cause", "cause_of"]

_READ: Final = frozenset({Reason.OUTPUT, Reason.OUTCOME})
_ASKED: Final = frozenset({Reason.INPUT, Reason.POLICY})
_ONE_SIDED: Final = frozenset({Verdict.ONLY_LEFT, Verdict.ONLY_RIGHT})


class Because(StrEnum):
    """What kind of recorded value explains a divergence."""

    BRANCH = "branch"
    """A decision went the other way."""
    INPUT = "input"
    """The runs were started with different input."""
    ANSWER = "answer"
    """A step was answered otherwise."""
    MESSAGE = "message"
    """A signal or update came on one side only, or with another content."""
    CODE = "code"
    """Nothing that was read before differs: the code does."""
    ITSELF = "itself"
    """The workflow did the same: the divergence is an answer or a message, and nothing followed."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The first divergence of two runs."""

    divergence: int
    """Index of the row in which the runs part."""
    because: Because
    explanation: int | None
    """Index of the row that explains it, `None` where the code does."""


def cause_of(rows: Sequence[AlignedRow]) -> Cause | None:
    """Where two aligned runs part and why; `None` if they do not."""
    divergence = _first(rows, _did_otherwise)
    if divergence is None:
        read = _first(rows, _read_otherwise)
        return None if read is None else Cause(read, Because.ITSELF, read)
    branch = _first(rows[: divergence + 1], _decided_otherwise)
    if branch is not None:
        return Cause(divergence, Because.BRANCH, branch)
    row = rows[divergence]
    for index in range(divergence, -1, -1):
        if _read_otherwise(rows[index]) and _was_known(rows[index], row):
            return Cause(divergence, _kind_of(rows[index]), index)
    return Cause(divergence, Because.CODE, None)


def _first(rows: Iterable[AlignedRow], test: Callable[[AlignedRow], bool]) -> int | None:
    return next((index for index, row in enumerate(rows) if test(row)), None)


def _did_otherwise(row: AlignedRow) -> bool:
    """Whether the workflow's own doing differs."""
    kind = row.entry.kind
    if kind in STEPS or kind is EntryKind.CONTINUE:
        if row.verdict in _ONE_SIDED or row.verdict is Verdict.MOVED:
            return True
        return not _ASKED.isdisjoint(row.reasons)
    # The end of a child is told again by the step that started it.
    return kind is EntryKind.END and not _READ.isdisjoint(row.reasons)


def _read_otherwise(row: AlignedRow) -> bool:
    """Whether what the workflow was told differs."""
    kind = row.entry.kind
    if kind in MESSAGES:
        return row.verdict in _ONE_SIDED or Reason.INPUT in row.reasons
    if kind is EntryKind.START:
        return Reason.INPUT in row.reasons
    return kind in STEPS and row.left is not None and not _READ.isdisjoint(row.reasons)


def _decided_otherwise(row: AlignedRow) -> bool:
    return row.entry.kind is EntryKind.BRANCH and Reason.BRANCH in row.reasons


def _was_known(read: AlignedRow, did: AlignedRow) -> bool:
    """Whether the workflow could know the one when it did the other."""
    if read.path != did.path:
        return True  # Event ids of two runs say nothing of each other; the rows are in order.
    return all(
        _is_before(told, doing)
        for told, doing in ((read.left, did.left), (read.right, did.right))
        if told is not None and doing is not None
    )


def _is_before(told: Entry, doing: Entry) -> bool:
    if told is doing:
        return False
    if told.kind is EntryKind.START or told.run < doing.run:
        return True
    if doing.kind is EntryKind.END:
        return told.answer_event_id is not None
    if told.answer_event_id is None or doing.event_id is None:
        return False
    return told.answer_event_id < doing.event_id


def _kind_of(row: AlignedRow) -> Because:
    if row.entry.kind in MESSAGES:
        return Because.MESSAGE
    return Because.INPUT if row.entry.kind is EntryKind.START else Because.ANSWER
