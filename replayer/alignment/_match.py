"""Which entries of two sides belong together, in order: the backbone of an alignment.

Near-linear in the number of entries. Entries that occur once on each side and are exactly the same
are anchors (patience diff); between anchors the same is tried with vaguer keys. What is left are
small gaps, in which every pair is weighed, so that a changed step finds the step that it was. A gap
too large for that is matched by names alone.

Ties are broken by order only, so the caller decides which side comes first; see `align`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from replayer.alignment._keys import Keys, Level

__all__ = ["Pair", "likeness", "longest_rising", "matched"]

type Pair = tuple[int, int]
"""Positions of two entries that belong together, left and right."""

_WEIGHED_GAP: Final = 4_000
"""Pairs in a gap up to which each is weighed."""
_WEIGHED_PAIRS: Final = 250_000
"""Pairs weighed in one comparison, which takes half a second."""
_MOST_EDITS: Final = 600
"""Edits up to which a shortest edit script is looked for: the work grows with their square."""

_SAME: Final = 2.0
_NAMESAKE: Final = 0.4
_LIKE: Final = 1.2
_SAME_TURN: Final = 0.3
_SAME_PLACE: Final = 0.01


class _Gap(NamedTuple):
    """Entries that no pair has been found for: half-open ranges of positions."""

    left: int
    left_end: int
    right: int
    right_end: int
    level: Level

    @property
    def pairs(self) -> int:
        return (self.left_end - self.left) * (self.right_end - self.right)


def matched(left: Keys, right: Keys) -> list[Pair]:
    """Pairs that rise on both sides."""
    pairs: list[Pair] = []
    weighed_left = _WEIGHED_PAIRS
    gaps = [_Gap(0, len(left), 0, len(right), Level.ALL)]
    while gaps:
        gap = gaps.pop()
        if not gap.pairs:
            continue
        if gap.level is Level.NAME and gap.pairs <= min(_WEIGHED_GAP, weighed_left):
            weighed_left -= gap.pairs
            pairs.extend(_weighed(left, right, gap))
            continue
        found = _found(left, right, gap)
        pairs.extend(found)
        gaps.extend(_between(gap, found))
    pairs.sort()
    return pairs


def _between(gap: _Gap, found: Sequence[Pair]) -> Iterator[_Gap]:
    """What is left between the pairs; looked at with a vaguer key if there are none."""
    level = gap.level
    if not found:
        if level is not Level.NAME:
            yield gap._replace(level=Level(level + 1))
        return
    left, right = gap.left, gap.right
    for i, j in (*found, (gap.left_end, gap.right_end)):
        if i > left and j > right:
            yield _Gap(left, i, right, j, level)
        left, right = i + 1, j + 1


def _found(left: Keys, right: Keys, gap: _Gap) -> list[Pair]:
    """Pairs in a gap by the keys of its level, rising; empty if there are none."""
    ours = left.at(gap.level, gap.left, gap.left_end)
    theirs = right.at(gap.level, gap.right, gap.right_end)
    head = _common_head(ours, theirs)
    tail = _common_tail(ours, theirs, head)
    pairs = [(k, k) for k in range(head)]
    ends = len(ours) - tail, len(theirs) - tail
    if not head and not tail:
        pairs = _anchors(ours, theirs)
        if not pairs and gap.level is not Level.ALL and not set(ours).isdisjoint(theirs):
            pairs = _shortest_edit(ours, theirs) or _by_occurrence(ours, theirs)
    pairs += [(ends[0] + k, ends[1] + k) for k in range(tail)]
    return [(gap.left + i, gap.right + j) for i, j in pairs]


def _common_head(ours: Sequence[int], theirs: Sequence[int]) -> int:
    limit = min(len(ours), len(theirs))
    return next((k for k in range(limit) if ours[k] != theirs[k]), limit)


def _common_tail(ours: Sequence[int], theirs: Sequence[int], head: int) -> int:
    limit = min(len(ours), len(theirs)) - head
    return next((k for k in range(limit) if ours[-1 - k] != theirs[-1 - k]), limit)


def _anchors(ours: Sequence[int], theirs: Sequence[int]) -> list[Pair]:
    """Keys that occur once on each side, as far as they rise together."""
    where = _once(theirs)
    pairs = [(i, where[key]) for key, i in _once(ours).items() if key in where]
    return longest_rising(sorted(pairs))


def _once(keys: Sequence[int]) -> dict[int, int]:
    """Keys that occur once, with their place."""
    where: dict[int, int] = {}
    repeated = set()
    for index, key in enumerate(keys):
        if where.setdefault(key, index) != index:
            repeated.add(key)
    for key in repeated:
        del where[key]
    return where


def longest_rising(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest subsequence that rises on the right, of pairs that rise on the left."""
    tops: list[int] = []
    top_index: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(top_index[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(j)
            top_index.append(index)
        else:
            tops[pile], top_index[pile] = j, index
    chosen: list[Pair] = []
    index = top_index[-1] if top_index else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = before[index]
    return chosen[::-1]


def _by_occurrence(ours: Sequence[int], theirs: Sequence[int]) -> list[Pair]:
    """The first with the first of the same key, the second with the second, as far as they rise."""
    places: dict[int, list[int]] = {}
    for j in range(len(theirs) - 1, -1, -1):
        places.setdefault(theirs[j], []).append(j)
    pairs = [(i, places[key].pop()) for i, key in enumerate(ours) if places.get(key)]
    return longest_rising(pairs)


def _shortest_edit(ours: Sequence[int], theirs: Sequence[int]) -> list[Pair]:
    """The pairs of a shortest edit script (Myers), empty if that has too many edits."""
    n, m = len(ours), len(theirs)
    reach = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(n + m, _MOST_EDITS) + 1):
        trace.append(reach.copy())
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (
                diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1]
            )
            i = reach[diagonal + 1] if down else reach[diagonal - 1] + 1
            j = i - diagonal
            while i < n and j < m and ours[i] == theirs[j]:
                i, j = i + 1, j + 1
            reach[diagonal] = i
            if i >= n and j >= m:
                return _walked_back(trace, n, m)
    return []


