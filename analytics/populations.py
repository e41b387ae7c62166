"""Two sets of runs: what the second has more often, or less often, than the first.

Counts runs, not occurrences: a step that one run repeats a thousand times says nothing about the
others. Each trait is judged by Fisher's exact test on the two-by-two table of runs with and without
it; as many traits are judged at once, the figure that counts is the one corrected for that
(Benjamini and Hochberg's q).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import exp, fsum, lgamma
from pathlib import Path
from typing import Any, Final

from analytics.query import QueryLimits, run_query
from tracer.identity import RunKey

__all__ = ["Populations", "Trait", "compare_sets", "runs_where"]

_NO_LIMIT: Final = QueryLimits(rows=None)
_NEGLIGIBLE: Final = 45.0
"""Of a logarithm: a share of 10⁻¹⁹."""


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that runs can have, and how many of each set have it."""

    kind: str
    """`status`, `failure`, `step`, `retried step`, `failed step`, `branch`, `model`, `patch` or
    `build`."""
    name: str
    detail: str
    """Of a branch its outcome, of a failure its message; empty otherwise."""
    left: int
    """Runs of the first set that have it."""
    right: int
    left_share: float
    """0 to 1."""
    right_share: float
    p: float
    """The chance to see a difference at least as large where there is none."""
    q: float
    """The same, corrected for the number of traits that were looked at."""


@dataclass(frozen=True, slots=True)
class Populations:
    """Two sets of runs, compared."""

    left: int
    """Runs in the first set."""
    right: int
    both: int
    """Runs in both: the sets should not overlap."""
    traits: tuple[Trait, ...]
    """The most telling first."""


def runs_where(warehouse: Path | str, condition: str) -> set[RunKey]:
    """Runs for which a condition on `mart.run_summary` holds.

    Args:
        warehouse: The warehouse.
        condition: What stands after WHERE, such as `status = 'FAILED'`.

    Raises:
        QueryError: It is no condition, or does something else than read.
        WarehouseError: There is nothing to read.
    """
    # The line break ends a comment, with which a condition could otherwise swallow the bracket.
    sql = f"SELECT namespace, workflow_id, run_id FROM mart.run_summary WHERE ({condition}\n)"
    return {RunKey(*row) for row in run_query(warehouse, sql, limits=_NO_LIMIT).rows}


def compare_sets(
    warehouse: Path | str, left: Iterable[RunKey], right: Iterable[RunKey]
) -> Populations:
    """What tells the second set of runs from the first.

    Raises:
        WarehouseError: There is nothing to read.
    """
    ours, theirs = set(left), set(right)
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in run_query(warehouse, _TRAITS, limits=_NO_LIMIT).rows:
        namespace, workflow_id, run_id, *trait = row
        key = RunKey(namespace, workflow_id, run_id)
        if key in ours or key in theirs:
            found = counts.setdefault((trait[0], trait[1] or "", trait[2] or ""), [0, 0])
            found[0] += key in ours
            found[1] += key in theirs
    return Populations(
        len(ours), len(theirs), len(ours & theirs), tuple(_judged(counts, len(ours), len(theirs)))
    )


def _judged(
    counts: dict[tuple[str, str, str], list[int]], ours: int, theirs: int
) -> Sequence[Trait]:
    chances = {key: _fisher(left, ours, right, theirs) for key, (left, right) in counts.items()}
    corrected = _corrected(chances)
    traits = [
        Trait(
            *key,
            left=left,
            right=right,
            left_share=left / ours if ours else 0.0,
            right_share=right / theirs if theirs else 0.0,
            p=chances[key],
            q=corrected[key],
        )
        for key, (left, right) in counts.items()
    ]
    return sorted(
        traits,
        key=lambda t: (t.q, t.p, -abs(t.right_share - t.left_share), t.kind, t.name, t.detail),
    )


def _corrected(chances: dict[Any, float]) -> dict[Any, float]:
    """Benjamini and Hochberg: the share of false alarms among what looks at least as telling."""
    ranked = sorted(chances, key=lambda key: chances[key])
    corrected: dict[Any, float] = {}
    lowest = 1.0
    for rank in range(len(ranked), 0, -1):
        key = ranked[rank - 1]
        lowest = min(lowest, chances[key] * len(ranked) / rank)
        corrected[key] = lowest
    return corrected


@lru_cache(maxsize=65_536)
def _fisher(left: int, ours: int, right: int, theirs: int) -> float:
    """Fisher's exact test, two-sided: all tables at most as likely as this one.

    Likelihoods fall on both sides of the most likely table, so only the two tails are added up, as
    far as they matter: with 100,000 runs that is some thousand tables.
    """
    having = left + right
    lowest, highest = max(0, having - theirs), min(having, ours)

    def likelihood(k: int) -> float:
        return _log_likelihood(k, ours, theirs, having)

    # Tables that are equally likely differ in the last digits of their logarithms.
    limit = likelihood(left) + 1e-7
    peak = min(max((having + 1) * (ours + 1) // (ours + theirs + 2), lowest), highest)
    below = range(lowest, peak + 1)
    above = range(peak + 1, highest + 1)
    # The last table below the peak, and the first above it, that is unlikely enough.
    last = lowest + bisect_right(below, limit, key=likelihood) - 1
    first = peak + 1 + bisect_left(above, -limit, key=lambda k: -likelihood(k))
    tails = chain(
        _tail(likelihood, range(last, lowest - 1, -1)),
        _tail(likelihood, range(first, highest + 1)),
    )
    return min(1.0, fsum(tails))


def _tail(likelihood: Callable[[int], float], tables: range) -> Iterator[float]:
    """Probabilities from the peak outward, until they no longer matter."""
    first: float | None = None
    for k in tables:
        each = likelihood(k)
        first = each if first is None else first
        if each < first - _NEGLIGIBLE:
            return
        yield exp(each)


def _log_likelihood(left: int, ours: int, theirs: int, having: int) -> float:
    """Logarithm of the hypergeometric probability of `left` among `ours`."""
    return (
        _log_choose(ours, left)
        + _log_choose(theirs, having - left)
        - _log_choose(ours + theirs, having)
    )


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


_TRAITS: Final = "SELECT namespace, workflow_id, run_id, kind, name, detail FROM mart.run_traits"
