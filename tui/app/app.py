"""The app itself: its screens' ground rules, its sources, its keys.

The app holds no state of a run. It knows where runs come from and which screen is on top.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme
from textual.types import AnimationLevel

from tracer.identity import RunKey
from tui import memory
from tui.app.help_screen import TextScreen, help_screen
from tui.app.palette import Actions
from tui.app.pauses import TIDY_EVERY, short_pauses, tidy
from tui.app.replay_screen import ReplayScreen
from tui.app.runs_screen import RunsScreen
from tui.app.tour import STOPS, Tour
from tui.replay.sitting import Sitting
from tui.sources import RunSource

_TOUR_EVERY = 0.2
_FIRST, _LIST = "first", "list"
"""Stacks of screens: above what the app began with, and above the list that came after it."""


class RetrospanApp(App[None]):
    """Runs, and a walk through each of them."""

    TITLE = "Retrospan"
    DEFAULT_MODE = _FIRST
    COMMANDS = {Actions}  # noqa: RUF012 - Textual declares it without ClassVar
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("ctrl+q", "quit", "quit", show=False),
    ]

    def __init__(
        self, source: RunSource, open_run: RunKey | None = None, *, has_tour: bool = False
    ) -> None:
        super().__init__()
        self._tour = Tour(STOPS) if has_tour else None
        self._at_end = ExitStack()
        self.animation_level: AnimationLevel = "none"
        self.sitting = Sitting(source)
        """The runs, and what was forked of them."""
        self._open_run = open_run
        theme = memory.recall("app").get("theme")
        if theme in self.available_themes:
            self.theme = theme

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers beside the actions of the screen."""
        yield SystemCommand("theme", "choose other colours", self.action_change_theme)

    def get_default_screen(self) -> Screen[None]:
        """The run that was asked for, else the list; what lies below every other screen.

        Whoever asks for a run does not wait until a list that nobody sees was drawn and read.
        """
        if self._open_run is not None:
            return ReplayScreen(self.sitting, self._open_run)
        return self._runs_screen()

    def _runs_screen(self) -> RunsScreen:
        return RunsScreen(self.sitting)

    def _keep_theme(self, theme: Theme) -> None:
        memory.remember("app", theme=theme.name)

    def on_mount(self) -> None:
        """Take up what earlier sittings left."""
        self.add_mode(_FIRST, self.get_default_screen)
        self.add_mode(_LIST, self._runs_screen)
        self.set_interval(TIDY_EVERY, tidy)
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.set_keymap(memory.keymap())
        if self._tour is not None:
            self.set_interval(_TOUR_EVERY, self._show_tour)

    def _show_tour(self) -> None:
        if self._tour is not None:
            self._tour.show(self.screen)

    def on_load(self) -> None:
        """Keep the event loop from waiting for threads and for the garbage collector."""
        self._at_end.enter_context(short_pauses())

    def on_unmount(self) -> None:
        """Give back what was set for the whole process."""
        self._at_end.close()

    async def action_leave_run(self) -> None:
        """Go back to where a run was opened; from the one that was asked for, to the list."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
            return
        await self.switch_mode(_LIST)
        await self.remove_mode(_FIRST)

    def action_help(self) -> None:
        """Show the keys that work here."""
        if not isinstance(self.screen, TextScreen):
            self.push_screen(help_screen(self.screen))


def run_app(source: RunSource, open_run: RunKey | None = None, *, has_tour: bool = False) -> None:
    """Run the app in this terminal until the reader leaves it.

    Args:
        source: Where its runs come from.
        open_run: A run to open at once; leaving it leads to the list.
        has_tour: Say what to try, step by step.
    """
    RetrospanApp(source, open_run, has_tour=has_tour).run()
