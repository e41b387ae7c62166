"""What tapes add to a comparison: decisions, and the line from which two replays differ.

Two replays of the same steps take the same lines until one of them decides otherwise. From there
the way leads back: to the line that set a value which is different, and from it to the next, until
everything that was known is the same. That line is where the difference comes from: the code
itself, or the answer that it waited for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import TYPE_CHECKING, Final

from replayer.alignment._volatile import Masker, is_same_but_volatile
from replayer.alignment.words import Decision
from tracer.branches import BranchKind
from tracer.model import Run

if TYPE_CHECKING:
    from replayer.tape import FrameState, Place, Tape

__all__ = ["Origin", "OriginLine", "decisions_of", "origin_of", "values_at"]

_HOPS: Final = 50
"""Lines that are traced back; code that sets values in circles ends somewhere else."""
_UNWATCHED: Final = frozenset({"condition", "sdk"})
"""Coroutines that run as often as the SDK likes."""
_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class OriginLine:
    """A line that ran, on one side."""

    file: str
    line: int
    function: str
    text: str
    """Its source, without indentation; empty if the tape has none."""
    position: int
    """Its place on the tape."""


@dataclass(frozen=True, slots=True)
class Origin:
    """From where on two replays differ."""

    left: OriginLine
    right: OriginLine
    name: str
    """The first thing that they knew otherwise, set by this line; empty where the line itself went
    another way."""
    left_value: str
    right_value: str
    parts_left: OriginLine
    """The last line that both ran before they went different ways."""
    parts_right: OriginLine


def decisions_of(tape: Tape) -> list[Decision]:
    """The decisions on a tape, in order; their values are read when they are asked for.

    Raises:
        TapeError: The tape is damaged.
    """
    return [
        Decision(
            place=found.branch.point.id,
            qualname=found.branch.point.qualname,
            line=found.branch.point.line,
            condition=found.branch.point.condition,
            outcome=found.branch.outcome,
            occurrence=found.branch.occurrence,
            at=found.branch.at or 0,
            file=found.branch.point.file,
            because=found.branch.because,
            values=found.branch.values,
        )
        for found in tape.branches()
    ]


def values_at(tape: Tape, decision: Decision) -> tuple[tuple[str, str], ...]:
    """What the names in a decision's condition stood for; the reasons of a named one.

    Raises:
        TapeError: The tape is damaged there.
    """
    if decision.values:
        return decision.values
    for found in tape.branches():
        branch = found.branch
        if (branch.point.id, branch.occurrence) == (decision.place, decision.occurrence):
            if branch.point.kind is BranchKind.DECISION:
                return ()
            frame = _frame(tape, found.position)
            names = dict.fromkeys(_NAME.findall(decision.condition))
            values = ((name, _value(frame, name)) for name in names) if frame is not None else ()
            return tuple((name, text) for name, text in values if text)
    return ()


def _value(frame: FrameState, name: str) -> str:
    """A name's value, or that of an attribute as `self.order.amount`; empty if it is not known."""
    parts = name.split(".")
    head = 2 if parts[0] == "self" else 1
    value = frame.value(".".join(parts[:head]))
    for part in parts[head:]:
        value = value.child(part) if value is not None else None
    return "" if value is None else value.text


def origin_of(left: Tape, left_run: Run, right: Tape, right_run: Run) -> Origin | None:
    """From where on two replays differ, `None` if they ran the same lines.

    Raises:
        TapeError: A tape is damaged.
    """
    return _Tracing(left, Masker(left_run), right, Masker(right_run)).origin()


def _frame(tape: Tape, position: int) -> FrameState | None:
    stack = tape.state_at(position).stack
    return stack[-1] if stack else None


