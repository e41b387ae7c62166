"""Text over a screen: the help, and the list of what could not be read.

The help is generated from the bindings that are active below it. Nothing is written by hand, so
that it cannot promise a key that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from tui.app.lines import TextPane
from tui.app.overlay import Overlay
from tui.pieces import Line, Piece, Tone, cell, folded, piece

_SYMBOLS = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "full_stop": ".",
    "comma": ",",
    "plus": "+",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
    "pagedown": "PgDn",
    "pageup": "PgUp",
}
_KEYS_WIDTH = 16


class TextScreen(Overlay[None]):
    """Lines to read, over the screen that they are about."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "app.pop_screen", "close", show=False),
    ]
    MAX_WIDTH = 76

    def compose(self) -> ComposeResult:
        """One pane."""
        yield TextPane(id="text")

    def on_mount(self) -> None:
        """Fold the text to its box."""
        width = self.box_width - 5
        lines = [part for line in self._lines for part in folded(line, width)]
        self.fill(self.query_one(TextPane), lines)


def help_screen(screen: Screen[Any]) -> TextScreen:
    """The help for the screen as it is now."""
    return TextScreen("keys that work here", list(help_lines(screen)))


def help_lines(screen: Screen[Any]) -> Iterator[Line]:
    """Every action that a key leads to, one a line, what is nearest to the focus first."""
    actions: dict[tuple[str, str], list[str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if explanation := binding.tooltip or binding.description:
            keys = actions.setdefault((explanation, binding.action), [])
            keys.append(shown_key(binding))
    for (explanation, _), keys in actions.items():
        yield cell(" ".join(keys), _KEYS_WIDTH, Tone.NOTE), Piece(" "), piece(explanation)


def shown_key(binding: Binding) -> str:
    """A key as it is printed on a keyboard."""
    return binding.key_display or _SYMBOLS.get(binding.key, binding.key)
