"""A short list to choose from, over the screen that asks."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.app.lines import LineList
from tui.app.overlay import Overlay


class ChoiceScreen(Overlay[int | None]):
    """Gives the index of what was chosen, `None` for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "choose nothing", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The list."""
        yield LineList(id="choices")

    def on_mount(self) -> None:
        """Show what there is to choose from."""
        self.fill(self.query_one(LineList), self._lines)

    @on(LineList.Chosen)
    def _chosen(self, message: LineList.Chosen) -> None:
        self.dismiss(message.index)
