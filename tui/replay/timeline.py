"""The timeline: one row for what was asked for and answered, folded by turns.

In and out of a step are one row. A turn is a model call with what it led to; its row sums time,
tokens and money. A run without model calls has no turns, and its rows stand alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from replayer.alignment import Entry, EntryKind
from tui import figures
from tui.event_words import STATUS_GLYPHS
from tui.pieces import Line, Piece, Tone, clip_line, figure, piece
from tui.replay.book import Book

_KINDS: Final = {
    EntryKind.START: ("▷", "start"),
    EntryKind.ACTIVITY: ("■", "act"),
    EntryKind.LOCAL_ACTIVITY: ("□", "local"),
    EntryKind.CHILD_WORKFLOW: ("◫", "child"),
    EntryKind.NEXUS_OPERATION: ("◈", "nexus"),
    EntryKind.TIMER: ("◷", "timer"),
    EntryKind.SIGNAL_EXTERNAL: ("↗", "signal"),
    EntryKind.CANCEL_EXTERNAL: ("⊘", "cancel"),
    EntryKind.SIGNAL: ("⚑", "signal"),
    EntryKind.UPDATE: ("⚑", "update"),
    EntryKind.WAIT: ("◌", "wait"),
    EntryKind.BRANCH: ("◇", "branch"),
    EntryKind.CONTINUE: ("↻", "next"),
    EntryKind.END: ("◼", "end"),
}
"""Glyph and word of a row's kind."""
_FAILURE: Final = frozenset({"failed", "timed_out", "terminated", "rejected", "stuck"})
_WIDE: Final = 44
_DURATION, _TOKENS, _COST = 8, 7, 9


class Columns(StrEnum):
    """What the last columns tell."""

    COST = "cost"
    SUM = "sum so far"
    OFF = "off"

    @property
    def next(self) -> Columns:
        """The one after this."""
        known = list(Columns)
        return known[(known.index(self) + 1) % len(known)]


class Row(NamedTuple):
    """A row: a turn's own, or an entry's."""

    turn: int
    entry: int | None
    """Index of the entry; `None` for the row of a turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A model call and what it led to."""

    number: int
    first: int
    """Index of its first entry."""
    last: int
    duration_ns: int | None
    tokens: int | None
    cost_usd: float | None
    failures: int


class TurnTimeline:
    """A `LineSource` over a book, with some turns folded."""

    def __init__(
        self, book: Book, folded: frozenset[int] = frozenset(), columns: Columns = Columns.COST
    ) -> None:
        self.book = book
        self.folded = folded
        self.turns = turns_of(book)
        self._columns = columns
        self._rows = _rows(book, self.turns, folded)
        self._line_of_entry = {row.entry: line for line, row in enumerate(self._rows)}
        self._line_of_turn = {
            row.turn: line for line, row in enumerate(self._rows) if row.entry is None
        }
        self._sums = _sums(book.entries) if columns is Columns.SUM else ()

    def __len__(self) -> int:
        """How many rows are shown."""
        return len(self._rows)

    def row(self, index: int) -> Row:
        """A row."""
        return self._rows[index]

    def position(self, index: int) -> int:
        """The event that a row begins with."""
        row = self._rows[index]
        entry = self.turns[row.turn].first if row.entry is None else row.entry
        return self.book.position_of(self.book.entries[entry])

    def line_of(self, position: int) -> int:
        """The row that an event belongs to; its turn's where that is folded."""
        owner = self.book.owners[position]
        line = self._line_of_entry.get(owner)
        if line is not None:
            return line
        return self._line_of_turn.get(self.book.entries[owner].turn, 0)

    def line(self, index: int, width: int) -> Line:
        """One row."""
        row = self._rows[index]
        if row.entry is None:
            return self._turn_line(self.turns[row.turn], width)
        return self._entry_line(row.entry, width)

    def _turn_line(self, turn: Turn, width: int) -> Line:
        mark = "▸" if turn.number in self.folded else "▾"
        model = self.book.entries[turn.first].model
        cost = self._sums[turn.last] if self._sums else turn.cost_usd
        tail = self._figures(turn.duration_ns, turn.tokens, cost, width)
        failed = f" ✗ {turn.failures}" if turn.failures else ""
        head = (
            Piece(f"{mark} turn {turn.number}", Tone.STRONG),
            Piece(failed, Tone.BAD),
            piece(f"  {model}" if width >= _WIDE else "", Tone.DIM),
        )
        return _spread(head, tail, width)

    def _entry_line(self, index: int, width: int) -> Line:
        entry = self.book.entries[index]
        is_inside = self.book.has_turns and entry.turn > 0 and entry.kind is not EntryKind.END
        glyph, tone = glyph_of(entry)
        kind = "llm" if entry.is_model_call else _KINDS[entry.kind][1]
        cost = self._sums[index] if self._sums else entry.cost_usd
        tail = self._figures(self._duration(entry), entry.tokens, cost, width)
        return _spread(
            (
                Piece("  " if is_inside else ""),
                Piece(f"{glyph} ", tone),
                Piece(f"{kind:<7}" if width >= _WIDE else f"{kind} ", Tone.DIM),
                piece(shown_name(entry), Tone.STRONG if entry.is_model_call else Tone.PLAIN),
                *_remarks(self.book, entry),
            ),
            tail,
            width,
        )

    def _duration(self, entry: Entry) -> int | None:
        if entry.kind is EntryKind.START:
            return None
        wait = self.book.waits.get(entry.event_id or 0)
        if entry.kind in (EntryKind.SIGNAL, EntryKind.UPDATE) and wait is not None:
            return wait.duration_ns
        return entry.duration_ns

    def _figures(
        self, duration: int | None, tokens: int | None, cost: float | None, width: int
    ) -> Line:
        shown = [figure("" if duration is None else figures.duration(duration), _DURATION)]
        if self._columns is Columns.OFF or not self.book.has_turns:
            return tuple(shown)
        if width >= _WIDE:
            shown.append(figure("" if tokens is None else short_count(tokens), _TOKENS, Tone.DIM))
        shown.append(figure("" if cost is None else figures.money(cost), _COST, Tone.NOTE))
        return tuple(shown)

    def headings(self, width: int) -> Line:
        """The titles above the rows."""
        shown = [figure("time", _DURATION, Tone.DIM)]
        if self._columns is not Columns.OFF and self.book.has_turns:
            if width >= _WIDE:
                shown.append(figure("tokens", _TOKENS, Tone.DIM))
            title = "$ so far" if self._columns is Columns.SUM else "$"
            shown.append(figure(title, _COST, Tone.DIM))
        return _spread((Piece("1 TIMELINE", Tone.DIM),), tuple(shown), width)


