"""What is typed after the colon in the list of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.histories import HOSTILE
from tests.tui.process import retrospan
from tests.tui.screens import SIZES, lines_of, screen_text, settled
from tui.app import RetrospanApp
from tui.app.asking import arguments_of
from tui.app.diff_screen import DiffScreen
from tui.app.forks_screen import ForksScreen
from tui.app.help_screen import TextScreen
from tui.app.lines import TextPane
from tui.app.replay_screen import ReplayScreen
from tui.app.runs_screen import RunsScreen
from tui.cli.program import COMMANDS
from tui.pieces import text_of
from tui.replay.commands import RUNS_VERBS
from tui.sources import FileRuns, WarehouseRuns

WIDE = (140, 45)
OWN = {"errors", "filter", "forks", "help", "open", "quit"}
"""Verbs of the app alone; every other one is a command of that name."""


def test_verbs_are_those_of_the_command_line() -> None:
    assert set(RUNS_VERBS) - OWN <= set(COMMANDS)


@pytest.mark.parametrize(
    ("command", "screen"),
    [
        ("open cargo-1", ReplayScreen),
        ("show", ReplayScreen),
        ("diff review-0 review-2", DiffScreen),
        ("diff cargo-1", DiffScreen),
        ("forks", ForksScreen),
        ("help", TextScreen),
    ],
)
async def test_a_command_leads_where_its_key_does(
    folder: Path, command: str, screen: type[object]
) -> None:
    app = RetrospanApp(FileRuns([str(folder)]))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *command, "enter")
        await settled(pilot)
        assert isinstance(app.screen, screen), screen_text(app)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("nonsense", "there is no command 'nonsense'"),
        ("231", "there is no command '231'"),
        ("open nobody", "0 of the runs listed here answer to 'nobody'"),
        ("diff cargo-1 review-0 review-2", "name two runs"),
        ("cost", "`cost` asks a warehouse"),
    ],
)
async def test_what_cannot_be_done_is_said_in_the_heading(
    folder: Path, command: str, told: str
) -> None:
    app = RetrospanApp(FileRuns([str(folder)]))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *command, "enter")
        await settled(pilot)
        assert isinstance(app.screen, RunsScreen)
        assert told in lines_of(app)[0]


async def test_filters_are_set_and_left_by_command(folder: Path) -> None:
    app = RetrospanApp(FileRuns([str(folder)]))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"errors", "enter")
        await settled(pilot)
        assert "1 of 3 runs" in lines_of(app)[0]
        await pilot.press("slash")
        await settled(pilot)
        assert "status:failed" in screen_text(app).splitlines()[-1]
        await pilot.press("enter", "colon", *"runs", "enter")
        await settled(pilot)
        assert "3 of 3 runs" in lines_of(app)[0]
        # A command that is dropped leaves the filter alone.
        await pilot.press("colon", *"filter cargo", "enter", "colon", "escape")
        await settled(pilot)
        assert "1 of 3 runs" in lines_of(app)[0]


async def test_a_verb_is_completed(folder: Path) -> None:
    app = RetrospanApp(FileRuns([str(folder)]))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"for")
        await settled(pilot)
        await pilot.press("right", "enter")
        await settled(pilot)
        assert isinstance(app.screen, ForksScreen)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_a_warehouse_answers_as_on_the_command_line(
    folder: Path, hostile_file: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    assert retrospan("import", folder, hostile_file, cwd=tmp_path).returncode in (0, 1, 4)
    app = RetrospanApp(WarehouseRuns(tmp_path / "retrospan.duckdb"))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"failures", "enter")
        await settled(pilot)
        assert isinstance(app.screen, TextScreen)
        pane = app.screen.query_one(TextPane).source
        told = "".join(text_of(pane.line(index, 80)) for index in range(len(pane)))
        assert "no space left" in told
        assert not {"\x1b", "\x9b", "\u202e", "\x00"} & set(screen_text(app))
        await pilot.press("escape", "colon", *"sql SELECT '[/red]' AS a", "enter")
        await settled(pilot)
        assert "[/red]" in screen_text(app)
        await pilot.press("escape", "colon", *"cost --nothing", "enter")
        await settled(pilot)
        assert "No such option" in screen_text(app)
        await pilot.press("escape", "colon", *"waits 'open", "enter")
        await settled(pilot)
        assert "cannot be read" in lines_of(app)[0]


def test_a_query_is_one_argument(tmp_path: Path) -> None:
    assert arguments_of("sql", HOSTILE, tmp_path) == ["sql", HOSTILE, "--warehouse", str(tmp_path)]
