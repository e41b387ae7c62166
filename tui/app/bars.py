"""One-line widgets: the heading of a screen, the prompt and the keys at its foot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events
from textual.binding import ActiveBinding, Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from tui.app.lines import LineView
from tui.pieces import Line, Lines, Piece, Tone


class Heading(LineView, can_focus=False):
    """One line that says where the reader is."""

    DEFAULT_CSS = "Heading { height: 1; background: $panel; overflow: hidden; }"

    def tell(self, line: Line) -> None:
        """Show another line."""
        self.show(Lines([line]))


class KeyBar(Heading):
    """The keys that work on this screen; a click on one presses it.

    Textual's `Footer` is a widget per key, and those took most of the time of a first paint.
    """

    DEFAULT_CSS = "KeyBar { dock: bottom; background: $footer-background; }"

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[int, str] = {}

    def on_mount(self) -> None:
        """Follow what the focus changes."""
        self.screen.bindings_updated_signal.subscribe(self, self._show_keys)

    def _show_keys(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        shown: dict[str, ActiveBinding] = {}
        for active in screen.active_bindings.values():
            if active.binding.show:
                shown.setdefault(active.binding.action, active)
        words: list[Piece] = []
        self._keys = {}
        at = 0
        for active in shown.values():
            key = self.app.get_key_display(active.binding)
            words.append(Piece(key, Tone.NOTE if active.enabled else Tone.DIM))
            words.append(Piece(f" {active.binding.description} "))
            end = at + len(key) + len(words[-1].text)
            self._keys |= dict.fromkeys(range(at, end), active.binding.key)
            at = end
        self.tell(tuple(words))

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        key = self._keys.get(event.x)
        if key is not None:
            self.app.simulate_key(key)


class Prompt(Input):
    """A line to type into; `enter` keeps what was typed, `escape` drops it.

    It covers the bar of keys, and is composed after it: a row of its own would lay the screen out
    and draw it anew, twice per search.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "drop what was typed", show=False),
    ]
    DEFAULT_CSS = """
    Prompt {
        display: none; dock: bottom; height: 1; border: none; padding: 0 1; background: $panel;
    }
    Prompt:focus { border: none; }
    Prompt.-open { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True, select_on_focus=False)

    class Dropped(Message):
        """The reader changed their mind."""

        def __init__(self, prompt: Prompt) -> None:
            super().__init__()
            self.prompt = prompt

        @property
        def control(self) -> Prompt:
            """The line that it was typed into."""
            return self.prompt

    def open(self, placeholder: str, value: str = "", words: Iterable[str] = ()) -> None:
        """Appear, ready to type.

        Args:
            placeholder: What is asked for.
            value: What is there to begin with.
            words: What is offered to complete what is typed; `→` takes it.
        """
        self.suggester = SuggestFromList(words)
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
        self.post_message(self.Dropped(self))
