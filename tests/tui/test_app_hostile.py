"""Text that attacks terminals goes through every screen, and out of a real one."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import pkgutil
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

import tui.app
from replayer.alignment import compare, side_of
from replayer.check import Command, Explanation, Verdict, VerdictStatus
from replayer.check.model import ChangeKind, CommandKind, Frame
from replayer.history import RunHistory, read_histories
from tests.tui.histories import (
    HOSTILE,
    HistoryMaker,
    activity_failure,
    application_failure,
    payload,
)
from tests.tui.process import command, environment
from tests.tui.screens import SIZES, screen_text, settled
from tracer.identity import RunKey
from tui.app import RetrospanApp
from tui.app.choice_screen import ChoiceScreen
from tui.app.diff_screen import DiffScreen
from tui.app.fork_screen import ForkScreen
from tui.app.forks_screen import ForksScreen
from tui.app.help_screen import TextScreen
from tui.app.payload_screen import PayloadScreen
from tui.app.places_screen import PlacesScreen
from tui.app.replay_screen import ReplayScreen
from tui.app.runs_screen import RunsScreen
from tui.app.stop_screen import StopScreen
from tui.pieces import text_of
from tui.replay.chat import message_lines, messages_of
from tui.replay.code import CodeView, code_of
from tui.replay.diff_view import DiffView, Layout, change_lines, difference_rows
from tui.replay.documents import Tree
from tui.sources import LoadedRuns
from tui.text import safe_text


def assert_harmless(text: str) -> None:
    assert text == safe_text(text, multiline=True)
    assert "\t" not in text


def hostile_run(folder: Path, number: int, of: RunKey | None = None) -> RunHistory:
    """A run in which every text is hostile; no two have a payload in common."""
    maker = HistoryMaker()
    run_id = f"0198c5c6-3b1e-7c2a-9d4e-00000000000{number}"
    maker.start(HOSTILE, HOSTILE, run_id, json.dumps({HOSTILE: [HOSTILE, number]}).encode())
    if of is not None:
        told = {"run_id": run_id, "of": str(of), "point": HOSTILE, "changes": HOSTILE}
        memo = maker.events[0].workflow_execution_started_event_attributes.memo
        memo.fields["retrospan.fork"].CopyFrom(payload(json.dumps(told).encode()))
    text = json.dumps(f"{HOSTILE} {number} \u001b[31m [/red] {HOSTILE}").encode()
    maker.activity(HOSTILE, data=text, failure=activity_failure(HOSTILE, f"{HOSTILE}{number}"))
    maker.activity("surrogate", data=b'"\\ud800 %d"' % number, result=b"\xff\x00\x1b[2J%d" % number)
    maker.activity("huge", result=b'"' + b"%d" % number * 1_000_000 + b'"')
    maker.signal(f"{HOSTILE}{number}")
    maker.fail(application_failure(f"{HOSTILE}{number}", HOSTILE))
    path = folder / f"hostile-{number}.pb"
    path.write_bytes(maker.bytes())
    [history] = read_histories([path])
    assert isinstance(history, RunHistory)
    return history


PLACE = Frame(HOSTILE, 7, HOSTILE, HOSTILE)
ASKED = Command(CommandKind.ACTIVITY, HOSTILE, HOSTILE, HOSTILE, 5, stack=(PLACE,))
STOP = Explanation(
    ChangeKind.CHANGED_ID, HOSTILE, 5, ASKED, ASKED, (PLACE, PLACE), (ASKED,), HOSTILE, HOSTILE
)
CASES: dict[type[Screen[Any]], tuple[tuple[str, ...], ...]] = {
    RunsScreen: ((), ("slash", *"[red]", "enter"), ("colon", *"[/red]", "enter")),
    ReplayScreen: (
        ("enter",),
        ("right_parenthesis",),
        ("V",),
        ("v", "p"),
        ("t", "G"),
        ("colon", *"[/red]", "enter"),
        ("slash", *"[red]", "enter"),
    ),
    PayloadScreen: (
        ("enter", "right_parenthesis", "enter"),
        *[("vertical_line",)] * 4,
        ("v",),
        *[("vertical_line",)] * 4,
        ("slash", *"[red]", "enter"),
    ),
    ChoiceScreen: (("enter", "y"), ("escape", "D")),
    TextScreen: (("enter", "right_parenthesis", "b", "B"), ("escape", "question_mark")),
    PlacesScreen: (
        ("enter", "ctrl+f", *"[red]", "enter"),
        ("escape", "Z"),
        ("escape", "M"),
    ),
    ForkScreen: (("enter", "right_parenthesis", "F"),),
    ForksScreen: (("f",), ("G",)),
    DiffScreen: (
        ("space", "j", "D"),
        *[("n",)] * 6,
        *[("vertical_line",), ("N",)] * 4,
        ("right_curly_bracket",),
    ),
    StopScreen: (),
}
"""What is pressed, from the list on, to have each screen show what it can show."""


def test_every_screen_has_a_hostile_case() -> None:
    for module in pkgutil.iter_modules(tui.app.__path__, "tui.app."):
        importlib.import_module(module.name)
    bases: list[type[Screen[Any]]] = [Screen]
    screens: set[type[Screen[Any]]] = set()
    while bases:
        below = bases.pop().__subclasses__()
        bases += below
        screens |= {each for each in below if each.__module__.startswith("tui.")}
    assert {each for each in screens if not each.__subclasses__()} == set(CASES)


@pytest.mark.parametrize("size", SIZES, ids=["narrow", "wide"])
@pytest.mark.parametrize("screen", CASES, ids=lambda screen: screen.__name__)
async def test_a_screen_shows_hostile_text_as_text(
    tmp_path: Path, screen: type[Screen[Any]], size: tuple[int, int]
) -> None:
    run = hostile_run(tmp_path, 1)
    fork = hostile_run(tmp_path, 2, run.key)
    app = RetrospanApp(LoadedRuns(HOSTILE, [run, fork]))
    seen: set[type[Screen[Any]]] = set()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        if screen is StopScreen:
            verdict = Verdict(run.key, HOSTILE, HOSTILE, VerdictStatus.FAILED, 5, explanation=STOP)
            app.push_screen(StopScreen(verdict, STOP))
            await settled(pilot)
            seen.add(type(app.screen))
            assert_harmless(screen_text(app))
        for keys in CASES[screen]:
            await pilot.press(*keys)
            await settled(pilot)
            seen.add(type(app.screen))
            assert_harmless(screen_text(app))
    assert screen in seen


def test_the_lines_of_a_comparison_are_text(tmp_path: Path) -> None:
    left, right = (side_of(hostile_run(tmp_path, number)) for number in (1, 2))
    comparison = compare(left, right)
    assert difference_rows(comparison)
    for layout in Layout:
        view = DiffView(comparison, layout, 3)
        for index in range(len(view)):
            for width in (20, 80, 140):
                assert_harmless(text_of(view.line(index, width)))
    for row in comparison.rows:
        for line in change_lines(row):
            assert_harmless(text_of(line))


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