def _walked_back(trace: Sequence[dict[int, int]], n: int, m: int) -> list[Pair]:
    pairs: list[Pair] = []
    i, j = n, m
    for edits in range(len(trace) - 1, -1, -1):
        reach = trace[edits]
        diagonal = i - j
        down = diagonal == -edits or (
            diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1]
        )
        diagonal_before = diagonal + 1 if down else diagonal - 1
        i_before = reach[diagonal_before] if edits else 0
        j_before = i_before - diagonal_before if edits else 0
        while i > i_before and j > j_before:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        i, j = i_before, j_before
    return pairs[::-1]


# -- small gaps: every pair is weighed ---------------------------------------------------------


def _weighed(left: Keys, right: Keys, gap: _Gap) -> list[Pair]:
    """The pairs of greatest weight together."""
    rows, columns = range(gap.left, gap.left_end), range(gap.right, gap.right_end)
    weigh = _weigher(left, right, gap)
    weights = [[weigh(i, j) for j in columns] for i in rows]
    # best[i][j] is the greatest weight of what follows row i and column j.
    best = [[0.0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    for i in range(len(rows) - 1, -1, -1):
        here, below, weight = best[i], best[i + 1], weights[i]
        for j in range(len(columns) - 1, -1, -1):
            both = weight[j] + below[j + 1] if weight[j] else 0.0
            here[j] = max(both, below[j], here[j + 1])
    return [(gap.left + i, gap.right + j) for i, j in _heaviest(best, weights)]


def _heaviest(best: Sequence[Sequence[float]], weights: Sequence[Sequence[float]]) -> list[Pair]:
    pairs: list[Pair] = []
    i = j = 0
    while i < len(weights) and j < len(weights[i]):
        if weights[i][j] and best[i][j] == weights[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _weigher(left: Keys, right: Keys, gap: _Gap) -> Callable[[int, int], float]:
    """A function that tells how well two entries of the gap fit; 0 if they must not be paired."""
    turns = left.entries[gap.left].turn, right.entries[gap.right].turn

    def weigh(i: int, j: int) -> float:
        if left.name(i) != right.name(j):
            return 0.0
        ours, theirs = left.entries[i], right.entries[j]
        weight = _SAME if left.what(i) == right.what(j) else _NAMESAKE
        if weight < _SAME:
            weight += _LIKE * likeness(left, i, right, j)
        if ours.turn - turns[0] == theirs.turn - turns[1]:
            weight += _SAME_TURN
        return weight + _SAME_PLACE * (i - gap.left == j - gap.right)

    return weigh


def likeness(left: Keys, i: int, right: Keys, j: int) -> float:
    """How alike two inputs are, 0 to 1."""
    ours, theirs = left.words(i), right.words(j)
    together = len(ours | theirs)
    return len(ours & theirs) / together if together else 1.0
