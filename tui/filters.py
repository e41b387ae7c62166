"""What is typed after `/` in a list of runs: a small language over the rows that are shown.

Words are joined by spaces and all must hold. A plain word is looked for in status, type, workflow
id, run id and namespace, without regard to case; `!word` must not occur. `field:text` looks in one
field; `field>number` and `field<number` compare. Nothing that can be typed is an error while it is
being typed: an unfinished comparison filters nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tui.haystack import Haystack
from tui.sources import RunRow

type Test = Callable[[RunRow], bool]

FIELDS: dict[str, Callable[[RunRow], str]] = {
    "status": lambda row: f"{row.status} STUCK" if row.is_stuck else row.status,
    "type": lambda row: row.workflow_type,
    "id": lambda row: row.key.workflow_id,
    "run": lambda row: row.key.run_id,
    "ns": lambda row: row.key.namespace,
}
"""Fields of `field:text`."""

FIGURES: dict[str, Callable[[RunRow], float | None]] = {
    "cost": lambda row: row.cost_usd,
    "steps": lambda row: row.steps,
    "attempts": lambda row: row.attempts,
    "duration": lambda row: None if row.duration_ns is None else row.duration_ns / 1e9,
}
"""Fields of `field>number`; durations in seconds."""

_COMPARISON = re.compile(r"(\w+)([<>])(.*)")


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was typed."""

    text: str
    """As typed."""
    tests: tuple[Test, ...]
    """All must hold."""
    words: tuple[str, ...] = ()
    """All must occur."""


class RunIndex:
    """Rows in the order of a list, to be filtered again with each key that is typed."""

    def __init__(self, rows: Sequence[RunRow]) -> None:
        self.rows = sorted(rows, key=lambda row: row.started_at or 0, reverse=True)

    @cached_property
    def _texts(self) -> Haystack:
        return Haystack(map(_everything, self.rows))

    def matching(self, wanted: Filter) -> Sequence[RunRow]:
        """The rows that are shown, the newest first."""
        rows: Sequence[RunRow] = self.rows
        if wanted.words:
            found = (set(self._texts.having(word)) for word in wanted.words)
            rows = [rows[index] for index in sorted(set.intersection(*found))]
        if not wanted.tests:
            return rows
        return [row for row in rows if all(test(row) for test in wanted.tests)]


def parse(text: str) -> Filter:
    """Read a filter; every text is one."""
    read = [_read(word) for word in text.split()]
    tests = tuple(each for each in read if callable(each))
    return Filter(text, tests, tuple(each for each in read if isinstance(each, str) and each))


def _read(word: str) -> Test | str | None:
    """A test, a word that must occur, or nothing as yet."""
    if word.startswith("!"):
        inner = _read(word[1:])
        if isinstance(inner, str):
            return _without(inner) if inner else None
        return None if inner is None else lambda row: not inner(row)
    comparison = _COMPARISON.fullmatch(word)
    if comparison is not None and comparison[1] in FIGURES:
        return _compare(FIGURES[comparison[1]], comparison[2], comparison[3])
    name, colon, wanted = word.partition(":")
    if colon and name in FIELDS:
        return _contains(FIELDS[name], wanted)
    return word


def _contains(field: Callable[[RunRow], str], wanted: str) -> Test:
    lowered = wanted.lower()
    return lambda row: lowered in field(row).lower()


def _without(unwanted: str) -> Test:
    lowered = unwanted.lower()
    return lambda row: lowered not in _everything(row)


def _everything(row: RunRow) -> str:
    key = row.key
    parts = (FIELDS["status"](row), row.workflow_type, key.workflow_id, key.run_id, key.namespace)
    return "\n".join(parts).lower()


def _compare(field: Callable[[RunRow], float | None], sign: str, number: str) -> Test | None:
    try:
        limit = float(number.removeprefix("$").removesuffix("s"))
    except ValueError:
        return None

    def compare(row: RunRow) -> bool:
        value = field(row)
        if value is None:
            return False  # Unknown is neither more nor less than anything.
        return value > limit if sign == ">" else value < limit

    return compare
