"""What each side took as a whole: time, attempts, tokens, money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replayer.alignment.words import STEPS, AlignedRow, Entry, EntryKind, Verdict

__all__ = ["Totals", "totals_of", "verdicts_of"]


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of one side, children that were followed included."""

    duration_ns: int | None
    """From the start of the first run of the chain to the end of the last, or to its last event."""
    steps: int
    attempts: int
    """Tries of steps that the history tells of."""
    model_calls: int
    input_tokens: int | None
    """`None` where no call reports any."""
    output_tokens: int | None
    cost_usd: float | None
    """Of the calls whose price is known, `None` if there are none."""
    priced_calls: int
    """Calls that `cost_usd` is the cost of."""


def totals_of(rows: Iterable[AlignedRow]) -> tuple[Totals, Totals]:
    """The sums of the left and of the right side."""
    known = list(rows)
    return (
        _totals([(row.left, not row.path) for row in known if row.left is not None]),
        _totals([(row.right, not row.path) for row in known if row.right is not None]),
    )


def verdicts_of(rows: Iterable[AlignedRow]) -> dict[Verdict, int]:
    """How many rows there are of each verdict."""
    counts = Counter(row.verdict for row in rows)
    return {verdict: counts[verdict] for verdict in Verdict}


def _totals(entries: Sequence[tuple[Entry, bool]]) -> Totals:
    steps = [entry for entry, _ in entries if entry.kind in STEPS]
    calls = [entry for entry in steps if entry.is_model_call]
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    return Totals(
        duration_ns=_duration([entry for entry, is_top in entries if is_top]),
        steps=len(steps),
        attempts=sum(step.attempts for step in steps),
        model_calls=len(calls),
        input_tokens=_sum(call.input_tokens for call in calls),
        output_tokens=_sum(call.output_tokens for call in calls),
        cost_usd=sum(costs) if costs else None,
        priced_calls=len(costs),
    )


def _duration(entries: Sequence[Entry]) -> int | None:
    started = next((entry.at for entry in entries if entry.kind is EntryKind.START), None)
    ended = next((entry.at for entry in entries if entry.kind is EntryKind.END), None)
    return None if started is None or ended is None else ended - started


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
