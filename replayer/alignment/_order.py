"""Pairs that break the order: steps that ran in parallel, and steps that were moved.

Parallel work is asked for in the order in which earlier work happens to finish, so two runs of the
same code differ in it, and that is no difference. A pair counts as moved only where the order was
prescribed in both runs: where one of two steps was asked for in answer to what the other led to.
Messages come when their senders like; they are never moved.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from replayer.alignment._entries import runs_of
from replayer.alignment._keys import Keys
from replayer.alignment._match import Pair, likeness
from replayer.alignment.words import MESSAGES, STEPS, Entry, EntryKind, Side

__all__ = ["Causes", "Order", "namesakes"]

_MUCH_ALIKE: Final = 0.5
_WEIGHED: Final = 40
"""Entries of one name that are left over, up to which each pair of them is weighed."""
_WITNESSES: Final = 4
"""Pairs on each side of an inversion that are asked whether the order was prescribed."""
_LONGEST_WALK: Final = 2_000
"""Steps looked at to find out whether one led to the other; farther apart, time decides."""


def namesakes(left: Keys, right: Keys, pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs among the entries that are left over: out of order, and changed."""
    rest_left = _left_over(len(left), {i for i, _ in pairs})
    rest_right = _left_over(len(right), {j for _, j in pairs})
    return _namesakes(left, right, rest_left, rest_right) if rest_left and rest_right else []


def _left_over(count: int, taken: set[int]) -> list[int]:
    return [index for index in range(count) if index not in taken] if len(taken) < count else []


def _namesakes(
    left: Keys, right: Keys, rest_left: Sequence[int], rest_right: Sequence[int]
) -> list[Pair]:
    """Messages of one name in the order in which they came; steps of one name that are alike."""
    ours, theirs = _by_name(left, rest_left), _by_name(right, rest_right)
    pairs: list[Pair] = []
    for name, mine in ours.items():
        yours = theirs.get(name, [])
        if left.entries[mine[0]].kind in MESSAGES:
            pairs.extend(zip(mine, yours, strict=False))
        elif len(mine) <= _WEIGHED and len(yours) <= _WEIGHED:
            pairs.extend(_most_alike(left, right, mine, yours))
    return pairs


def _by_name(keys: Keys, indexes: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for index in indexes:
        if keys.entries[index].kind in MESSAGES or keys.entries[index].kind in STEPS:
            found[keys.name(index)].append(index)
    return found


def _most_alike(left: Keys, right: Keys, mine: Sequence[int], yours: Sequence[int]) -> list[Pair]:
    weighed = sorted(
        ((likeness(left, i, right, j), -abs(i - j), i, j) for i in mine for j in yours),
        key=lambda found: (-found[0], -found[1], found[2]),
    )
    pairs: list[Pair] = []
    taken_left: set[int] = set()
    taken_right: set[int] = set()
    for alike, _, i, j in weighed:
        if alike < _MUCH_ALIKE:
            break
        if i not in taken_left and j not in taken_right:
            taken_left.add(i)
            taken_right.add(j)
            pairs.append((i, j))
    return pairs


class Order:
    """Tells what was moved from what only ran in parallel."""

    def __init__(self, backbone: Sequence[Pair], left: Causes, right: Causes) -> None:
        self._backbone = backbone
        self._lefts = [i for i, _ in backbone]
        self._rights = [j for _, j in backbone]
        self._left, self._right = left, right

    def is_moved(self, pair: Pair, kind: EntryKind) -> bool:
        """Whether the code prescribed another order for this pair, on both sides."""
        if kind not in STEPS:
            return False
        i, j = pair
        return any(
            self._left.is_prescribed(i, other_left) and self._right.is_prescribed(j, other_right)
            for other_left, other_right in self._witnesses(i, j)
        )

    def _witnesses(self, i: int, j: int) -> list[Pair]:
        """Pairs that come before on one side and after on the other; the nearest of them."""
        # Both sides rise, so these pairs are one stretch of the backbone.
        ends = sorted((bisect_left(self._lefts, i), bisect_left(self._rights, j)))
        start, end = ends
        if end - start <= 2 * _WITNESSES:
            return list(self._backbone[start:end])
        head = self._backbone[start : start + _WITNESSES]
        return [*head, *self._backbone[end - _WITNESSES : end]]


class Causes:
    """What led to what on one side: a step is asked for in answer to what came just before."""

    def __init__(self, side: Side, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._tasks = [
            [task.closed_event_id for task in each.run.tasks if task.closed_event_id is not None]
            for each in runs_of(side)
        ]
        self._heard: dict[tuple[int, int], list[int]] = defaultdict(list)
        """Entries whose answers an activation heard, by run and number of the activation."""
        for index, entry in enumerate(entries):
            if entry.answer_event_id is not None:
                self._heard[entry.run, self._hearing_task(entry)].append(index)

    def _hearing_task(self, entry: Entry) -> int:
        tasks, event_id = self._tasks[entry.run], entry.answer_event_id or 0
        if entry.kind is EntryKind.LOCAL_ACTIVITY:
            # Answered within the activation, whose marker is one of its commands.
            return bisect_left(tasks, event_id) - 1
        return bisect_right(tasks, event_id)

    def is_prescribed(self, one: int, other: int) -> bool:
        """Whether the earlier of the two led to the later one."""
        earlier, later = min(one, other), max(one, other)
        seen = {later}
        walk = [later]
        for index in walk:
            if len(walk) > _LONGEST_WALK:
                return self._was_over(earlier, later)
            for cause in self._causes(index):
                if cause == earlier:
                    return True
                if earlier < cause < index and cause not in seen:
                    seen.add(cause)
                    walk.append(cause)
        return False

    def _causes(self, index: int) -> Sequence[int]:
        """Entries whose answers the activation heard that asked for this one."""
        entry = self._entries[index]
        if entry.event_id is None:
            return ()
        task = bisect_left(self._tasks[entry.run], entry.event_id) - 1
        return self._heard.get((entry.run, task), ())

    def _was_over(self, earlier: int, later: int) -> bool:
        answered, asked = self._entries[earlier].answer_event_id, self._entries[later].event_id
        return answered is not None and asked is not None and answered < asked
