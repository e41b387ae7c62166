"""The list of runs: read in the background, filtered as one types, opened with enter.

Messages carry what workers found; only handlers here change what is shown. Rows arrive while the
reader already moves, so the cursor stays on its run and not on its line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input
from textual.worker import get_current_worker

from replayer.history import Rejected
from tracer.identity import RunKey
from tui import filters
from tui.app.asking import answer, arguments_of
from tui.app.bars import Heading, KeyBar, Prompt
from tui.app.diff_screen import DiffScreen
from tui.app.forks_screen import ForksScreen
from tui.app.help_screen import TextScreen
from tui.app.lines import LineList
from tui.app.pauses import long_lived
from tui.app.replay_screen import ReplayScreen
from tui.app.run_table import RunTable, headings
from tui.pieces import BLANK, Line, Lines, Piece, Tone, piece
from tui.replay.commands import RUNS_VERBS, CommandError, parse_command
from tui.replay.sitting import Sitting
from tui.sources import RunRow

_FIRST_BATCH_SECONDS = 0.1
_LATER_BATCHES = 1.5
"""How much longer each batch takes than the one before: all rows are sorted for each."""
_MARK_FIRST = "mark a run with space, go to another, and press D"


class RunsScreen(Screen[None]):
    """Every run of a source."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", tooltip="show only runs that match"),
        Binding("colon", "command", "command", key_display=":", tooltip="type a command"),
        Binding("enter", "open", "open", tooltip="walk through this run"),
        Binding("space", "mark", "mark", tooltip="mark this run, to compare it"),
        Binding("D", "diff", "diff", tooltip="compare the marked run with another, or this one"),
        Binding("f", "forks", "forks", tooltip="every fork of this run, and what came of it"),
        Binding("e", "problems", "problems", tooltip="show what could not be read, and why"),
        Binding("r", "reload", "reload", tooltip="read the source again"),
        Binding("escape", "leave_filter", "clear the filter", show=False),
        Binding("q", "app.quit", "quit"),
    ]

    class Found(Message):
        """Some more of the source was read."""

        def __init__(self, rows: Sequence[RunRow], rejected: Sequence[Rejected]) -> None:
            super().__init__()
            self.rows = rows
            self.rejected = rejected

    class Ended(Message):
        """The source was read, to its end or to an error."""

        def __init__(self, error: str = "") -> None:
            super().__init__()
            self.error = error

    class Filtered(Message):
        """All rows were sorted and filtered."""

        def __init__(
            self, index: filters.RunIndex, version: int, rows: Sequence[RunRow], cursor: int
        ) -> None:
            super().__init__()
            self.index = index
            self.version = version
            self.rows = rows
            self.cursor = cursor

    def __init__(self, sitting: Sitting) -> None:
        super().__init__()
        self._source = sitting
        self._marked: tuple[RunKey, ...] = ()
        self._rows: list[RunRow] = []
        self._version = self._indexed = 0
        """Of the rows as they are, and as they were when the index was made."""
        self._index = filters.RunIndex(())
        self._shown: Sequence[RunRow] = ()
        self._rejected: list[Rejected] = []
        self._filter = filters.parse("")
        self._is_reading = True
        self._error = ""

    @property
    def filter_text(self) -> str:
        """What the list is filtered for."""
        return self._filter.text

    def compose(self) -> ComposeResult:
        """Heading, column titles, list, prompt, keys."""
        yield Heading(id="heading")
        yield Heading(id="columns")
        yield LineList(id="runs")
        yield KeyBar()
        yield Prompt(id="filter")
        yield Prompt(id="command")

    def on_mount(self) -> None:
        """Begin to read."""
        self.query_one(LineList).focus()
        self._tell()
        self.call_after_refresh(self.action_reload)

    def on_resize(self) -> None:
        """Fit the column titles."""
        self.query_one("#columns", Heading).tell(headings(self.size.width))

    # -- reading -------------------------------------------------------------------------------

    def action_reload(self) -> None:
        """Read the source again from its beginning."""
        self._rows.clear()
        self._rejected.clear()
        self._version += 1
        self._is_reading, self._error = True, ""
        self._read()
        self._refilter()

    @work(thread=True, exclusive=True, group="read", exit_on_error=False, description="read")
    def _read(self) -> None:
        worker = get_current_worker()
        rows: list[RunRow] = []
        rejected: list[Rejected] = []
        sent_at, interval = time.monotonic(), _FIRST_BATCH_SECONDS
        ended = self.Ended()
        try:
            with long_lived():
                for found in self._source.rows():
                    if worker.is_cancelled:
                        return
                    if isinstance(found, Rejected):
                        rejected.append(found)
                    else:
                        rows.append(found)
                    if time.monotonic() - sent_at >= interval:
                        self.post_message(self.Found(rows, rejected))
                        rows, rejected, sent_at = [], [], time.monotonic()
                        interval *= _LATER_BATCHES
        except Exception as error:  # noqa: BLE001 - a source that fails must not end the app
            ended = self.Ended(str(error) or type(error).__name__)
        self.post_message(self.Found(rows, rejected))
        self.post_message(ended)

    @on(Found)
    def _take_in(self, message: Found) -> None:
        self._rows.extend(message.rows)
        self._rejected.extend(message.rejected)
        self._version += 1
        self._refilter()

    @on(Ended)
    def _note_end(self, message: Ended) -> None:
        self._is_reading, self._error = False, message.error
        self._tell()

    # -- filtering -----------------------------------------------------------------------------

    def _refilter(self) -> None:
        # A cursor that was not moved stays at the top while runs arrive; else it keeps its run.
        current = self._current() if self.query_one(LineList).cursor else None
        known = self._index if self._indexed == self._version else None
        rows = tuple(self._rows) if known is None else ()
        self._arrange(known, rows, self._version, self._filter, current)

    # Without a description Textual makes one on the event loop, with the `repr` of every row.
    @work(thread=True, exclusive=True, group="arrange", exit_on_error=False, description="arrange")
    def _arrange(
        self,
        known: filters.RunIndex | None,
        rows: Sequence[RunRow],
        version: int,
        wanted: filters.Filter,
        current: RunKey | None,
    ) -> None:
        """Sort and filter; with 100,000 runs that takes longer than a key press may."""
        with long_lived():
            index = known or filters.RunIndex(rows)
            kept = index.matching(wanted)
        cursor = 0 if current is None else _index_of(current, kept)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Filtered(index, version, kept, cursor))

    @on(Filtered)
    def _show(self, message: Filtered) -> None:
        self._index, self._indexed = message.index, message.version
        self._shown = message.rows
        table = RunTable(self._shown, frozenset(self._marked))
        self.query_one(LineList).show(table, message.cursor)
        self._tell()

    def action_filter(self) -> None:
        """Type a filter."""
        prompt = self.query_one("#filter", Prompt)
        prompt.open(
            "filter: text  !text  status:failed  type:…  cost>0.5  steps>10", self._filter.text
        )

    @on(Input.Changed, "#filter")
    def _filter_typed(self, message: Input.Changed) -> None:
        self._filter = filters.parse(message.value)
        self._refilter()

    @on(Input.Submitted, "#filter")
    def _filter_kept(self) -> None:
        self.query_one("#filter", Prompt).close()
        self.query_one(LineList).focus()

    @on(Prompt.Dropped, "#filter")
    def action_leave_filter(self) -> None:
        """Show every run again."""
        self.query_one("#filter", Prompt).close()
        self.filter_for("")
        self.query_one(LineList).focus()

    def filter_for(self, text: str) -> None:
        """Show the runs that match, as if it had been typed."""
        with self.prevent(Input.Changed):
            self.query_one("#filter", Prompt).value = text
        self._filter = filters.parse(text)
        self._refilter()

    # -- commands ------------------------------------------------------------------------------

    def action_command(self) -> None:
        """Type a command."""
        prompt = self.query_one("#command", Prompt)
        prompt.open("diff A B, open RUN, cost, failures, sql …, help, …", words=RUNS_VERBS)

    @on(Prompt.Dropped, "#command")
    def _drop_command(self) -> None:
        self.query_one("#command", Prompt).close()
        self.query_one(LineList).focus()

    @on(Input.Submitted, "#command")
    def _command_typed(self, message: Input.Submitted) -> None:
        self._drop_command()
        self.command(message.value)

    def command(self, text: str) -> None:
        """Do what was typed after the colon."""
        if not text.strip():
            return
        try:
            command = parse_command(text, RUNS_VERBS)
            self._do(command.verb, command.argument)
        except CommandError as error:
            self._remark(str(error))

    def _do(self, verb: str, argument: str) -> None:
        match verb:
            case "open" | "show":
                self._open(self._named(argument)) if argument else self.action_open()
            case "diff":
                self._diff([self._named(each) for each in argument.split()])
            case "forks":
                self.action_forks()
            case "filter":
                self.filter_for(argument)
            case "errors":
                self.filter_for("status:failed")
            case "runs":
                self.action_leave_filter()
            case "help":
                self.app.call_later(self.app.run_action, "help")
            case "quit":
                self.app.exit()
            case _:
                self._ask_warehouse(verb, argument)

    def _named(self, text: str) -> RunKey:
        found = self._source.named(text)
        if len(found) != 1:
            raise CommandError(f"{len(found)} of the runs listed here answer to {text!r}")
        return found[0]

    def _diff(self, named: Sequence[RunKey]) -> None:
        current = self._current()
        keys = [current, *named] if len(named) == 1 and current is not None else [*named]
        if not named:
            self.action_diff()
        elif len(set(keys)) == 2 and len(keys) == 2:
            self.app.push_screen(DiffScreen(self._source, keys[0], keys[1]))
        else:
            raise CommandError("name two runs, or one to compare with the current")

    def _ask_warehouse(self, verb: str, argument: str) -> None:
        warehouse = self._source.warehouse
        if warehouse is None:
            raise CommandError(f"`{verb}` asks a warehouse; `retrospan import` makes one of these")
        try:
            arguments = arguments_of(verb, argument, warehouse)
        except ValueError as error:
            raise CommandError(f"{argument[:40]!r} cannot be read: {error}") from error
        self._remark(f"{verb}…", Tone.NOTE)
        self.run_worker(
            self._answered(verb, argument, arguments),
            group="answer",
            exclusive=True,
            exit_on_error=False,
            description="answer",
        )

    async def _answered(self, verb: str, argument: str, arguments: list[str]) -> None:
        lines = await answer(arguments)
        self._tell()
        asked: Line = (piece(f"{verb} {argument}", Tone.NOTE),)
        await self.app.push_screen(TextScreen(verb, [asked, BLANK, *lines], self.app.size.width))

    def _remark(self, text: str, tone: Tone = Tone.WARN) -> None:
        self.query_one("#heading", Heading).tell((piece(f" {text}", tone),))

    # -- opening -------------------------------------------------------------------------------

    @on(LineList.Chosen)
    def action_open(self) -> None:
        """Walk through the current run."""
        current = self._current()
        if current is not None:
            self._open(current)

    def action_mark(self) -> None:
        """Mark the current run, or no more; of three the first is forgotten."""
        current = self._current()
        if current is None:
            return
        if current in self._marked:
            self._marked = tuple(key for key in self._marked if key != current)
        else:
            self._marked = (*self._marked, current)[-2:]
        runs = self.query_one(LineList)
        runs.show(RunTable(self._shown, frozenset(self._marked)), runs.cursor)

    def action_diff(self) -> None:
        """Compare the two marked runs, or the marked one with this."""
        current = self._current()
        if current is None:
            return
        keys = self._marked if len(self._marked) == 2 else (*self._marked, current)
        if len(set(keys)) == 2:
            self.app.push_screen(DiffScreen(self._source, keys[0], keys[1]))
        else:
            self._remark(_MARK_FIRST)

    def action_forks(self) -> None:
        """Show every fork of the current run."""
        current = self._current()
        if current is not None:
            self.app.push_screen(ForksScreen(self._source, current, self._open))

    def _open(self, key: RunKey) -> None:
        self.app.push_screen(ReplayScreen(self._source, key))

    def action_problems(self) -> None:
        """Show what could not be read, and why."""
        lines: list[Line] = [(piece(str(each.error), Tone.WARN),) for each in self._rejected]
        if self._error:
            lines.insert(0, (piece(self._error, Tone.BAD),))
        self.app.push_screen(TextScreen("not read", lines or [(Piece("Everything was read."),)]))

    def _current(self) -> RunKey | None:
        index = self.query_one(LineList).cursor
        return self._shown[index].key if index < len(self._shown) else None

    def _tell(self) -> None:
        """Say what is shown, what is hidden and why, and how to get it back."""
        counts = f"{len(self._shown):,} of {len(self._rows):,} runs"
        words = [Piece(f" {counts}", Tone.STRONG)]
        if self._is_reading:
            words.append(Piece("  reading…", Tone.NOTE))
        if self._filter.text:
            words.append(piece(f"  filter: {self._filter.text} (esc clears)", Tone.NOTE))
        if self._rejected:
            words.append(Piece(f"  {len(self._rejected):,} not read (e shows why)", Tone.WARN))
        if self._source.note:
            words.append(piece(f"  {self._source.note}", Tone.WARN))
        if self._error:
            words.append(Piece("  reading stopped (e shows why)", Tone.BAD))
        words.append(piece(f"  {self._source.name}", Tone.DIM))
        self.query_one("#heading", Heading).tell(tuple(words))
        if not self._shown:
            self.query_one(LineList).show(Lines([(Piece(self._why_empty(), Tone.DIM),)]))

    def _why_empty(self) -> str:
        if self._is_reading:
            return "Reading…"
        if self._rows:
            return f"No run matches the filter; it hides {len(self._rows):,}. Esc clears it."
        return "There are no runs here. `retrospan import SRC` reads histories into a warehouse."


def _index_of(key: RunKey, rows: Sequence[RunRow]) -> int:
    return next((index for index, row in enumerate(rows) if row.key == key), 0)
