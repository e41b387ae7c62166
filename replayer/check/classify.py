"""What kind of change it is that makes code and history part.

Each kind is a guess of how the two sequences go on after the place: shifted by what was added or
removed, side by side after what was renamed, in step again after what was reordered. The guess
after which most commands agree is taken. Where nothing follows that could tell, it counts whether
the code still speaks of what the history has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replayer.check.commands import agrees
from replayer.check.model import ChangeKind, Command, CommandKind

__all__ = ["Change", "classified"]

_REACH = 4
"""Commands that a guess may skip."""


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of change, and the commands that show it."""

    kind: ChangeKind
    expected: Command
    produced: Command | None


def classified(
    expected: Sequence[Command], produced: Sequence[Command], *, mentions: Callable[[str], bool]
) -> Change:
    """Tell what changed.

    Args:
        expected: What the history has from the place on; not empty.
        produced: What the code asks for from there on, as far as is known.
        mentions: Whether the code speaks of a name.
    """
    first = expected[0]
    if not produced:
        return Change(_silence(first, mentions), first, None)
    asked = produced[0]
    if first.kind is CommandKind.PATCH and not any(agrees(first, each) for each in produced):
        return Change(ChangeKind.MISSING_PATCH, first, asked)
    if agrees(first, asked):
        return Change(ChangeKind.CHANGED_ID, first, asked)
    if first.kind is asked.kind is CommandKind.CHILD and first.id == asked.id:
        # The id of a child workflow is the code's own, other than that of an activity.
        return Change(ChangeKind.RENAMED, first, asked)
    guesses = _guesses(expected, produced)
    best = max(guesses.values())
    kinds = [kind for kind, score in guesses.items() if score == best]
    if best <= 0 or len(kinds) > 1:
        return Change(_by_names(kinds, first, asked, mentions), first, asked)
    kind = kinds[0]
    return Change(_replaced(first, asked) if kind is ChangeKind.RENAMED else kind, first, asked)


def _silence(first: Command, mentions: Callable[[str], bool]) -> ChangeKind:
    """The code asks for nothing at all."""
    if first.kind is CommandKind.PATCH:
        return ChangeKind.MISSING_PATCH
    if first.name and not mentions(first.name):
        return ChangeKind.REMOVED
    return ChangeKind.WAITING


def _guesses(expected: Sequence[Command], produced: Sequence[Command]) -> dict[ChangeKind, float]:
    reach = range(1, _REACH + 1)
    return {
        ChangeKind.RENAMED: _in_step(expected[1:], produced[1:]),
        ChangeKind.ADDED: max(_in_step(expected, produced[skip:]) for skip in reach),
        ChangeKind.REMOVED: max(_in_step(expected[skip:], produced) for skip in reach),
        ChangeKind.REORDERED: max(_swapped(expected, produced, size) for size in range(2, 9)),
    }


def _in_step(expected: Sequence[Command], produced: Sequence[Command]) -> int:
    """How many commands agree from the start."""
    count = 0
    for one, other in zip(expected, produced, strict=False):
        if not agrees(one, other):
            break
        count += 1
    return count


def _swapped(expected: Sequence[Command], produced: Sequence[Command], size: int) -> float:
    """How many agree after the first ones have, in another order; 0 when they do not."""
    if min(len(expected), len(produced)) < size:
        return 0
    if _names(expected[:size]) != _names(produced[:size]):
        return 0
    # As good as the best shift of the same commands, and a bit better: nothing is left over.
    return size - 0.5 + _in_step(expected[size:], produced[size:])


def _names(commands: Sequence[Command]) -> Counter[tuple[CommandKind, str]]:
    return Counter(
        (each.kind, "" if each.kind is CommandKind.TIMER else each.name) for each in commands
    )


def _by_names(
    kinds: Sequence[ChangeKind],
    first: Command,
    asked: Command,
    mentions: Callable[[str], bool],
) -> ChangeKind:
    """When what follows cannot tell."""
    if ChangeKind.REMOVED in kinds and asked.kind.closes:
        return ChangeKind.REMOVED
    if ChangeKind.ADDED in kinds and (first.kind.closes or (first.name and mentions(first.name))):
        return ChangeKind.ADDED
    return _replaced(first, asked)


def _replaced(first: Command, asked: Command) -> ChangeKind:
    if first.kind is asked.kind:
        return ChangeKind.RENAMED
    if asked.kind.closes:
        return ChangeKind.REMOVED
    if first.kind.closes:
        return ChangeKind.ADDED
    return ChangeKind.CHANGED_TYPE
