"""What exactly changed in a payload: by path, as JSON; within long texts, word by word.

Payloads are hostile: depth, length and the number of changes are bounded, and what is cut says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import islice
from string import ascii_letters, digits
from typing import Any, Final

import orjson

from replayer.alignment._entries import runs_of
from replayer.alignment._volatile import Masker, is_same_but_volatile
from replayer.alignment.words import AlignedRow, Entry, Reason, Side
from replayer.history import decode
from tracer.model import Failure
from tracer.model.words import Payload

__all__ = ["MISSING", "Change", "TextPart", "changes_of", "text_parts"]

_MOST_CHANGES: Final = 200
_DEEPEST: Final = 40
_LONG_TEXT: Final = 60
"""Characters from which on a text is compared within, and not as a whole."""
_WORDS: Final = 600
"""Words between the common beginning and end of two texts that are compared; the rest is one part.
Comparing takes time with their square."""
_ITEMS: Final = 400
"""Items of a list up to which moved-up neighbours are found; longer ones are compared in place."""

_LONGEST_WORD: Final = 40
"""Letters of a word, which is shown as changed whole."""
_LETTERS: Final = ascii_letters + digits

_TOKEN: Final = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_]\w*")


class _Missing:
    """What stands for a value that one side does not have; JSON's `null` is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""The value of the side that has none."""


class TextPart(StrEnum):
    """Where a part of a text is."""

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference inside the input, output or outcome of a pair."""

    where: Reason
    """`INPUT`, `OUTPUT`, `OUTCOME` or `POLICY`."""
    path: str
    """Such as `$[0].customer.name`: the first argument's field. `$` is the list of arguments of an
    input, and the value of an output."""
    left: Any
    """The value, `MISSING` where there is none."""
    right: Any
    volatile: bool = False
    """They differ only in ids, times or addresses that no two runs share."""
    text: tuple[tuple[TextPart, str], ...] = ()
    """Long texts in parts; joined without the other side's parts they are the texts."""


def changes_of(row: AlignedRow, *, limit: int = _MOST_CHANGES) -> list[Change]:
    """What changed in the payloads, the failure and the policy of a row's two entries.

    Args:
        row: A row with both sides; others have no changes.
        limit: Most changes to return.
    """
    if row.left is None or row.right is None or not (row.reasons or row.volatile):
        return []
    return list(islice(_changes(row, row.left, row.right), limit))


def _changes(row: AlignedRow, left: Entry, right: Entry) -> Iterator[Change]:
    compare = _Comparison(_masker(row.left_run, left), _masker(row.right_run, right))
    differing = {*row.reasons, *row.volatile}
    if Reason.INPUT in differing:
        values = _values(left.input), _values(right.input)
        yield from compare.values(Reason.INPUT, "$", *values, _DEEPEST)
    if Reason.OUTCOME in differing:
        yield from compare.values(Reason.OUTCOME, "$", _outcome(left), _outcome(right), _DEEPEST)
    if Reason.OUTPUT in differing:
        outputs = _output(left.output), _output(right.output)
        yield from compare.values(Reason.OUTPUT, "$", *outputs, _DEEPEST)
    if Reason.POLICY in differing:
        policies = dict(left.policy), dict(right.policy)
        yield from compare.values(Reason.POLICY, "$", *policies, _DEEPEST)
    if Reason.BRANCH in differing:
        yield from compare.values(Reason.BRANCH, "$", _decision(left), _decision(right), _DEEPEST)


def _masker(side: Side | None, entry: Entry) -> Masker:
    assert side is not None, "rows that were aligned know their runs"
    return Masker(runs_of(side)[entry.run].run)


def _values(payloads: Sequence[Payload]) -> list[Any]:
    return [_value(payload) for payload in payloads]


def _output(payloads: Sequence[Payload]) -> Any:
    values = _values(payloads)
    return values[0] if len(values) == 1 else values


def _value(payload: Payload) -> Any:
    decoded = decode(payload)
    if decoded.json is not None or decoded.text == "null":
        return decoded.json
    if decoded.text is not None:
        return decoded.text
    return f"{decoded.size} bytes, {decoded.note or decoded.encoding or 'opaque'}"


def _outcome(entry: Entry) -> dict[str, Any]:
    return {"outcome": entry.outcome, "failure": _failure(entry.failure)}


def _failure(failure: Failure | None) -> Any:
    if failure is None:
        return None
    return [{"type": each.type or each.kind, "message": each.message} for each in failure.chain]


