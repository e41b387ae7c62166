"""The forks of a run as a tree: what was changed in each, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from tracer.identity import RunKey
from tui import figures
from tui.app.bars import Heading, KeyBar
from tui.app.diff_screen import DiffScreen
from tui.app.lines import LineList
from tui.forks import ForkTree, Twig, fork_tree, headings
from tui.pieces import Lines, Piece, Tone, piece
from tui.replay.sitting import Sitting

_NO_FORKS = "Nobody forked this run yet: F on its replay does."


class ForksScreen(Screen[None]):
    """A recording and its forks; each leads to its replay, or to what it changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", tooltip="walk through this run"),
        Binding("D", "diff", "diff", tooltip="compare this fork with what it was forked from"),
        Binding("r", "reload", "reload", tooltip="look for forks again"),
        Binding("escape,q", "app.pop_screen", "leave", tooltip="leave the tree"),
    ]
    DEFAULT_CSS = "ForksScreen LineList { height: 1fr; }"

    class Found(Message):
        """The forks were found."""

        def __init__(self, twigs: Sequence[Twig]) -> None:
            super().__init__()
            self.twigs = twigs

    def __init__(self, sitting: Sitting, key: RunKey, open_run: Callable[[RunKey], object]) -> None:
        super().__init__()
        self._source = sitting
        self._key = key
        self._open_run = open_run
        self._twigs: Sequence[Twig] = ()

    def compose(self) -> ComposeResult:
        """Heading, column titles, tree, keys."""
        yield Heading(id="heading")
        yield Heading(id="columns")
        yield LineList(id="forks")
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one(LineList).focus()
        self._tell("looking…")
        self.action_reload()

    def on_resize(self) -> None:
        """Fit the column titles."""
        self.query_one("#columns", Heading).tell(headings(self.size.width))

    @work(thread=True, exclusive=True, group="find", exit_on_error=False, description="find forks")
    def action_reload(self) -> None:
        """Look for forks: in the source, and among those that were kept."""
        self._source.list_once()
        self._source.recall_forks(self._key)
        twigs = fork_tree(self._source.seen, self._key)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Found(twigs))

    @on(Found)
    def _show(self, message: Found) -> None:
        self._twigs = message.twigs
        count = len(self._twigs) - 1
        here = next((at for at, twig in enumerate(self._twigs) if twig.row.key == self._key), 0)
        if count < 1:
            self.query_one(LineList).show(Lines([(Piece(_NO_FORKS, Tone.DIM),)]))
            self._tell("no forks")
            return
        self.query_one(LineList).show(ForkTree(self._twigs), here)
        self._tell(figures.counted(count, "fork"))

    def _tell(self, words: str) -> None:
        name = piece(f"{self._key.workflow_id}", Tone.DIM)
        self.query_one("#heading", Heading).tell((Piece(f" FORKS  {words}  ", Tone.STRONG), name))

    def _twig(self) -> Twig | None:
        cursor = self.query_one(LineList).cursor
        return self._twigs[cursor] if len(self._twigs) > 1 else None

    @on(LineList.Chosen)
    def action_open(self) -> None:
        """Walk through the current run."""
        if (twig := self._twig()) is not None:
            self._open_run(twig.row.key)

    def action_diff(self) -> None:
        """Compare the current fork with what it was forked from."""
        twig = self._twig()
        if twig is None or twig.origin is None:
            self._tell("a recording is compared with a fork: go to one of them, and press D")
            return
        self.app.push_screen(DiffScreen(self._source, twig.origin.key, twig.row.key))
