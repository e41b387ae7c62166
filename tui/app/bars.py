"""One-line widgets: the heading of a screen, and the prompt at its foot."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from tui.app.lines import LineView
from tui.pieces import Line, Lines


class Heading(LineView, can_focus=False):
    """One line that says where the reader is."""

    DEFAULT_CSS = "Heading { height: 1; background: $panel; overflow: hidden; }"

    def tell(self, line: Line) -> None:
        """Show another line."""
        self.show(Lines([line]))


class Prompt(Input):
    """A line to type into; `enter` keeps what was typed, `escape` drops it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "drop what was typed", show=False),
    ]
    DEFAULT_CSS = """
    Prompt { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    Prompt:focus { border: none; }
    Prompt.-open { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)

    class Dropped(Message):
        """The reader changed their mind."""

    def open(self, placeholder: str, value: str = "") -> None:
        """Appear, ready to type."""
        self.placeholder = placeholder
        self.value = value
        self.cursor_position = len(value)
        self.add_class("-open")
        self.focus()

    def close(self) -> None:
        """Disappear."""
        self.remove_class("-open")

    def action_drop(self) -> None:
        """Tell the screen; it knows what to restore."""
        self.post_message(self.Dropped())