def _decision(entry: Entry) -> dict[str, Any]:
    decision = entry.decision
    if decision is None:
        return {}
    return {"outcome": decision.outcome, "because": decision.because, **dict(decision.values)}


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Compares values of two runs."""

    left: Masker
    right: Masker

    def values(
        self, where: Reason, path: str, ours: Any, theirs: Any, depth: int
    ) -> Iterator[Change]:
        if isinstance(ours, dict) and isinstance(theirs, dict) and depth:
            yield from self._members(where, path, ours, theirs, depth - 1)
        elif isinstance(ours, list) and isinstance(theirs, list) and depth:
            yield from self._items(where, path, ours, theirs, depth - 1)
        elif not _is_same(ours, theirs):
            yield self._change(where, path, ours, theirs)

    def _members(
        self, where: Reason, path: str, ours: dict[str, Any], theirs: dict[str, Any], depth: int
    ) -> Iterator[Change]:
        for name in {**ours, **theirs}:
            mine, yours = ours.get(name, MISSING), theirs.get(name, MISSING)
            yield from self.values(where, _member(path, name), mine, yours, depth)

    def _items(
        self, where: Reason, path: str, ours: list[Any], theirs: list[Any], depth: int
    ) -> Iterator[Change]:
        for i, j in self._pairs(ours, theirs):
            index = i if i is not None else j
            mine = MISSING if i is None else ours[i]
            yours = MISSING if j is None else theirs[j]
            yield from self.values(where, f"{path}[{index}]", mine, yours, depth)

    def _pairs(self, ours: list[Any], theirs: list[Any]) -> Iterator[tuple[int | None, int | None]]:
        """Items that belong together: the same ones, and between them those in the same place."""
        if max(len(ours), len(theirs)) > _ITEMS:
            yield from _in_place(0, len(ours), 0, len(theirs))
            return
        mine, yours = [_key(self.left, x) for x in ours], [_key(self.right, x) for x in theirs]
        matcher = SequenceMatcher(None, mine, yours, autojunk=False)
        for tag, i, i_end, j, j_end in matcher.get_opcodes():
            # What is the same but for volatile parts still has changes to show.
            del tag
            yield from _in_place(i, i_end, j, j_end)

    def _change(self, where: Reason, path: str, ours: Any, theirs: Any) -> Change:
        is_volatile = (
            ours is not MISSING
            and theirs is not MISSING
            and is_same_but_volatile((_key(self.left, ours),), (_key(self.right, theirs),))
        )
        text: tuple[tuple[TextPart, str], ...] = ()
        if isinstance(ours, str) and isinstance(theirs, str) and _is_long(ours, theirs):
            text = tuple(text_parts(ours, theirs))
        return Change(where, path, ours, theirs, is_volatile, text)


def _is_same(ours: Any, theirs: Any) -> bool:
    # Python takes 1, 1.0 and True for the same; JSON does not.
    return bool(type(ours) is type(theirs) and ours == theirs)


def _is_long(ours: str, theirs: str) -> bool:
    return min(len(ours), len(theirs)) >= _LONG_TEXT or ("\n" in ours and "\n" in theirs)


def _in_place(i: int, i_end: int, j: int, j_end: int) -> Iterator[tuple[int | None, int | None]]:
    for step in range(max(i_end - i, j_end - j)):
        yield (
            i + step if i + step < i_end else None,
            j + step if j + step < j_end else None,
        )


def _key(masker: Masker, value: Any) -> str:
    try:
        return masker.text(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())
    except (TypeError, ValueError):
        return masker.text(repr(value))


def _member(path: str, name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return f"{path}.{name}"
    return f"{path}[{orjson.dumps(name.encode(errors='replace').decode()).decode()}]"


def text_parts(left: str, right: str) -> list[tuple[TextPart, str]]:
    """Two texts as one sequence of parts, word by word.

    Returns:
        Parts of both and of one side, in reading order.
    """
    head = _common(left, right)
    tail = _common(left[head:][::-1], right[head:][::-1])
    ours, theirs = _tokens(left[head : len(left) - tail]), _tokens(right[head : len(right) - tail])
    parts = [(TextPart.BOTH, left[:head])]
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            parts.append((TextPart.BOTH, "".join(ours[i:i_end])))
            continue
        parts.append((TextPart.LEFT, "".join(ours[i:i_end])))
        parts.append((TextPart.RIGHT, "".join(theirs[j:j_end])))
    parts.append((TextPart.BOTH, left[len(left) - tail :]))
    return [part for part in parts if part[1]]


def _common(left: str, right: str) -> int:
    """Characters of the common beginning, up to the end of a word."""
    # By halves: comparing slices is a matter of microseconds, whatever their length.
    length, end = 0, min(len(left), len(right))
    while length < end:
        middle = (length + end + 1) // 2
        if left[length:middle] == right[length:middle]:
            length = middle
        else:
            end = middle - 1
    if length == max(len(left), len(right)):
        return length
    beginning = left[max(0, length - _LONGEST_WORD) : length]
    word = len(beginning) - len(beginning.rstrip(_LETTERS))
    return length - (word if word < _LONGEST_WORD else 0)


def _tokens(text: str) -> list[str]:
    tokens = [match[0] for match in islice(_TOKEN.finditer(text), _WORDS)]
    rest = text[sum(map(len, tokens)) :]
    return [*tokens, rest] if rest else tokens