def turns_of(book: Book) -> dict[int, Turn]:
    """The turns of a run, by number; none for a run without model calls."""
    if not book.has_turns:
        return {}
    turns: dict[int, Turn] = {}
    entries = book.entries
    inside = (i for i, each in enumerate(entries) if each.kind is not EntryKind.END)
    for number, group in groupby(inside, key=lambda index: entries[index].turn):
        if number:
            turns[number] = _turn(number, [*group], entries)
    return turns


def glyph_of(entry: Entry) -> tuple[str, Tone]:
    """A sign for an entry that tells its outcome too, so that no colour is needed."""
    if entry.kind is EntryKind.END:
        return STATUS_GLYPHS.get(entry.outcome.upper(), ("▶", Tone.NOTE))
    if entry.outcome in _FAILURE or entry.failure is not None:
        return "✗", Tone.BAD
    if entry.outcome == "canceled":
        return "⊘", Tone.WARN
    if entry.outcome == "open":
        return "…", Tone.NOTE
    if entry.is_model_call:
        return "▲", Tone.NOTE
    tone = Tone.NOTE if entry.kind in (EntryKind.SIGNAL, EntryKind.UPDATE) else Tone.GOOD
    return _KINDS[entry.kind][0], tone


def shown_name(entry: Entry) -> str:
    """What an entry is called; a timer by its length."""
    if entry.kind is EntryKind.END:
        return entry.outcome.replace("_", " ")
    return entry.name or dict(entry.policy).get("timeout start to fire", "") or entry.id


def short_count(number: int) -> str:
    """A count in at most five cells: `812`, `9.1k`, `2.4M`."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= limit:
            value = number / limit
            return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return str(number)


def _remarks(book: Book, entry: Entry) -> Line:
    """What is worth knowing at a glance."""
    words: list[Piece] = []
    if entry.attempts > 1 and entry.kind is not EntryKind.END:
        words.append(Piece(f" ↻{entry.attempts}", Tone.WARN))
    wait = book.waits.get(entry.event_id or 0)
    if wait is not None and entry.kind in (EntryKind.SIGNAL, EntryKind.UPDATE):
        words.append(Piece(" ended a wait" + (" · human" if wait.is_human else ""), Tone.DIM))
    if entry.failure is not None:
        root = entry.failure.root
        words.append(piece(f" {root.type or root.kind}: {root.message[:300]}", Tone.BAD))
    elif entry.summary and entry.kind is not EntryKind.TIMER:
        words.append(piece(f" {entry.summary[:300]}", Tone.DIM))
    return tuple(words)


def _rows(book: Book, turns: dict[int, Turn], folded: frozenset[int]) -> Sequence[Row]:
    if not turns:
        return [Row(0, index) for index in range(len(book.entries))]
    rows: list[Row] = []
    for index, entry in enumerate(book.entries):
        turn = turns.get(entry.turn)
        if turn is not None and turn.first == index:
            rows.append(Row(entry.turn, None))
        if turn is None or entry.turn not in folded or entry.kind is EntryKind.END:
            rows.append(Row(entry.turn, index))
    return rows


def _turn(number: int, indexes: Sequence[int], entries: Sequence[Entry]) -> Turn:
    inside = [entries[index] for index in indexes]
    begun = min(entry.at or 0 for entry in inside)
    ended = max((entry.at or 0) + (entry.duration_ns or 0) for entry in inside)
    tokens = [entry.tokens for entry in inside if entry.tokens is not None]
    costs = [entry.cost_usd for entry in inside if entry.cost_usd is not None]
    return Turn(
        number,
        indexes[0],
        indexes[-1],
        ended - begun,
        sum(tokens) if tokens else None,
        sum(costs) if costs else None,
        sum(entry.failure is not None for entry in inside),
    )


def _sums(entries: Sequence[Entry]) -> Sequence[float]:
    total = 0.0
    sums: list[float] = []
    for entry in entries:
        total += entry.cost_usd or 0
        sums.append(total)
    return sums


def _spread(head: Line, tail: Line, width: int) -> Line:
    """The head to the left, cut where it must be, and the tail to the right."""
    room = max(4, width - sum(len(each.text) for each in tail))
    return (*clip_line(head, room), *tail)
