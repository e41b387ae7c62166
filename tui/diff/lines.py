"""A comparison as lines for a terminal: readable in 80 columns, with and without colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from replayer.alignment import AlignedRow, Comparison, Totals, Verdict, changes_of, totals_of
from tui import figures
from tui.diff.words import (
    GLYPHS,
    Figure,
    cause_sentences,
    change_value,
    entry_name,
    figures_of,
    heading,
    row_remark,
)
from tui.pieces import BLANK, Line, Tone, cell, piece

__all__ = ["diff_lines", "totals"]

_CONTEXT: Final = 2
"""Equal rows shown before and after a difference."""
_FOLDED: Final = 3
"""Equal rows that are folded into one line; fewer are shown."""
_CHANGES: Final = 8
"""Changes shown of a row; JSON and HTML have all."""

_TONES: Final = {
    Verdict.EQUAL: Tone.DIM,
    Verdict.CHANGED: Tone.WARN,
    Verdict.ONLY_LEFT: Tone.BAD,
    Verdict.ONLY_RIGHT: Tone.GOOD,
    Verdict.MOVED: Tone.NOTE,
}
_KIND: Final = 15
_FIGURE: Final = 12


def diff_lines(comparison: Comparison, *, only_changed: bool = False) -> Iterator[Line]:
    """The whole comparison.

    Args:
        comparison: What `compare` found.
        only_changed: Leave out rows that are equal.
    """
    yield (piece("A  ", Tone.BAD), piece(heading(comparison.left.run)))
    yield (piece("B  ", Tone.GOOD), piece(heading(comparison.right.run)))
    yield BLANK
    for number, sentence in enumerate(cause_sentences(comparison)):
        yield (piece(sentence, Tone.PLAIN if number else Tone.STRONG),)
    yield BLANK
    yield from _totals(comparison)
    yield BLANK
    yield from _rows(comparison, only_changed=only_changed)


def totals(left: Totals, right: Totals) -> list[Figure]:
    """What each side took, and by how much B took more."""
    return [
        _figure("time", left.duration_ns, right.duration_ns, figures.duration),
        _figure("steps", left.steps, right.steps, figures.count),
        _figure("attempts", left.attempts, right.attempts, figures.count),
        _figure("model calls", left.model_calls, right.model_calls, figures.count),
        _figure("tokens in", left.input_tokens, right.input_tokens, figures.count),
        _figure("tokens out", left.output_tokens, right.output_tokens, figures.count),
        _cost(left, right),
    ]


def _figure(
    name: str, left: int | None, right: int | None, show: Callable[[int | None], str]
) -> Figure:
    delta = ""
    if left is not None and right is not None:
        more = right - left
        delta = f"{'+' if more > 0 else '-'}{show(abs(more))}" if more else "="
    return Figure(name, show(left), show(right), delta)


def _cost(left: Totals, right: Totals) -> Figure:
    delta = ""
    if left.cost_usd is not None and right.cost_usd is not None:
        more = right.cost_usd - left.cost_usd
        delta = f"{'+' if more > 0 else '-'}{figures.money(abs(more))}" if more else "="
    return Figure("cost", _priced(left), _priced(right), delta)


def _priced(side: Totals) -> str:
    """The cost, and of how many calls it is the cost."""
    known = figures.money(side.cost_usd)
    if side.cost_usd is None or side.priced_calls == side.model_calls:
        return known
    return f"{known} for {side.priced_calls}/{side.model_calls}"


def _totals(comparison: Comparison) -> Iterator[Line]:
    yield (
        piece(" " * _KIND),
        *(piece(title.rjust(_FIGURE), Tone.STRONG) for title in ("A", "B", "B - A")),
    )
    for each in totals(*totals_of(comparison.rows)):
        if (each.left, each.right) == (figures.UNKNOWN, figures.UNKNOWN):
            continue
        shown = (each.left, each.right, each.delta)
        tone = Tone.DIM if each.delta == "=" else Tone.PLAIN
        yield (cell(each.name, _KIND), *(piece(text.rjust(_FIGURE), tone) for text in shown))


def _rows(comparison: Comparison, *, only_changed: bool) -> Iterator[Line]:
    rows = comparison.rows
    shown = _shown(rows, only_changed=only_changed)
    for is_shown, group in groupby(range(len(rows)), key=shown.__contains__):
        indexes = list(group)
        if is_shown:
            for index in indexes:
                yield from _row(comparison, index)
        elif not only_changed:
            yield (piece(f"  … {figures.counted(len(indexes), 'equal row')}", Tone.DIM),)


def _shown(rows: Sequence[AlignedRow], *, only_changed: bool) -> set[int]:
    """Rows that are not folded away."""
    different = [index for index, row in enumerate(rows) if row.verdict is not Verdict.EQUAL]
    if only_changed:
        return set(different)
    shown = {
        near
        for index in different
        for near in range(index - _CONTEXT, index + _CONTEXT + 1)
        if 0 <= near < len(rows)
    }
    for is_shown, group in groupby(range(len(rows)), key=shown.__contains__):
        indexes = list(group)
        if not is_shown and len(indexes) < _FOLDED:
            shown.update(indexes)
    return shown


def _row(comparison: Comparison, index: int) -> Iterator[Line]:
    row = comparison.rows[index]
    entry, tone = row.entry, _TONES[row.verdict]
    indent = "  " * len(row.path)
    remark = row_remark(row)
    outcome = _outcome(row)
    yield (
        piece(f"{indent}{GLYPHS[row.verdict]} ", tone),
        cell(entry.kind.replace("_", " "), _KIND, tone),
        piece(f"{entry_name(entry)}", tone),
        piece(f"  {outcome}" if outcome else "", Tone.DIM),
        piece(f"  {remark}" if remark else "", tone),
    )
    for line in _details(row):
        yield (piece(f"{indent}      "), *line)
    if comparison.cause is not None and index == comparison.cause.divergence:
        yield (piece(f"{indent}    ^ here they part", Tone.STRONG),)


def _outcome(row: AlignedRow) -> str:
    """How a row's entries ended, where that is worth a word."""
    ours, theirs = (entry.outcome if entry else None for entry in (row.left, row.right))
    if ours is not None and theirs is not None and ours != theirs:
        return f"{ours} → {theirs}".replace("_", " ")
    either = (ours or theirs or "").replace("_", " ")
    return "" if either in ("completed", "received") else either


def _details(row: AlignedRow) -> Iterator[Line]:
    for each in figures_of(row):
        yield (piece(f"{each.name} "), *_pair(each.left, each.right))
    if row.verdict is Verdict.EQUAL:
        return
    changes = changes_of(row, limit=_CHANGES + 1)
    for change in changes[:_CHANGES]:
        where = f"{change.where} {change.path} "
        if change.volatile:
            yield (piece(f"{where} differs, volatile", Tone.DIM),)
        else:
            yield (piece(where), *_pair(*change_value(change)))
    if len(changes) > _CHANGES:
        yield (piece("… more changes: see --json or --html", Tone.DIM),)


def _pair(left: str, right: str) -> Line:
    return (piece(left, Tone.BAD), piece(" → "), piece(right, Tone.GOOD))
