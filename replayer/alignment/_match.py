"""Which entries of two sides belong together, in order: the backbone of an alignment.

Near-linear in the number of entries. Entries that occur once on each side and are exactly the same
are anchors (patience diff); between anchors the same is tried with vaguer keys. What is left are
small gaps, in which every pair is weighed, so that a changed step finds the step that it was. A gap
too large for that is matched by names alone.

Ties are broken by order only, so the caller decides which side comes first; see `align`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from replayer.alignment._keys import Keys, Level
from replayer.alignment.words import STEPS

__all__ = ["Matched", "Pair", "likeness", "longest_rising", "matched"]

type Pair = tuple[int, int]
"""Positions of two entries that belong together, left and right."""

_WEIGHED_GAP: Final = 4_000
"""Pairs in a gap up to which each is weighed."""
_WEIGHED_PAIRS: Final = 250_000
"""Pairs weighed in one comparison, which takes half a second."""
_MOST_EDITS: Final = 300
"""Edits up to which a shortest edit script is looked for: the work grows with their square."""

_SAME: Final = 2.0
_NAMESAKE: Final = 0.4
_LIKE: Final = 1.2
_SAME_TURN: Final = 0.3
_SAME_PLACE: Final = 0.01


class _Gap(NamedTuple):
    """Entries that no pair has been found for: rising positions."""

    left: Sequence[int]
    right: Sequence[int]
    level: Level

    @property
    def pairs(self) -> int:
        return len(self.left) * len(self.right)


class Matched(NamedTuple):
    """Entries that belong together."""

    backbone: list[Pair]
    """Pairs that rise on both sides."""
    crossing: list[Pair]
    """Pairs that ask for the same, byte for byte but for what is volatile, out of order."""


def matched(left: Keys, right: Keys) -> Matched:
    """Find pairs: first what is the same, wherever it is; what is left, by likeness."""
    whole = _Gap(range(len(left)), range(len(right)), Level.ALL)
    backbone, rest = _same(left, right, whole)
    crossing = _crossing(left, right, rest)
    gone_left, gone_right = {i for i, _ in crossing}, {j for _, j in crossing}
    alike = _alike(
        left,
        right,
        [
            _Gap(
                [i for i in gap.left if i not in gone_left],
                [j for j in gap.right if j not in gone_right],
                Level.NAME,
            )
            for gap in rest
        ],
    )
    return Matched(_slid(left, right, sorted(backbone + alike), crossing), crossing)


def _same(left: Keys, right: Keys, whole: _Gap) -> tuple[list[Pair], list[_Gap]]:
    """Pairs that ask for the same, and the gaps between them."""
    pairs: list[Pair] = []
    rest: list[_Gap] = []
    gaps = [whole]
    while gaps:
        gap = gaps.pop()
        if gap.level is Level.NAME:
            rest.append(gap)
        elif gap.left or gap.right:
            found = _found(left, right, gap) if gap.pairs else []
            pairs.extend(_positions(gap, found))
            gaps.extend(_between(gap, found))
    return pairs, rest


def _crossing(left: Keys, right: Keys, rest: Sequence[_Gap]) -> list[Pair]:
    """Of what is left over, the first with the first that asks for the same, and so on."""
    places: dict[int, list[int]] = {}
    for j in sorted((j for gap in rest for j in gap.right), reverse=True):
        if right.entries[j].kind in STEPS:
            places.setdefault(right.what(j), []).append(j)
    if not places:
        return []
    pairs: list[Pair] = []
    for i in sorted(i for gap in rest for i in gap.left):
        if left.entries[i].kind in STEPS and places.get(left.what(i)):
            pairs.append((i, places[left.what(i)].pop()))
    return pairs


def _alike(left: Keys, right: Keys, gaps: list[_Gap]) -> list[Pair]:
    """Pairs of namesakes in gaps."""
    pairs: list[Pair] = []
    weighable = _WEIGHED_PAIRS
    while gaps:
        gap = gaps.pop()
        if not gap.pairs:
            continue
        if gap.pairs <= min(_WEIGHED_GAP, weighable):
            weighable -= gap.pairs
            pairs.extend(_weighed(left, right, gap))
            continue
        found = _found(left, right, gap)
        pairs.extend(_positions(gap, found))
        if found:
            gaps.extend(_between(gap, found))
    return pairs


def _positions(gap: _Gap, pairs: Iterable[Pair]) -> list[Pair]:
    """Positions of pairs that count within the gap."""
    return [(gap.left[i], gap.right[j]) for i, j in pairs]


def _slid(left: Keys, right: Keys, pairs: Sequence[Pair], crossing: Sequence[Pair]) -> list[Pair]:
    """The pairs, with better ones where one of several equal neighbours could be taken.

    Of `a a` and `b a`, the second `a` belongs to the second, and `b` is what became of the first.
    """
    taken = {i for i, _ in (*pairs, *crossing)}, {j for _, j in (*pairs, *crossing)}
    slid: list[Pair] = []
    for pair in pairs:
        better = _with_same_answer(left, right, pair, taken) or _across(left, right, pair, taken)
        for i, j in better:
            taken[0].add(i)
            taken[1].add(j)
        slid += better or [pair]
    return slid


type _Taken = tuple[set[int], set[int]]


def _with_same_answer(left: Keys, right: Keys, pair: Pair, taken: _Taken) -> list[Pair]:
    """A free neighbour that was answered the same, instead of one that was not."""
    i, j = pair
    if left.whole(i) == right.whole(j):
        return []
    for step in (1, -1):
        other = i + step
        if 0 <= other < len(left) and other not in taken[0] and left.whole(other) == right.whole(j):
            return [(other, j)]
        other = j + step
        if (
            0 <= other < len(right)
            and other not in taken[1]
            and left.whole(i) == right.whole(other)
        ):
            return [(i, other)]
    return []


def _across(left: Keys, right: Keys, pair: Pair, taken: _Taken) -> list[Pair]:
    """Two pairs across instead of one that leaves a namesake alone on each side."""
    i, j = pair
    for step in (1, -1):
        other_i, other_j = i + step, j - step
        is_free = other_i not in taken[0] and other_j not in taken[1]
        if is_free and _can_slide(left, right, pair, (other_i, other_j)):
            return sorted([(other_i, j), (i, other_j)])
    return []


def _can_slide(left: Keys, right: Keys, pair: Pair, other: Pair) -> bool:
    """Whether two pairs of neighbours across are as good, and better than one and two left over."""
    (i, j), (other_i, other_j) = pair, other
    if not (0 <= other_i < len(left) and 0 <= other_j < len(right)):
        return False
    if not left.name(i) == left.name(other_i) == right.name(j) == right.name(other_j):
        return False
    return left.what(i) == left.what(other_i) or right.what(j) == right.what(other_j)


def _between(gap: _Gap, found: Sequence[Pair]) -> Iterator[_Gap]:
    """What is left between the pairs; looked at with a vaguer key if there are none."""
    if not found:
        yield gap._replace(level=Level(gap.level + 1))
        return
    left = right = 0
    for i, j in (*found, (len(gap.left), len(gap.right))):
        if i > left or j > right:
            yield _Gap(gap.left[left:i], gap.right[right:j], gap.level)
        left, right = i + 1, j + 1


def _found(left: Keys, right: Keys, gap: _Gap) -> list[Pair]:
    """Pairs in a gap by the keys of its level, rising; they count within the gap."""
    ours, theirs = left.at(gap.level, gap.left), right.at(gap.level, gap.right)
    head = _common_head(ours, theirs)
    tail = _common_tail(ours, theirs, head)
    pairs = [(k, k) for k in range(head)]
    if not head and not tail:
        pairs = _anchors(ours, theirs)
        if not pairs and not set(ours).isdisjoint(theirs):
            pairs = _shortest_edit(ours, theirs)
            # What is the same byte for byte can still be found with less, and better.
            if not pairs and gap.level is not Level.ALL:
                pairs = _by_occurrence(ours, theirs)
    return pairs + [(len(ours) - k, len(theirs) - k) for k in range(tail, 0, -1)]


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
    weigh = _weigher(left, right, gap)
    columns = range(len(gap.right))
    weights = [[weigh(i, j) for j in columns] for i in range(len(gap.left))]
    # best[i][j] is the greatest weight of what follows row i and column j.
    best = [[0.0] * (len(gap.right) + 1) for _ in range(len(gap.left) + 1)]
    for i in range(len(gap.left) - 1, -1, -1):
        here, below, weight = best[i], best[i + 1], weights[i]
        for j in reversed(columns):
            both = weight[j] + below[j + 1] if weight[j] else 0.0
            here[j] = max(both, below[j], here[j + 1])
    return _positions(gap, _heaviest(best, weights))


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
    turns = left.entries[gap.left[0]].turn, right.entries[gap.right[0]].turn

    def weigh(row: int, column: int) -> float:
        i, j = gap.left[row], gap.right[column]
        if left.name(i) != right.name(j):
            return 0.0
        weight = _SAME if left.what(i) == right.what(j) else _NAMESAKE
        if weight < _SAME:
            weight += _LIKE * likeness(left, i, right, j)
        if left.entries[i].turn - turns[0] == right.entries[j].turn - turns[1]:
            weight += _SAME_TURN
        return weight + _SAME_PLACE * (row == column)

    return weigh


def likeness(left: Keys, i: int, right: Keys, j: int) -> float:
    """How alike two inputs are, 0 to 1."""
    ours, theirs = left.words(i), right.words(j)
    together = len(ours | theirs)
    return len(ours & theirs) / together if together else 1.0
