"""Two runs side by side: where they part, why, and what each step took.

The comparison is `replayer.alignment`'s, made in a worker; the screen only draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from replayer.alignment import Comparison, Entry, compare, side_of, totals_of
from replayer.tape import Tape, TapeError, open_tape
from tracer.identity import RunKey
from tui import figures, memory
from tui.app.bars import Heading, KeyBar
from tui.app.lines import LineList, LineView, TextPane
from tui.app.pauses import long_lived
from tui.app.payload_screen import PayloadScreen
from tui.diff.words import heading
from tui.pieces import Line, Lines, Piece, Tone, folded, piece
from tui.replay.diff_view import (
    DiffView,
    Layout,
    change_lines,
    difference_rows,
    summary_lines,
)
from tui.replay.payloads import Section, Tab
from tui.replay.timeline import shown_name
from tui.sources import RunSource

_MOST_CONTEXT = 50
_MOST_SENTENCES = 6


class Summary(LineView, can_focus=False):
    """Where the runs part, in a few sentences."""

    DEFAULT_CSS = "Summary { height: auto; overflow: hidden; background: $panel; }"


class DiffScreen(Screen[None]):
    """A comparison of two runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "difference(1)", "next", tooltip="next difference"),
        Binding("N", "difference(-1)", "before", tooltip="the difference before"),
        Binding("vertical_line", "layout", "layout", tooltip="side by side, one column, changes"),
        Binding("right_curly_bracket", "context(2)", "more context", show=False),
        Binding("left_curly_bracket", "context(-2)", "less context", show=False),
        Binding("enter", "payloads", "payloads", tooltip="what went in and came out on both sides"),
        Binding("tab", "app.focus_next", "other pane", show=False),
        Binding("escape,q", "leave", "leave", tooltip="leave the comparison"),
    ]
    DEFAULT_CSS = """
    DiffScreen #rows { height: 3fr; }
    DiffScreen #changes { height: 2fr; border-top: solid $panel; }
    """

    class Compared(Message):
        """The runs were compared."""

        def __init__(self, comparison: Comparison) -> None:
            super().__init__()
            self.comparison = comparison

    class Failed(Message):
        """They could not be."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    class Detailed(Message):
        """What differs in a row."""

        def __init__(self, row: int, lines: Sequence[Line]) -> None:
            super().__init__()
            self.row = row
            self.lines = lines

    def __init__(self, source: RunSource, left: RunKey, right: RunKey) -> None:
        super().__init__()
        self._source = source
        self._keys = left, right
        self._laid_out = Layout.AUTO
        self._around = 2
        self._rows: list[int] = []
        self.comparison: Comparison | None = None
        """`None` while it is made."""

    def compose(self) -> ComposeResult:
        """Heading, sentences, rows, changes, keys."""
        yield Heading(id="heading")
        yield Summary(id="summary")
        yield LineList(id="rows")
        yield TextPane(id="changes")
        yield KeyBar()

    def on_mount(self) -> None:
        """Compare."""
        self.query_one("#rows").focus()
        self.query_one("#heading", Heading).tell((Piece(" comparing…", Tone.NOTE),))
        self._compare()

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False, description="compare")
    @long_lived()
    def _compare(self) -> None:
        tapes: list[Tape] = []
        try:
            sides = [
                side_of(self._source.load(key), self._find, self._source.knowledge)
                for key in self._keys
            ]
            tapes = [tape for key in self._keys if (tape := _tape_of(key)) is not None]
            both = (tapes[0], tapes[1]) if len(tapes) == 2 else None
            comparison = compare(sides[0], sides[1], both)
        except Exception as error:  # noqa: BLE001 - told on the screen, whatever it is
            self.post_message(self.Failed(str(error) or type(error).__name__))
            return
        finally:
            for tape in tapes:
                tape.close()
        if not get_current_worker().is_cancelled:
            self.post_message(self.Compared(comparison))

    def _find(self, _key: RunKey) -> None:
        """Children are runs of their own: they are compared when they are opened."""

    @on(Failed)
    def _tell_failure(self, message: Failed) -> None:
        words = (Piece(" cannot be compared: ", Tone.BAD), piece(message.reason))
        self.query_one("#heading", Heading).tell(words)

    @on(Compared)
    def _show(self, message: Compared) -> None:
        self.comparison = message.comparison
        self._rows = difference_rows(message.comparison)
        self._tell()
        self._sum_up()
        cause = message.comparison.cause
        self._draw(cause.divergence if cause is not None else 0)

    def on_resize(self) -> None:
        """Fold the sentences anew."""
        if self.comparison is not None:
            self._sum_up()

    def _sum_up(self) -> None:
        assert self.comparison is not None
        lines = summary_lines(self.comparison, self.size.width)[:_MOST_SENTENCES]
        summary = self.query_one(Summary)
        summary.styles.height = len(lines)
        summary.show(Lines(lines))

    def _draw(self, row: int) -> None:
        assert self.comparison is not None
        view = DiffView(self.comparison, self._laid_out, self._around)
        self.query_one("#rows", LineList).show(view, view.line_of(row))
        self._detail(self.comparison, row)

    def _tell(self) -> None:
        comparison = self.comparison
        if comparison is None:
            return
        left, right = totals_of(comparison.rows)
        words = [Piece(f" {figures.counted(len(self._rows), 'difference')}  ", Tone.STRONG)]
        words.append(Piece(f"{self._laid_out}  ", Tone.NOTE))
        for name, tone, side, total in (
            ("A", Tone.BAD, comparison.left, left),
            ("B", Tone.GOOD, comparison.right, right),
        ):
            took = f"{figures.duration(total.duration_ns)} {figures.money(total.cost_usd)} "
            words.append(Piece(f"{name} ", tone))
            words.append(Piece(took))
            words.append(piece(f"{heading(side.run)}  ", Tone.DIM))
        self.query_one("#heading", Heading).tell(tuple(words))

    # -- moving --------------------------------------------------------------------------------

    @on(LineList.Moved, "#rows")
    def _moved(self) -> None:
        row = self._row()
        if row is not None and self.comparison is not None:
            self._detail(self.comparison, row)

    def _row(self) -> int | None:
        lines = self.query_one("#rows", LineList)
        view = lines.source
        return view.row(lines.cursor) if isinstance(view, DiffView) and len(view) else None

    # Without a description Textual makes one on the event loop, with the `repr` of both runs.
    @work(thread=True, exclusive=True, group="detail", exit_on_error=False, description="detail")
    def _detail(self, comparison: Comparison, row: int) -> None:
        lines = list(change_lines(comparison.rows[row]))
        if not get_current_worker().is_cancelled:
            self.post_message(self.Detailed(row, lines))

    @on(Detailed)
    def _show_detail(self, message: Detailed) -> None:
        if self._row() == message.row:
            pane = self.query_one("#changes", TextPane)
            width = max(8, pane.content_size.width)
            pane.show(Lines([part for line in message.lines for part in folded(line, width)]))

    def action_difference(self, direction: int) -> None:
        """To the next difference."""
        here = self._row()
        lines = self.query_one("#rows", LineList)
        if not isinstance(lines.source, DiffView) or not self._rows:
            return
        at = here if here is not None else -1
        after = [row for row in self._rows if (row > at if direction > 0 else row < at)]
        if after:
            row = after[0] if direction > 0 else after[-1]
            lines.cursor = lines.source.line_of(row)
            self._moved()

    def action_layout(self) -> None:
        """Another layout."""
        self._laid_out = self._laid_out.next
        if self.comparison is not None:
            self._draw(self._row() or 0)
            self._tell()

    def action_context(self, by: int) -> None:
        """More or fewer equal rows around differences."""
        self._around = max(0, min(_MOST_CONTEXT, self._around + by))
        if self.comparison is not None:
            self._draw(self._row() or 0)

    @on(LineList.Chosen, "#rows")
    def action_payloads(self) -> None:
        """What went in and came out on both sides."""
        row = self._row()
        if row is None or self.comparison is None:
            return
        aligned = self.comparison.rows[row]
        sections = [*_sections("A", aligned.left), *_sections("B", aligned.right)]
        if sections:
            self.app.push_screen(PayloadScreen(shown_name(aligned.entry), sections))

    def action_leave(self) -> None:
        """Leave the comparison."""
        self.app.pop_screen()


def _sections(side: str, entry: Entry | None) -> list[Section]:
    if entry is None:
        return []
    found = [Section(Tab.IN, f"{side} in", payload) for payload in entry.input]
    found += [Section(Tab.OUT, f"{side} out", payload) for payload in entry.output]
    if entry.failure is not None:
        found.append(Section(Tab.ERROR, f"{side} error", failure=entry.failure))
    return found


def _tape_of(key: RunKey) -> Tape | None:
    path = memory.tape_path(key)
    try:
        tape = open_tape(path) if path.exists() else None
    except (TapeError, OSError):
        return None
    return tape if tape is None or tape.head.run_id == key.run_id else None
