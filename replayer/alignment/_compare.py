"""In what two entries that belong together differ, and in what they only seem to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from replayer.alignment._keys import Keys
from replayer.alignment._volatile import is_same_but_volatile
from replayer.alignment.words import Entry, EntryKind, Reason
from tracer.model import Failure, fingerprint

__all__ = ["Differences", "differences"]

type Differences = tuple[tuple[Reason, ...], tuple[Reason, ...]]
"""Reasons that count, and reasons that are volatile."""

_SLOWER: Final = 1.5
_SLOWER_NS: Final = 250_000_000
"""A duration differs if one is half as long again as the other, and by a quarter of a second at
least: below that, no two runs are ever equal."""

_DAY_NS: Final = 86_400 * 1_000_000_000

_NEITHER: Final[Differences] = ((), ())


def differences(left: Keys, i: int, right: Keys, j: int) -> Differences:
    """Why a pair is not equal."""
    ours, theirs = left.entries[i], right.entries[j]
    if ours.kind is EntryKind.BRANCH:
        return ((Reason.BRANCH,), ()) if ours.outcome != theirs.outcome else _NEITHER
    counted = list(_figures(ours, theirs))
    volatile: list[Reason] = []
    if left.whole(i) != right.whole(j):
        _sort(Reason.INPUT, _input(left, i, right, j), counted, volatile)
        _sort(Reason.OUTCOME, _outcome(ours, theirs), counted, volatile)
        # Of two different outcomes, no two outputs are comparable.
        if ours.outcome == theirs.outcome:
            _sort(Reason.OUTPUT, _output(left, i, right, j), counted, volatile)
    return tuple(sorted(counted, key=_ORDER.__getitem__)), tuple(volatile)


_ORDER: Final = {reason: number for number, reason in enumerate(Reason)}

_SAME, _VOLATILE, _OTHER = range(3)


def _sort(reason: Reason, how: int, counted: list[Reason], volatile: list[Reason]) -> None:
    if how != _SAME:
        (counted if how == _OTHER else volatile).append(reason)


def _input(left: Keys, i: int, right: Keys, j: int) -> int:
    ours, theirs = left.entries[i].input, right.entries[j].input
    if [each.data for each in ours] == [each.data for each in theirs]:
        return _SAME
    return _VOLATILE if is_same_but_volatile(left.input(i), right.input(j)) else _OTHER


def _output(left: Keys, i: int, right: Keys, j: int) -> int:
    ours, theirs = left.entries[i].output, right.entries[j].output
    if [each.data for each in ours] == [each.data for each in theirs]:
        return _SAME
    return _VOLATILE if is_same_but_volatile(left.output(i), right.output(j)) else _OTHER


def _outcome(ours: Entry, theirs: Entry) -> int:
    if ours.outcome != theirs.outcome:
        return _OTHER
    return _failure(ours.failure, theirs.failure)


def _failure(ours: Failure | None, theirs: Failure | None) -> int:
    if ours is None or theirs is None:
        return _SAME if ours is theirs else _OTHER
    if fingerprint(ours) != fingerprint(theirs):
        return _OTHER
    return _SAME if ours.root.message == theirs.root.message else _VOLATILE


def _figures(ours: Entry, theirs: Entry) -> Iterator[Reason]:
    if ours.attempts != theirs.attempts:
        yield Reason.ATTEMPTS
    if _is_slower(ours.duration_ns, theirs.duration_ns):
        yield Reason.DURATION
    if ours.policy != theirs.policy:
        yield Reason.POLICY
    if ours.is_model_call or theirs.is_model_call:
        if ours.model != theirs.model:
            yield Reason.MODEL
        counts = (
            (ours.input_tokens, ours.output_tokens),
            (theirs.input_tokens, theirs.output_tokens),
        )
        if counts[0] != counts[1]:
            yield Reason.TOKENS
        is_same = (
            counts[0] == counts[1] and ours.model == theirs.model and _is_same_day(ours, theirs)
        )
        if not is_same and ours.cost_usd != theirs.cost_usd:
            yield Reason.COST


def _is_same_day(ours: Entry, theirs: Entry) -> bool:
    """Whether the same price was asked: prices are those of the day."""
    return (ours.at or 0) // _DAY_NS == (theirs.at or 0) // _DAY_NS


def _is_slower(ours: int | None, theirs: int | None) -> bool:
    if ours is None or theirs is None:
        return False
    longer, shorter = max(ours, theirs), min(ours, theirs)
    return longer - shorter >= _SLOWER_NS and longer >= shorter * _SLOWER
