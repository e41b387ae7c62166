"""The app itself: its screens' ground rules, its sources, its keys.

The app holds no state of a run. It knows where runs come from and which screen is on top.
"""

from __future__ import annotations

import gc
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.types import AnimationLevel

from tracer.identity import RunKey
from tui.app.help_screen import TextScreen, help_screen
from tui.app.replay_screen import ReplayScreen
from tui.app.runs_screen import RunsScreen
from tui.replay.sitting import Sitting
from tui.sources import RunSource


class RetrospanApp(App[None]):
    """Runs, and a walk through each of them."""

    TITLE = "Retrospan"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it without ClassVar
        (0, "-narrow"),
        (100, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("ctrl+q", "quit", "quit", show=False),
    ]

    def __init__(self, source: RunSource, open_run: RunKey | None = None) -> None:
        super().__init__()
        self.animation_level: AnimationLevel = "none"
        self.sitting = Sitting(source)
        """The runs, and what was forked of them."""
        self._open_run = open_run

    def on_mount(self) -> None:
        """Show the list, and on top of it the run that was asked for."""
        self.push_screen(RunsScreen(self.sitting))
        if self._open_run is not None:
            self.push_screen(ReplayScreen(self.sitting, self._open_run))

    def on_unmount(self) -> None:
        """Let the collector see again what screens froze; DuckDB reports it as leaked otherwise."""
        gc.unfreeze()

    def action_help(self) -> None:
        """Show the keys that work here."""
        if not isinstance(self.screen, TextScreen):
            self.push_screen(help_screen(self.screen))


def run_app(source: RunSource, open_run: RunKey | None = None) -> None:
    """Run the app in this terminal until the reader leaves it.

    Args:
        source: Where its runs come from.
        open_run: A run to open at once; leaving it leads to the list.
    """
    RetrospanApp(source, open_run).run()
