"""A short list to choose from, over the screen that asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.app.lines import LineList
from tui.pieces import Line, Lines

_MAX_WIDTH = 100


class ChoiceScreen(ModalScreen[int | None]):
    """Gives the index of what was chosen, `None` for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "choose nothing", show=False),
    ]
    DEFAULT_CSS = """
    ChoiceScreen { align: center middle; }
    ChoiceScreen LineList { border: round $primary; padding: 0 1; }
    """

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The list."""
        yield LineList(id="choices")

    def on_mount(self) -> None:
        """Fit the list to its lines."""
        choices = self.query_one(LineList)
        choices.border_title = self._title
        choices.styles.width = min(_MAX_WIDTH, self.app.size.width - 2)
        choices.styles.height = min(len(self._lines) + 2, self.app.size.height - 2)
        choices.show(Lines(self._lines))
        choices.focus()

    @on(LineList.Chosen)
    def _chosen(self, message: LineList.Chosen) -> None:
        self.dismiss(message.index)
