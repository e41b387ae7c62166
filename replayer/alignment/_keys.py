"""What is compared to find out which entries belong together, from exact to vague.

Masking and parsing payloads takes most of the time of a comparison. So it is done only for entries
that no cheaper key has placed, and once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

from replayer.alignment._entries import runs_of
from replayer.alignment._volatile import Masked, Masker
from replayer.alignment.words import Entry, EntryKind, Side
from tracer.model.words import Payload

__all__ = ["Keys", "Level"]

_WORD: Final = re.compile(r"\w+")
_LONGEST: Final = 4_000
"""Characters of an input that count when vague likeness is asked for."""

_ENDS: Final = frozenset({EntryKind.START, EntryKind.END})


class Level(IntEnum):
    """How much must be the same."""

    ALL = 0
    """Kind, name, input, policy and answer, byte for byte."""
    WHAT = 1
    """Kind, name, and the input apart from what is volatile."""
    NAME = 2
    """Kind and name."""


class Keys:
    """The keys of one side's entries, by level."""

    def __init__(self, side: Side, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._runs = [each.run for each in runs_of(side)]
        self._maskers: dict[int, Masker] = {}
        self._all = [_whole(entry) for entry in entries]
        self._what: list[int | None] = [None] * len(entries)
        self._name = [_name(entry) for entry in entries]
        self._inputs: dict[int, Masked] = {}
        self._words: dict[int, frozenset[str]] = {}

    def __len__(self) -> int:
        """Number of entries."""
        return len(self.entries)

    def at(self, level: Level, indexes: Iterable[int]) -> list[int]:
        """The keys of some entries."""
        match level:
            case Level.ALL:
                return [self._all[index] for index in indexes]
            case Level.WHAT:
                return [self.what(index) for index in indexes]
            case Level.NAME:
                return [self._name[index] for index in indexes]

    def name(self, index: int) -> int:
        """Of kind and name."""
        return self._name[index]

    def whole(self, index: int) -> int:
        """Of everything, byte for byte."""
        return self._all[index]

    def what(self, index: int) -> int:
        """Of kind, name and masked input."""
        known = self._what[index]
        if known is None:
            entry = self.entries[index]
            known = self._what[index] = hash((entry.kind, _about(entry), self.input(index)))
        return known

    def masker(self, entry: Entry) -> Masker:
        """That of the run which the entry is in."""
        masker = self._maskers.get(entry.run)
        if masker is None:
            masker = self._maskers[entry.run] = Masker(self._runs[entry.run])
        return masker

    def input(self, index: int) -> Masked:
        """The input apart from what is volatile."""
        masked = self._inputs.get(index)
        if masked is None:
            entry = self.entries[index]
            masked = self._inputs[index] = self.masker(entry).payloads(entry.input)
        return masked

    def output(self, index: int) -> Masked:
        """The output apart from what is volatile."""
        entry = self.entries[index]
        return self.masker(entry).payloads(entry.output)

    def words(self, index: int) -> frozenset[str]:
        """The words of the input, and of a decision's condition."""
        words = self._words.get(index)
        if words is None:
            texts = [each for each in self.input(index) if isinstance(each, str)]
            if (decision := self.entries[index].decision) is not None:
                texts.append(f"{decision.condition} {decision.line}")
            found = _WORD.findall("\n".join(texts)[:_LONGEST])
            words = self._words[index] = frozenset(found)
        return words


def _whole(entry: Entry) -> int:
    failure = entry.failure
    trouble = None if failure is None else (failure.root.type, failure.root.message)
    answer = (entry.outcome, _raw(entry.output), trouble, entry.policy, entry.attempts)
    return hash((entry.kind, _about(entry), _raw(entry.input), answer))


def _name(entry: Entry) -> int:
    if entry.kind in _ENDS:
        return hash(entry.kind)  # Two versions of a workflow may go by different names.
    if entry.decision is not None:
        return hash((entry.kind, entry.decision.qualname))
    return hash((entry.kind, entry.name))


def _about(entry: Entry) -> tuple[object, ...]:
    """What an entry is beside its input: for a timer, how long; for a message out, to whom."""
    match entry.kind:
        case EntryKind.TIMER:
            return entry.name, entry.policy
        case EntryKind.SIGNAL_EXTERNAL | EntryKind.CANCEL_EXTERNAL:
            return entry.name, entry.kind
        case EntryKind.START | EntryKind.END:
            return ()
        case _:
            return (entry.name,)


def _raw(payloads: Sequence[Payload]) -> tuple[bytes, ...]:
    return tuple([payload.data for payload in payloads])