class _Tracing:
    """Follows two tapes side by side."""

    def __init__(self, left: Tape, left_mask: Masker, right: Tape, right_mask: Masker) -> None:
        self._left, self._right = left, right
        self._masks = left_mask, right_mask
        self._same_line: Callable[[str, str], dict[int, int]] = cache(self._line_map)

    def origin(self) -> Origin | None:
        """Where they part, and from there back to where that comes from."""
        parted = min(self._partings(), default=None)
        if parted is None:
            return None
        here, cause = parted, ("", "", "")
        for _ in range(_HOPS):
            earlier = self._earlier(here)
            if earlier is None:
                break
            here, cause = earlier
        lines = _line(self._left, here[0]), _line(self._right, here[1])
        parts = _line(self._left, parted[0]), _line(self._right, parted[1])
        return Origin(*lines, *cause, *parts)

    def _partings(self) -> Iterator[tuple[int, int]]:
        """The last lines that both sides ran, for each coroutine that goes different ways."""
        theirs = _lines(self._right)
        for key, mine in _lines(self._left).items():
            yours = theirs.get(key, [])
            last: tuple[int, int] | None = None
            for i, j in zip(mine, yours, strict=False):
                if not self._is_same(self._left.at(i), self._right.at(j)):
                    break
                last = i, j
            else:
                if len(mine) == len(yours):
                    continue
            if last is not None:
                yield last

    def _is_same(self, ours: Place, theirs: Place) -> bool:
        if ours.function != theirs.function:
            return False
        return self._same_line(ours.file, theirs.file).get(ours.line) == theirs.line

    def _line_map(self, ours: str, theirs: str) -> dict[int, int]:
        """Lines of one version of a file by those of the other; edited in place, the same line."""
        left, right = self._left.source(ours), self._right.source(theirs)
        if left is None or right is None:
            return {line: line for line in range(1, 100_000)}
        lines, others = left.text.splitlines(), right.text.splitlines()
        found: dict[int, int] = {}
        matcher = SequenceMatcher(None, lines, others, autojunk=False)
        for _, i, i_end, j, j_end in matcher.get_opcodes():
            if i_end - i == j_end - j:
                found.update((i + k + 1, j + k + 1) for k in range(i_end - i))
        return found

    def _earlier(
        self, here: tuple[int, int]
    ) -> tuple[tuple[int, int], tuple[str, str, str]] | None:
        """The first line that set something which differs at these positions."""
        frames = _frame(self._left, here[0]), _frame(self._right, here[1])
        if frames[0] is None or frames[1] is None:
            return None
        found = []
        for ours in frames[0].variables:
            theirs = frames[1].variable(ours.name)
            if theirs is None or ours.set_by is None or theirs.set_by is None:
                continue
            where = ours.set_by, theirs.set_by
            if where[0] >= here[0] or where[1] >= here[1]:
                continue
            texts = ours.value.text, theirs.value.text
            if self._differ(*texts) and self._is_same(*self._places(where)):
                found.append((where, (ours.name, *texts)))
        return min(found, default=None)

    def _places(self, where: tuple[int, int]) -> tuple[Place, Place]:
        return self._left.at(where[0]), self._right.at(where[1])

    def _differ(self, ours: str, theirs: str) -> bool:
        if ours == theirs:
            return False
        masked = (self._masks[0].text(ours),), (self._masks[1].text(theirs),)
        return not is_same_but_volatile(*masked)


def _lines(tape: Tape) -> dict[tuple[str, str, int], list[int]]:
    """The positions of lines, by coroutine: its kind, its name, and which of several it is."""
    keys: dict[int, tuple[str, str, int]] = {}
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for coroutine in tape.coroutines():
        if coroutine.kind.value not in _UNWATCHED:
            seen[coroutine.kind, coroutine.name] += 1
            number = seen[coroutine.kind, coroutine.name]
            keys[coroutine.number] = (coroutine.kind.value, coroutine.name, number)
    lines: dict[tuple[str, str, int], list[int]] = {key: [] for key in keys.values()}
    for position in range(len(tape)):
        place = tape.at(position)
        if place.kind.name == "LINE" and place.coroutine in keys:
            lines[keys[place.coroutine]].append(position)
    return lines


def _line(tape: Tape, position: int) -> OriginLine:
    place = tape.at(position)
    source = tape.source(place.file)
    lines = source.text.splitlines() if source is not None else []
    text = lines[place.line - 1].strip() if 0 < place.line <= len(lines) else ""
    return OriginLine(place.file, place.line, place.function, text, position)
