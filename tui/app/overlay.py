"""A box of lines over the screen that they are about, as large as they need and no larger."""

from __future__ import annotations

from collections.abc import Sequence

from textual.screen import ModalScreen

from tui.app.lines import LineView
from tui.pieces import Line, Lines


class Overlay[R](ModalScreen[R]):
    """Lines under a title; a subclass says what can be done with them."""

    DEFAULT_CSS = """
    Overlay { align: center middle; }
    Overlay LineView { border: round $primary; padding: 0 1; }
    """
    MAX_WIDTH = 100

    def __init__(self, title: str, lines: Sequence[Line], max_width: int | None = None) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._max_width = self.MAX_WIDTH if max_width is None else max_width

    @property
    def box_width(self) -> int:
        """Cells of the box, its border counted."""
        return min(self._max_width, self.app.size.width - 2)

    def fill(self, box: LineView, lines: Sequence[Line]) -> None:
        """Show the lines in a box that fits them."""
        box.border_title = self._title
        box.styles.width = self.box_width
        box.styles.height = min(len(lines) + 2, self.app.size.height - 2)
        box.show(Lines(lines))
        box.focus()
