"""The reader's own pager and editor, as real programs in a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replayer.history import RunHistory
from tests.tui.process import command, environment
from tests.tui.test_replay_screen import order, tape  # noqa: F401
from tui import memory

pytestmark = pytest.mark.slow
_PATIENCE = 60.0


def program(path: Path, script: str) -> str:
    """An executable of the reader's."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


class Session:
    """The app on a terminal of 140 × 40."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.written = ""

    def presses(self, keys: str, then: str) -> None:
        """Press keys, and wait until a text is written."""
        self.written = ""
        os.write(self._terminal, keys.encode())
        self.sees(then)

    def sees(self, text: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while text not in self.written:
            assert time.monotonic() < deadline, self.written[-3000:]
            if select.select([self._terminal], [], [], 0.2)[0]:
                self.written += os.read(self._terminal, 65536).decode(errors="replace")


@contextmanager
def app(*arguments: str | Path, **variables: str) -> Iterator[Session]:
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    size = {"TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40"}
    process = subprocess.Popen(
        command("tui", *arguments),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=environment(**size, **variables),
        start_new_session=True,
    )
    os.close(inside)
    try:
        yield Session(terminal)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_a_payload_is_piped_to_the_pager_and_the_app_comes_back(
    history_file: Path, tmp_path: Path
) -> None:
    got = tmp_path / "got.txt"
    pager = program(tmp_path / "pager", f'echo "options $1"; cat > {got}; echo PAGED')
    with app(history_file, PAGER=f"{pager} -R") as session:
        session.sees("1 of 1 runs")
        session.presses("\r", "TIMELINE")
        session.presses(")", "answer")
        session.presses("\r", "[tree]")
        session.presses("!", "PAGED")
        assert "options -R" in session.written
        assert got.read_text().split() == ["{", '"answer":', "42", "}"]
        # It draws itself again, and goes on.
        session.sees("[tree]")
        session.presses("q", "TIMELINE")


def test_a_pager_that_is_not_there_is_named(history_file: Path) -> None:
    with app(history_file, PAGER="no-such-pager") as session:
        session.sees("1 of 1 runs")
        session.presses("\r", "TIMELINE")
        session.presses("\r", "[tree]")
        session.presses("!", "no-such-pager cannot be started here")


def test_the_editor_opens_the_source_at_the_line(
    order: RunHistory,  # noqa: F811
    tape: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    kept = memory.tape_path(order.key)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(tape.read_bytes())
    history = tmp_path / "order.pb"
    history.write_bytes(order.raw)
    told = tmp_path / "told.txt"
    editor = program(tmp_path / "editor", f'echo "$@" > {told}; echo EDITED')
    with app(history, VISUAL=editor) as session:
        session.sees("1 of 1 runs")
        session.presses("\r", "RE-EXECUTED")
        session.presses("e", "EDITED")
        session.sees("back from recorded_workflow.py")
    line, path = told.read_text().split()
    assert line.startswith("+")
    assert Path(path).name == "recorded_workflow.py"
    source = Path(path).read_text().splitlines()
    assert source[int(line[1:]) - 1].strip()
