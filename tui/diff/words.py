"""How a comparison is put into words: short, the same in the terminal and on the page.

Texts of runs are quoted as they are: whoever shows them makes them safe for the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from replayer.alignment import (
    MISSING,
    AlignedRow,
    Because,
    Change,
    Comparison,
    Entry,
    EntryKind,
    Origin,
    Reason,
    TextPart,
    Verdict,
    changes_of,
)
from tracer.model import Run
from tui import figures

__all__ = [
    "GLYPHS",
    "Figure",
    "cause_sentences",
    "change_value",
    "entry_name",
    "figures_of",
    "heading",
    "row_remark",
]

GLYPHS: Final = {
    Verdict.EQUAL: "=",
    Verdict.CHANGED: "~",
    Verdict.ONLY_LEFT: "-",
    Verdict.ONLY_RIGHT: "+",
    Verdict.MOVED: ">",
}
"""What stands before a row, so that a verdict does not depend on colour."""

_AROUND: Final = 24
"""Characters shown around the first difference within two long texts."""
_VALUE: Final = 160
"""Characters shown of a value."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both sides."""

    name: str
    left: str
    right: str
    delta: str = ""


def heading(run: Run) -> str:
    """Which run it is, in one line."""
    status = f"{run.status}{' (stuck)' if run.is_stuck else ''}"
    return f"{run.workflow_type}  {status}  {run.key}"


def entry_name(entry: Entry) -> str:
    """What an entry is called; a timer without a summary by its length."""
    if entry.name:
        return entry.name
    return dict(entry.policy).get("timeout start to fire", "") or entry.id


def row_remark(row: AlignedRow) -> str:
    """Why a row is not equal, in a few words."""
    match row.verdict:
        case Verdict.ONLY_LEFT:
            return "only in A"
        case Verdict.ONLY_RIGHT:
            return "only in B"
        case Verdict.MOVED:
            return ", ".join(["moved", *row.reasons])
        case Verdict.CHANGED:
            return ", ".join(row.reasons)
        case Verdict.EQUAL:
            return f"differs, volatile: {', '.join(row.volatile)}" if row.volatile else ""


def figures_of(row: AlignedRow) -> Iterator[Figure]:
    """The figures in which a pair differs."""
    left, right = row.left, row.right
    if left is None or right is None:
        return
    for reason in row.reasons:
        match reason:
            case Reason.ATTEMPTS:
                yield Figure("attempts", str(left.attempts), str(right.attempts))
            case Reason.DURATION:
                shown = figures.duration(left.duration_ns), figures.duration(right.duration_ns)
                yield Figure("duration", *shown)
            case Reason.MODEL:
                yield Figure("model", left.model or figures.UNKNOWN, right.model or figures.UNKNOWN)
            case Reason.TOKENS:
                yield Figure("tokens", _tokens(left), _tokens(right))
            case Reason.COST:
                yield Figure("cost", figures.money(left.cost_usd), figures.money(right.cost_usd))


def _tokens(entry: Entry) -> str:
    if entry.tokens is None:
        return figures.UNKNOWN
    return f"{figures.count(entry.input_tokens)} in {figures.count(entry.output_tokens)} out"


def change_value(change: Change) -> tuple[str, str]:
    """The two values of a change, cut to what can be read in a line."""
    if change.text:
        return _around(change, TextPart.LEFT), _around(change, TextPart.RIGHT)
    return _shown(change.left), _shown(change.right)


def _around(change: Change, side: TextPart) -> str:
    """A long text where it first differs."""
    parts = [text for part, text in change.text if part in (TextPart.BOTH, side)]
    first = next(k for k, (part, _) in enumerate(change.text) if part is not TextPart.BOTH)
    before = "".join(parts[:first])
    after = "".join(parts[first:])
    head = f"…{before[-_AROUND:]}" if len(before) > _AROUND else before
    return _cut(f"{head}{after}")


