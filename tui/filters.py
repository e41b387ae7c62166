"""What is typed after `/` in a list of runs: a small language over the rows that are shown.

Words are joined by spaces and all must hold. A plain word is looked for in status, type, workflow
id, run id and namespace, without regard to case; `!word` must not occur. `field:text` looks in one
field; `field>number` and `field<number` compare. Nothing that can be typed is an error while it is
being typed: an unfinished comparison filters nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

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

    def matches(self, row: RunRow) -> bool:
        """Whether the row is shown."""
        return all(test(row) for test in self.tests)


def parse(text: str) -> Filter:
    """Read a filter; every text is one."""
    return Filter(text, tuple(filter(None, map(_test, text.split()))))


def _test(word: str) -> Test | None:
    if word.startswith("!"):
        inner = _test(word[1:])
        return None if inner is None else lambda row: not inner(row)
    comparison = _COMPARISON.fullmatch(word)
    if comparison is not None and comparison[1] in FIGURES:
        return _compare(FIGURES[comparison[1]], comparison[2], comparison[3])
    name, colon, wanted = word.partition(":")
    if colon and name in FIELDS:
        return _contains(FIELDS[name], wanted)
    return _anywhere(word) if word else None


def _contains(field: Callable[[RunRow], str], wanted: str) -> Test:
    lowered = wanted.lower()
    return lambda row: lowered in field(row).lower()


def _anywhere(wanted: str) -> Test:
    lowered = wanted.lower()
    return lambda row: lowered in _everything(row)


def _everything(row: RunRow) -> str:
    # One text and one search: with 100,000 runs a search in each field takes too long to type by.
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
