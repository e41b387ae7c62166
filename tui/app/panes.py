"""A pane: a title line over lines, and the marks of which pane has the keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from tui.app.bars import Heading
from tui.app.lines import LineView
from tui.pieces import Line, Piece, Tone


class Pane(Vertical):
    """Lines under a title."""

    DEFAULT_CSS = """
    Pane > Heading { background: $surface-darken-1; }
    Pane:focus-within > Heading { background: $boost; text-style: bold; }
    """

    def __init__(self, body: LineView, *, title: Heading | None = None, id: str) -> None:
        super().__init__(id=id)
        self.body = body
        self.title_line = title or Heading()

    def compose(self) -> ComposeResult:
        """Title, then lines."""
        yield self.title_line
        yield self.body

    def tell(self, line: Line) -> None:
        """Show another title."""
        self.title_line.tell(line)


class TabTitle(Heading):
    """A title with tabs to click."""

    class Picked(Message):
        """A tab was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    _ends: tuple[int, ...] = ()
    _start = 0

    def tell_tabs(self, name: str, tabs: Sequence[str], current: int, remark: str = "") -> None:
        """Show a name, and the tabs with the current one marked."""
        parts: list[Piece] = [Piece(f"{name}  ", Tone.DIM)]
        ends: list[int] = []
        at = self._start = len(parts[0].text)
        for index, tab in enumerate(tabs):
            text = f"[{tab}]" if index == current else f" {tab} "
            parts.append(Piece(text, Tone.NOTE if index == current else Tone.DIM))
            at += len(text)
            ends.append(at)
        parts.append(Piece(f"  {remark}", Tone.DIM))
        self._ends = tuple(ends)
        self.tell(tuple(parts))

    def on_click(self, event: events.Click) -> None:
        """Pick the tab under the mouse."""
        if event.x >= self._start:
            for index, end in enumerate(self._ends):
                if event.x < end:
                    self.post_message(self.Picked(index))
                    return


class Scrubber(LineView, can_focus=False):
    """The run in one line; a click goes there."""

    DEFAULT_CSS = "Scrubber { height: 1; overflow: hidden; background: $surface; }"

    class Sought(Message):
        """A place was clicked."""

        def __init__(self, cell: int, width: int) -> None:
            super().__init__()
            self.cell = cell
            self.width = width

    def on_click(self, event: events.Click) -> None:
        """Tell which cell it was."""
        self.post_message(self.Sought(event.x, self.columns))
