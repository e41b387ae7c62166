"""A comparison as a page of `analytics.pages`; without its script it can be read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from analytics.pages import page_of
from replayer.alignment import (
    MISSING,
    AlignedRow,
    Change,
    Comparison,
    Entry,
    TextPart,
    Verdict,
    changes_of,
    totals_of,
    verdicts_of,
)
from tui import figures
from tui.diff.lines import totals
from tui.diff.words import (
    GLYPHS,
    Figure,
    cause_sentences,
    entry_name,
    figures_of,
    heading,
    row_remark,
)

__all__ = ["diff_page"]

_CHANGES: Final = 60
"""Changes shown of a row."""
_VALUE: Final = 4_000
"""Characters shown of a value or a part of a text."""
_CROWDED: Final = 200
"""Rows from which on equal ones are hidden at first."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a text that differs."""

    side: str
    text: str


@dataclass(frozen=True, slots=True)
class _Change:
    """One change as the page shows it."""

    where: str
    path: str
    left: str
    right: str
    is_volatile: bool
    left_parts: tuple[_Part, ...] = ()
    right_parts: tuple[_Part, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row as the page shows it."""

    index: int
    verdict: str
    glyph: str
    kind: str
    name: str
    depth: int
    remark: str
    left: str
    right: str
    is_divergence: bool
    is_explanation: bool
    is_volatile: bool
    figures: tuple[Figure, ...]
    changes: tuple[_Change, ...]
    facts: tuple[Figure, ...]


def diff_page(comparison: Comparison) -> str:
    """The page, as text to be written in UTF-8."""
    left, right = totals_of(comparison.rows)
    return page_of(
        "tui.diff",
        left=heading(comparison.left.run),
        right=heading(comparison.right.run),
        title=f"{comparison.left.run.workflow_type}: {comparison.left.run.key.workflow_id}",
        sentences=list(cause_sentences(comparison)),
        totals=totals(left, right),
        counts=verdicts_of(comparison.rows),
        is_crowded=len(comparison.rows) > _CROWDED,
        rows=_rows(comparison),
        divergence=comparison.cause.divergence if comparison.cause else None,
    )


def _rows(comparison: Comparison) -> Iterator[_Row]:
    cause = comparison.cause
    for index, row in enumerate(comparison.rows):
        yield _Row(
            index=index,
            verdict=row.verdict.value.replace("_", "-"),
            glyph=GLYPHS[row.verdict],
            kind=row.entry.kind.replace("_", " "),
            name=entry_name(row.entry),
            depth=len(row.path),
            remark=row_remark(row),
            left=_side(row.left),
            right=_side(row.right),
            is_divergence=cause is not None and cause.divergence == index,
            is_explanation=cause is not None and cause.explanation == index,
            is_volatile=bool(row.volatile),
            figures=tuple(figures_of(row)),
            changes=tuple(map(_change, changes_of(row, limit=_CHANGES))),
            facts=tuple(_facts(row)) if row.verdict is not Verdict.EQUAL else (),
        )


def _side(entry: Entry | None) -> str:
    """How an entry went, in a few words."""
    if entry is None:
        return ""
    parts = [entry.outcome.replace("_", " ")]
    if entry.duration_ns is not None:
        parts.append(figures.duration(entry.duration_ns))
    if entry.attempts > 1:
        parts.append(f"{entry.attempts} attempts")
    if entry.tokens is not None:
        parts.append(f"{entry.tokens:,} tokens")
    if entry.cost_usd is not None:
        parts.append(figures.money(entry.cost_usd))
    return " · ".join(parts)


def _failure(entry: Entry) -> str:
    if entry.failure is None:
        return ""
    return " ← ".join(f"{each.type or each.kind}: {each.message}" for each in entry.failure.chain)


_FACTS: Final[Mapping[str, Callable[[Entry], str]]] = {
    "step": lambda entry: str(entry.seq or ""),
    "event": lambda entry: str(entry.event_id or ""),
    "at (UTC)": lambda entry: figures.moment(entry.at),
    "id": lambda entry: entry.id,
    "summary": lambda entry: entry.summary,
    "model": lambda entry: entry.model,
    "failure": _failure,
}


def _facts(row: AlignedRow) -> Iterator[Figure]:
    """What is known of both entries beside what changed."""
    for name, show in _FACTS.items():
        left, right = (show(entry) if entry else "" for entry in (row.left, row.right))
        if left or right:
            yield Figure(name, left, right)


def _change(change: Change) -> _Change:
    return _Change(
        change.where.value,
        change.path,
        _pretty(change.left),
        _pretty(change.right),
        change.volatile,
        tuple(_parts(change, TextPart.LEFT)),
        tuple(_parts(change, TextPart.RIGHT)),
    )


def _parts(change: Change, side: TextPart) -> Iterator[_Part]:
    for part, text in change.text:
        if part in (TextPart.BOTH, side):
            yield _Part(part.value, _cut(text))


def _pretty(value: Any) -> str:
    if value is MISSING:
        return ""
    if isinstance(value, str) and "\n" in value:
        return _cut(value)
    try:
        return _cut(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    except (TypeError, ValueError):
        return _cut(repr(value))


def _cut(text: str) -> str:
    left_out = len(text) - _VALUE
    return text if left_out <= 0 else f"{text[:_VALUE]}… {left_out:,} more characters"
