"""A list of places in a run: `enter` goes there, and the list is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from tui import figures
from tui.app.bars import Heading, KeyBar
from tui.app.lines import LineList
from tui.pieces import Lines, Piece, Tone, piece
from tui.replay.places import PlaceLine

_BATCH = 50
_MOST = 100_000


class PlacesScreen(Screen[int | None]):
    """Gives the position of the event that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "go there", tooltip="go to this event"),
        Binding("escape,q", "dismiss(None)", "leave", tooltip="leave the list"),
    ]
    DEFAULT_CSS = "PlacesScreen LineList { height: 1fr; }"

    class More(Message):
        """Some more lines were made."""

        def __init__(self, lines: Sequence[PlaceLine], *, is_last: bool) -> None:
            super().__init__()
            self.lines = lines
            self.is_last = is_last

    def __init__(self, title: str, make: Callable[[], Iterable[PlaceLine]]) -> None:
        super().__init__()
        self._title = title
        self._make_lines = make
        self._lines: list[PlaceLine] = []
        self._count = 0

    def compose(self) -> ComposeResult:
        """Heading, list, keys."""
        yield Heading(id="heading")
        yield LineList(id="places")
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to make the lines."""
        self.query_one(LineList).focus()
        self._tell("…")
        self._make()

    @work(thread=True, exclusive=True, group="make", exit_on_error=False, description="make")
    def _make(self) -> None:
        worker = get_current_worker()
        found = iter(islice(self._make_lines(), _MOST))
        size = 1  # The first is shown at once.
        while not worker.is_cancelled:
            lines = list(islice(found, size))
            self.post_message(self.More(lines, is_last=len(lines) < size))
            if len(lines) < size:
                return
            size = max(_BATCH, 2 * size)  # Each batch is a message to handle and a list to draw.

    @on(More)
    def _take(self, message: More) -> None:
        self._lines.extend(message.lines)
        self._count += sum(each.position is not None for each in message.lines)
        self.query_one(LineList).show(Lines([each.line for each in self._lines]))
        self._tell("" if message.is_last else "…")

    def _tell(self, more: str) -> None:
        words = (
            piece(f" {self._title}  ", Tone.STRONG),
            Piece(f"{figures.counted(self._count, 'place')} {more}", Tone.NOTE),
        )
        self.query_one(Heading).tell(words)

    @on(LineList.Chosen)
    def action_choose(self) -> None:
        """Go to the event of the line."""
        cursor = self.query_one(LineList).cursor
        if cursor < len(self._lines) and self._lines[cursor].position is not None:
            self.dismiss(self._lines[cursor].position)
