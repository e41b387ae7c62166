"""Two runs as rows: side by side where there is room, in one column where there is not.

The rows are those of `replayer.alignment`, which `retrospan diff` prints too; nothing is compared
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from replayer.alignment import AlignedRow, Comparison, Entry, EntryKind, Verdict, changes_of
from tui import figures
from tui.diff.words import GLYPHS, cause_sentences, change_value, row_remark
from tui.pieces import Line, Piece, Tone, clip_line, figure, piece, wrapped
from tui.replay.timeline import glyph_of, short_count, shown_name

_MIDDLE: Final = 14
_SIDE_FROM: Final = 110
"""Cells from which two columns can be read."""
_MOST_CHANGES: Final = 60

TONES: Final = {
    Verdict.EQUAL: Tone.DIM,
    Verdict.CHANGED: Tone.WARN,
    Verdict.ONLY_LEFT: Tone.BAD,
    Verdict.ONLY_RIGHT: Tone.GOOD,
    Verdict.MOVED: Tone.NOTE,
}


class Layout(StrEnum):
    """How rows are laid out."""

    AUTO = "by width"
    SIDES = "side by side"
    UNIFIED = "one column"
    CHANGES = "only changes"

    @property
    def next(self) -> Layout:
        """The one after this."""
        known = list(Layout)
        return known[(known.index(self) + 1) % len(known)]


@dataclass(frozen=True, slots=True)
class Hunk:
    """Rows that are shown one by one, or folded into one line."""

    first: int
    last: int
    is_folded: bool


class DiffView:
    """A `LineSource` over a comparison."""

    def __init__(self, comparison: Comparison, layout: Layout, context: int = 2) -> None:
        self.comparison = comparison
        self._layout = layout
        self._lines = list(_laid_out(comparison.rows, layout, context))
        self._line_of = {
            index: line for line, index in enumerate(self._lines) if isinstance(index, int)
        }

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def row(self, index: int) -> int | None:
        """The row of a line; `None` for a line that stands for several."""
        found = self._lines[index]
        return found if isinstance(found, int) else None

    def line_of(self, row: int) -> int:
        """The line of a row, or of what it is folded into."""
        if row in self._line_of:
            return self._line_of[row]
        folds = enumerate(self._lines)
        return next(
            (at for at, each in folds if isinstance(each, Hunk) and each.first <= row <= each.last),
            0,
        )

    def line(self, index: int, width: int) -> Line:
        """One line."""
        found = self._lines[index]
        if isinstance(found, Hunk):
            count = figures.counted(found.last - found.first + 1, "equal row")
            return (Piece(f"  ⋯ {count}", Tone.DIM),)
        row = self.comparison.rows[found]
        cause = self.comparison.cause
        is_first = cause is not None and cause.divergence == found
        is_sides = self._layout is Layout.SIDES or (
            self._layout is not Layout.UNIFIED and width >= _SIDE_FROM
        )
        return _sides(row, width, is_first) if is_sides else _unified(row, width, is_first)


def difference_rows(comparison: Comparison) -> list[int]:
    """The rows that differ, ascending."""
    return [index for index, row in enumerate(comparison.rows) if row.is_difference]


def summary_lines(comparison: Comparison, width: int) -> list[Line]:
    """Where they part and why, the first sentence first."""
    return [
        (Piece(" "), *row)
        for number, text in enumerate(cause_sentences(comparison))
        for row in wrapped(text, width - 1, Tone.STRONG if number == 0 else Tone.PLAIN)
    ]


def change_lines(row: AlignedRow) -> Iterator[Line]:
    """What exactly differs in a row."""
    remark = row_remark(row)
    yield (
        piece(f"{GLYPHS[row.verdict]} ", TONES[row.verdict]),
        piece(f"{row.entry.kind.replace('_', ' ')} {shown_name(row.entry)}", Tone.STRONG),
        piece(f"  {remark}" if remark else "  equal", TONES[row.verdict]),
    )
    if row.verdict is Verdict.EQUAL:
        return
    changes = changes_of(row, limit=_MOST_CHANGES + 1)
    for change in changes[:_MOST_CHANGES]:
        left, right = change_value(change)
        about = "  volatile" if change.volatile else ""
        yield (piece(f"{change.where} {change.path}", Tone.NOTE), Piece(about, Tone.DIM))
        yield Piece("  A ", Tone.BAD), piece(left)
        yield Piece("  B ", Tone.GOOD), piece(right)
    if len(changes) > _MOST_CHANGES:
        yield (Piece("… more changes: `retrospan diff --html FILE` has all", Tone.DIM),)


def _laid_out(rows: Sequence[AlignedRow], layout: Layout, context: int) -> Iterator[int | Hunk]:
    different = [index for index, row in enumerate(rows) if row.verdict is not Verdict.EQUAL]
    if layout is Layout.CHANGES:
        yield from different
        return
    near = {
        index
        for each in different
        for index in range(each - context, each + context + 1)
        if 0 <= index < len(rows)
    }
    for is_shown, group in groupby(range(len(rows)), key=near.__contains__):
        indexes = list(group)
        if is_shown or len(indexes) <= 2 or not different:
            yield from indexes
        else:
            yield Hunk(indexes[0], indexes[-1], True)


def _sides(row: AlignedRow, width: int, is_first: bool) -> Line:
    room = max(8, (width - _MIDDLE) // 2)
    remark = "◀ THEY PART" if is_first else ", ".join(row.reasons) or ""
    middle = f" {GLYPHS[row.verdict]} {remark}"
    tone = Tone.STRONG if is_first else TONES[row.verdict]
    return (
        *_cell(row.left, room, row),
        *clip_line((piece(middle, tone),), width - 2 * room),
        *_cell(row.right, room, row),
    )


def _cell(entry: Entry | None, width: int, row: AlignedRow) -> Line:
    if entry is None:
        return (Piece(" " * width),)
    glyph, tone = glyph_of(entry)
    figures_ = _figures(entry)
    room = max(4, width - sum(len(each.text) for each in figures_))
    name_tone = Tone.DIM if row.verdict is Verdict.EQUAL else Tone.PLAIN
    head = (
        Piece(" " + "  " * len(row.path)),
        Piece(f"{glyph} ", tone),
        piece(shown_name(entry), name_tone),
    )
    return (*clip_line(head, room), *figures_)


def _figures(entry: Entry) -> Line:
    shown = entry.kind is not EntryKind.START
    tokens = "" if entry.tokens is None else short_count(entry.tokens)
    cost = entry.cost_usd
    return (
        figure(figures.duration(entry.duration_ns) if shown and entry.duration_ns else "", 8),
        figure(tokens, 7, Tone.DIM),
        figure("" if cost is None else figures.money(cost), 9, Tone.NOTE),
        Piece(" "),
    )


def _unified(row: AlignedRow, width: int, is_first: bool) -> Line:
    tone = TONES[row.verdict]
    glyph, glyph_tone = glyph_of(row.entry)
    remark = row_remark(row)
    head = (
        Piece(f"{GLYPHS[row.verdict]} ", tone),
        Piece("  " * len(row.path)),
        Piece(f"{glyph} ", glyph_tone),
        piece(shown_name(row.entry), Tone.DIM if row.verdict is Verdict.EQUAL else Tone.PLAIN),
        piece(f"  {remark}" if remark else "", tone),
        Piece("  ◀ THEY PART" if is_first else "", Tone.STRONG),
    )
    return clip_line(head, width)