def _shown(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    try:
        return _cut(orjson.dumps(value).decode())
    except (TypeError, ValueError):
        return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"


def cause_sentences(comparison: Comparison) -> Iterator[str]:
    """Where the runs part, and why: one sentence each."""
    cause, rows = comparison.cause, comparison.rows
    if cause is None:
        yield _no_divergence(comparison)
        return
    row = rows[cause.divergence]
    explanation = None if cause.explanation is None else rows[cause.explanation]
    if cause.because is Because.ITSELF:
        yield f"The workflow did the same in both; the first difference is {_what(row)}."
    else:
        yield f"They part at {_what(row)}{_how(row)}."
    if explanation is not None:
        yield from _explained(cause.because, explanation)
    else:
        yield f"Nothing that it read before differs, so the code does{_builds(comparison)}"
    if comparison.origin is not None:
        yield from _origin(comparison.origin)


def _origin(origin: Origin) -> Iterator[str]:
    """The line that differs, and what it made of what."""
    left, right = origin.left, origin.right
    yield f"A ran {left.file}:{left.line}  {left.text}"
    yield f"B ran {right.file}:{right.line}  {right.text}"
    if origin.name:
        shown = _cut(origin.left_value), _cut(origin.right_value)
        yield f"It set {origin.name} to {shown[0]} in A and to {shown[1]} in B."


def _no_divergence(comparison: Comparison) -> str:
    if comparison.differs:
        return "Both did the same; only tries or figures differ."
    return "No difference."


def _what(row: AlignedRow) -> str:
    entry = row.entry
    inside = f" in {' / '.join(row.path)}" if row.path else ""
    match entry.kind:
        case EntryKind.START:
            return f"the start of {entry.name}{inside}"
        case EntryKind.END:
            return f"the end of {entry.name}{inside}"
        case EntryKind.BRANCH:
            return f"the decision in {entry.name}{inside}"
        case kind:
            number = "" if entry.seq is None else f"step {entry.seq}, "
            return f"{number}{kind.replace('_', ' ')} {entry_name(entry)}{inside}"


def _how(row: AlignedRow) -> str:
    match row.verdict:
        case Verdict.ONLY_LEFT:
            return ", which only A has"
        case Verdict.ONLY_RIGHT:
            return ", which only B has"
        case Verdict.MOVED:
            return ", which comes in another order"
        case _:
            return f", with another {' and '.join(row.reasons)}"


def _builds(comparison: Comparison) -> str:
    left, right = comparison.left.run.build_id, comparison.right.run.build_id
    return f": build {left} and {right}." if left and right and left != right else "."


def _explained(because: Because, row: AlignedRow) -> Iterator[str]:
    match because:
        case Because.BRANCH:
            yield from _branch(row)
        case Because.MESSAGE if row.left is None or row.right is None:
            yield f"Because {_what(row)} came in {'A' if row.right is None else 'B'} only."
        case Because.ITSELF:
            yield from _values(row, "There")
        case _:
            yield from _values(row, f"Before that, {_what(row)} gave something else:")


def _branch(row: AlignedRow) -> Iterator[str]:
    left, right = row.entry.decision, row.right.decision if row.right is not None else None
    if left is None or right is None:
        return
    where = f"{left.file}:{left.line}" if left.file else f"line {left.line}"
    if (right.file, right.line) != (left.file, left.line):
        where += f" and {right.file}:{right.line}"
    condition = left.condition
    if right.condition != condition:
        condition += f"  (in B: {right.condition})"
    yield (
        f"Because the decision at {where} went {str(left.outcome).lower()} in A and "
        f"{str(right.outcome).lower()} in B: {condition}"
    )
    for name, decision in (("A", left), ("B", right)):
        if decision.values:
            read = ", ".join(f"{key} = {value}" for key, value in decision.values)
            yield f"{name} read {_cut(read)}"


def _values(row: AlignedRow, lead: str) -> Iterator[str]:
    changes = [change for change in changes_of(row) if not change.volatile]
    if not changes:
        return
    left, right = change_value(changes[0])
    more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
    yield f"{lead} {changes[0].where} {changes[0].path} is {left} in A and {right} in B{more}"
