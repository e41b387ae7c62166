"""The alignment itself: entries of two sides to rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from replayer.alignment._compare import differences
from replayer.alignment._entries import entries_of, runs_of
from replayer.alignment._keys import Keys
from replayer.alignment._match import Pair, matched
from replayer.alignment._order import Causes, Order, namesakes
from replayer.alignment.words import AlignedRow, Entry, EntryKind, Side, Verdict
from tracer.model import Run, uncollected
from tracer.model.words import Payload

__all__ = ["align"]

_DEEPEST: Final = 20
"""Levels of child workflows that are followed; a crafted file could name a run as its own child."""


def align(left: Run | Side, right: Run | Side) -> list[AlignedRow]:
    """Put two runs side by side.

    Pure, near-linear in the number of events, and symmetric: `align(b, a)` has the same rows with
    their sides exchanged. Rows come in the order of the workflow's logic; what is on one side only
    stands where it happened, left before right.

    Args:
        left: A run, or a `Side` that knows more of it: decisions, children, the rest of a chain.
        right: What it is compared with.
    """
    ours = Side(left) if isinstance(left, Run) else left
    theirs = Side(right) if isinstance(right, Run) else right
    with uncollected():
        return list(_rows(ours, theirs, ()))


def _rows(left: Side, right: Side, path: tuple[str, ...]) -> Iterator[AlignedRow]:
    ours, theirs = Keys(left, entries_of(left)), Keys(right, entries_of(right))
    backbone, others = _pairs(left, ours, right, theirs)
    order = Order(backbone, Causes(left, ours.entries), Causes(right, theirs.entries))
    rows = _Rows(ours, theirs, path, left, right)
    for i, j, is_ordered in _sequence(len(ours), len(theirs), backbone, others):
        if i is None or j is None:
            yield rows.single(i, j)
            continue
        is_moved = not is_ordered and order.is_moved((i, j), ours.entries[i].kind)
        row = rows.pair(i, j, is_moved=is_moved)
        yield row
        if row.entry.kind is EntryKind.CHILD_WORKFLOW and len(path) < _DEEPEST:
            yield from _child_rows(row, left, right, path)


def _child_rows(
    row: AlignedRow, left: Side, right: Side, path: tuple[str, ...]
) -> Iterator[AlignedRow]:
    assert row.left is not None
    assert row.right is not None
    ours = runs_of(left)[row.left.run].children.get(row.left.child_run_id)
    theirs = runs_of(right)[row.right.run].children.get(row.right.child_run_id)
    if ours is not None and theirs is not None:
        yield from _rows(ours, theirs, (*path, row.left.name))


def _pairs(left: Side, ours: Keys, right: Side, theirs: Keys) -> tuple[list[Pair], list[Pair]]:
    """The backbone, and pairs beside it; whichever side comes first, the same."""
    if _comes_first(left, ours.entries, right, theirs.entries):
        return _found(ours, theirs)
    backbone, others = _found(theirs, ours)
    return [(j, i) for i, j in backbone], [(j, i) for i, j in others]


def _found(ours: Keys, theirs: Keys) -> tuple[list[Pair], list[Pair]]:
    backbone, crossing = matched(ours, theirs)
    return backbone, crossing + namesakes(ours, theirs, backbone + crossing)


def _comes_first(left: Side, ours: Sequence[Entry], right: Side, theirs: Sequence[Entry]) -> bool:
    """An order of the two sides that does not depend on which is left.

    Where two pairs fit equally well, the first found is taken; so that a comparison is the mirror
    of its reverse, it must always be looked for in the same direction.
    """
    if left.run.key != right.run.key:
        return left.run.key < right.run.key
    if len(ours) != len(theirs):
        return len(ours) < len(theirs)
    for mine, yours in zip(ours, theirs, strict=True):
        if (one := _content(mine)) != (other := _content(yours)):
            return one < other
    return True


def _content(entry: Entry) -> tuple[str, str, str, list[bytes], list[bytes]]:
    return entry.kind, entry.name, entry.outcome, _data(entry.input), _data(entry.output)


def _data(payloads: Sequence[Payload]) -> list[bytes]:
    return [payload.data for payload in payloads]


def _sequence(
    n: int, m: int, backbone: Sequence[Pair], others: Sequence[Pair]
) -> Iterator[tuple[int | None, int | None, bool]]:
    """Every position once, alone or with its partner; whether the pair keeps the order.

    A pair beside the backbone stands in the first of the two places where it could.
    """
    partner = dict(others)
    partner_right = {j: i for i, j in others}
    told: set[Pair] = set()
    left = right = 0
    for i, j in (*backbone, (n, m)):
        for k in range(left, i):
            if k not in partner:
                yield k, None, False
            elif (pair := (k, partner[k])) not in told:
                told.add(pair)
                yield *pair, False
        for k in range(right, j):
            if k not in partner_right:
                yield None, k, False
            elif (pair := (partner_right[k], k)) not in told:
                told.add(pair)
                yield *pair, False
        if i < n:
            yield i, j, True
        left, right = i + 1, j + 1


class _Rows:
    """Makes rows of the entries of two sides."""

    def __init__(
        self, left: Keys, right: Keys, path: tuple[str, ...], left_run: Side, right_run: Side
    ) -> None:
        self._left, self._right, self._path = left, right, path
        self._runs = left_run, right_run

    def single(self, i: int | None, j: int | None) -> AlignedRow:
        """A row with one side."""
        ours = None if i is None else self._left.entries[i]
        theirs = None if j is None else self._right.entries[j]
        verdict = Verdict.ONLY_LEFT if theirs is None else Verdict.ONLY_RIGHT
        return AlignedRow(verdict, ours, theirs, (), (), self._path, *self._runs)

    def pair(self, i: int, j: int, *, is_moved: bool) -> AlignedRow:
        """A row with both sides."""
        reasons, volatile = differences(self._left, i, self._right, j)
        verdict = Verdict.CHANGED if reasons else Verdict.EQUAL
        if is_moved:
            verdict = Verdict.MOVED
        ours, theirs = self._left.entries[i], self._right.entries[j]
        return AlignedRow(verdict, ours, theirs, reasons, volatile, self._path, *self._runs)
