"""Text that attacks terminals goes through every screen, and out of a real one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from replayer.history import RunHistory, read_histories
from tests.tui.histories import HOSTILE
from tests.tui.process import command, environment
from tests.tui.screens import SIZES, screen_text, settled
from tracer.identity import RunKey
from tui.app import RetrospanApp
from tui.pieces import text_of
from tui.replay.chat import message_lines, messages_of
from tui.replay.code import CodeView, code_of
from tui.replay.documents import Tree
from tui.sources import LoadedRuns
from tui.text import safe_text


def assert_harmless(text: str) -> None:
    assert text == safe_text(text, multiline=True)
    assert "\t" not in text


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_shows_hostile_text_as_text(
    hostile_file: Path, size: tuple[int, int]
) -> None:
    [history] = read_histories([hostile_file])
    assert isinstance(history, RunHistory)
    other = RunKey("ns", HOSTILE, HOSTILE)
    twin = RunHistory(other, history.key_source, history.origin, history.events, history.raw)
    app = RetrospanApp(LoadedRuns(HOSTILE, [history, twin]))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for keys in (
            ("enter",),
            ("right_parenthesis",),
            ("V",),
            ("v", "p"),
            ("enter",),  # A payload …
            ("vertical_line",),
            ("y",),  # … and what to copy of it.
            ("escape", "v"),
            ("escape", "ctrl+f", *"[red]", "enter"),  # Find.
            ("escape", "Z"),  # Waits.
            ("escape", "M"),  # Cost.
            ("escape", "b", "B"),  # Breakpoints.
            ("escape", "F"),  # Fork.
            ("escape", "question_mark"),
            ("escape", "D"),  # Which run to compare with …
            ("enter",),  # … and the comparison.
            ("n", "enter"),
            ("escape", "vertical_line", "vertical_line", "vertical_line"),
        ):
            await pilot.press(*keys)
            await settled(pilot)
            assert_harmless(screen_text(app))


@pytest.mark.parametrize("value", [HOSTILE, [HOSTILE], {HOSTILE: {HOSTILE: [HOSTILE, "\ud800"]}}])
def test_the_tree_and_the_chat_show_hostile_values_as_text(value: object) -> None:
    tree = Tree(value, frozenset({(), (HOSTILE,), (HOSTILE, HOSTILE)}))
    for index in range(len(tree)):
        assert_harmless(tree.text(index))
    messages = messages_of([{"role": HOSTILE, "content": value, "tool_calls": [{"name": HOSTILE}]}])
    for line in message_lines(messages, 40):
        assert_harmless(text_of(line))


def test_source_that_is_no_python_is_shown_as_text() -> None:
    view = CodeView(code_of(HOSTILE, f'x = """{HOSTILE}\n{HOSTILE}\n\tdef f(:'))
    shown = [text_of(view.line(index, 80)) for index in range(len(view))]
    assert len(shown) == 5
    for line in shown:
        assert_harmless(line)


@pytest.mark.slow
def test_no_byte_of_data_acts_on_a_real_terminal(hostile_file: Path) -> None:
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    app = subprocess.Popen(
        command("tui", str(hostile_file)),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**environment(), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(inside)
    written = b""
    try:
        written += _until(terminal, b"1 of 1 runs")
        os.write(terminal, b"\r")
        written += _until(terminal, b"TIMELINE")
        for key in (b")", b"V", b"p", b"v", b"t", b"\r", b"|", b"q"):
            os.write(terminal, key)
            written += _until_quiet(terminal)
        os.write(terminal, b"\x11")
        app.wait(timeout=20)
    finally:
        app.kill()
        app.wait()
        os.close(terminal)

    # What Textual itself asks of a terminal: the shape of the mouse pointer.
    text = re.sub(r"\x1b\]22;\w*\x07", "", written.decode(errors="replace"))
    assert "aGk=" in text  # The data was shown …
    assert "\x1b]52" not in text  # … and set no clipboard,
    assert "\x07" not in text
    assert "\x9b" not in text  # no colours,
    assert "\x00" not in text
    assert "\u202e" not in text  # and no direction.
    assert not re.search(r"\x1b\[2J.{0,40}gnp", text)


def _until(terminal: int, awaited: bytes) -> bytes:
    """What is written until it has the text."""
    written = b""
    deadline = time.monotonic() + 30
    while not re.search(awaited, written):
        assert time.monotonic() < deadline, written[-2000:]
        if select.select([terminal], [], [], 0.2)[0]:
            written += os.read(terminal, 65536)
    return written


def _until_quiet(terminal: int) -> bytes:
    """What is written until nothing more comes."""
    written = b""
    while select.select([terminal], [], [], 1.0)[0]:
        written += os.read(terminal, 65536)
    return written
