"""Drives `retrospan tui` in tmux with real keys, and shows what a reader's terminal would.

retrospan demo && python -m docs.terminal retrospan-demo/warehouse.duckdb [NAME...]

Nothing is imagined here: the command runs in a real terminal, keys arrive as bytes, and the screen
is what tmux has drawn of the app's output. It waits for texts to appear, never for time to pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from docs.shots import SHOTS, Shot

_ROOT: Final = Path(__file__).parent.parent
_PATIENCE: Final = 60.0
"""Seconds until a text that does not appear is missing."""
_PAUSE: Final = 0.05
_NAMED: Final = {"enter": "Enter", "escape": "Escape", "tab": "Tab", "space": "Space"}
_SETTINGS: Final = """
set -g status off
set -g default-terminal tmux-256color
set -s escape-time 10
set -g remain-on-exit on
"""


class TerminalError(Exception):
    """A text that should have appeared did not; has the screen that was there instead."""


class Terminal:
    """A terminal that a program runs in."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str) -> str:
        """Ask the tmux server of this terminal, which is nobody else's."""
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *arguments],
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
        )
        return done.stdout

    def lines(self) -> list[str]:
        """What is on the screen."""
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def press(self, key: str) -> None:
        """Press one key, by the name that Textual has for it."""
        if key.startswith("ctrl+"):
            self.tmux("send-keys", f"C-{key[5:]}")
        elif key in _NAMED:
            self.tmux("send-keys", _NAMED[key])
        else:
            self.type(key)

    def type(self, text: str) -> None:
        """Type a text, character by character."""
        self.tmux("send-keys", "-l", text)

    def wait_for(self, text: str) -> None:
        """Wait until a text is on the screen.

        Raises:
            TerminalError: It does not appear.
        """
        deadline = time.monotonic() + _PATIENCE
        while text not in (shown := "\n".join(self.lines())):
            if time.monotonic() > deadline:
                raise TerminalError(f"{text!r} did not appear; there was\n{shown}")
            time.sleep(_PAUSE)

    def take(self, step: str) -> None:
        """Do one step of a shot."""
        if step.startswith("@"):
            self.wait_for(step[1:])
        elif step.startswith("="):
            self.type(step[1:])
        else:
            self.press(step)


@contextmanager
def app_in_tmux(warehouse: Path, size: tuple[int, int]) -> Iterator[Terminal]:
    """`retrospan tui` on a warehouse, in a terminal of this size; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="retrospan-") as name:
        folder = Path(name)
        settings = folder / "tmux.conf"
        settings.write_text(_SETTINGS)
        terminal = Terminal(folder / "socket")
        command = [sys.executable, "-m", "tui", "tui", "--warehouse", str(warehouse.resolve())]
        width, height = map(str, size)
        start = ("-f", str(settings), "new-session", "-d", "-x", width, "-y", height)
        # The app believes these more than its terminal, and a test runner may have set them.
        variables = {**_environment(folder), "COLUMNS": width, "LINES": height}
        given = [part for each in variables.items() for part in ("-e", "=".join(each))]
        terminal.tmux(*start, "-c", str(_ROOT), *given, *command)
        try:
            yield terminal
        finally:
            terminal.tmux("kill-server")


def _environment(folder: Path) -> Mapping[str, str]:
    """What the app sees: nothing that this reader has set or that an app has remembered."""
    return {
        "RETROSPAN_STATE": str(folder / "state"),
        "RETROSPAN_KEYMAP": str(folder / "none.json"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
    }


def drive(warehouse: Path, shot: Shot) -> Generator[list[str]]:
    """Press what a shot says, then look, again and again: what is drawn last may take a moment."""
    with app_in_tmux(warehouse, shot.size) as terminal:
        for step in shot.steps:
            terminal.take(step)
        while True:
            yield terminal.lines()
            time.sleep(_PAUSE)


def main(warehouse: str, *names: str) -> None:
    """Print the screens of these names, or all."""
    for shot in SHOTS:
        if not names or shot.name in names:
            lines = next(drive(Path(warehouse), shot))
            sys.stdout.write(f"=== {shot.name}\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
