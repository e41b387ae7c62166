"""Forks of a run as a tree: from files, from a warehouse, and from an earlier sitting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen

from analytics.runs import fork_marks, list_runs
from replayer.history import RunHistory, read_histories
from tests.tui.histories import HistoryMaker, application_failure, payload
from tests.tui.process import retrospan
from tests.tui.screens import SIZES, lines_of, screen_text, settled
from tracer.identity import RunKey
from tui import memory
from tui.app import RetrospanApp
from tui.app.diff_screen import DiffScreen
from tui.app.forks_screen import ForksScreen
from tui.app.lines import LineList
from tui.app.replay_screen import ReplayScreen
from tui.forks import fork_tree, origin_from
from tui.pieces import text_of
from tui.sources import FileRuns, LoadedRuns, RunRow, WarehouseRuns

RUN = "0198c5c6-3b1e-7c2a-9d4e-00000000000{}"
NAMESPACE = "default"


def review(
    folder: Path, number: int, of: int = 0, changes: str = "", *, fails: bool = False
) -> Path:
    """A run, or a fork of another one of this folder."""
    maker = HistoryMaker()
    maker.start(run_id=RUN.format(number))
    if of:
        mark = {
            "run_id": RUN.format(number),
            "of": f"{NAMESPACE}/review-1:{RUN.format(of)}",
            "event_id": 2,
            "point": "at classify",
            "changes": changes,
            "forked_at": f"2026-01-0{number}T00:00:00+00:00",
        }
        started = maker.events[0].workflow_execution_started_event_attributes
        started.original_execution_run_id = RUN.format(1)
        started.memo.fields["retrospan.fork"].CopyFrom(payload(json.dumps(mark).encode()))
    maker.activity("classify", data=b'"%d"' % number)
    if fails:
        maker.activity("escalate")
        maker.fail(application_failure("nobody there"))
    else:
        maker.complete()
    path = folder / f"{number}.pb"
    path.write_bytes(maker.bytes())
    return path


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A recording, two forks of it, and a fork of the first; and a run of its own."""
    folder = tmp_path / "family"
    folder.mkdir()
    review(folder, 1)
    review(folder, 2, 1, "output.confidence 0.7 → 0.99", fails=True)
    review(folder, 3, 1, "model gpt-4o")
    review(folder, 4, 2, "signal approve")
    return folder


def read(path: Path) -> RunHistory:
    [history] = read_histories([path])
    assert isinstance(history, RunHistory)
    return history


def rows_in(folder: Path) -> list[RunRow]:
    return [row for row in FileRuns([str(folder)]).rows() if isinstance(row, RunRow)]


def top(app: RetrospanApp) -> Screen[Any]:
    return app.screen


@pytest.mark.parametrize("seen_from", [1, 2, 3, 4])
def test_the_tree_is_the_same_from_each_of_its_runs(family: Path, seen_from: int) -> None:
    rows = rows_in(family)
    key = next(row.key for row in rows if row.key.run_id == RUN.format(seen_from))
    twigs = fork_tree(rows, key)
    assert [(twig.lead, twig.row.key.run_id[-1]) for twig in twigs] == [
        ("", "1"),
        ("├─ ", "2"),
        ("│  └─ ", "4"),
        ("└─ ", "3"),
    ]
    assert [twig.origin and twig.origin.key.run_id[-1] for twig in twigs] == [None, "1", "2", "1"]


def test_forks_of_each_other_and_of_runs_that_are_gone_end_nowhere(family: Path) -> None:
    (family / "1.pb").unlink()
    rows = rows_in(family)
    [second] = (row for row in rows if row.key.run_id == RUN.format(2))
    assert [twig.row.key.run_id[-1] for twig in fork_tree(rows, second.key)] == ["2", "4"]
    review(family, 1, 4, "back again")
    rows = rows_in(family)
    assert len(fork_tree(rows, second.key)) == 4
    assert fork_tree([], second.key) == []


@pytest.mark.parametrize("mark", [None, [], {}, {"of": 3}, {"of": ""}, {"of": "no namespace"}])
def test_a_memo_that_tells_no_origin_is_none(mark: object) -> None:
    assert origin_from(mark) is None


@pytest.mark.parametrize("size", SIZES)
async def test_from_a_run_to_its_forks_and_what_they_changed(
    family: Path, size: tuple[int, int]
) -> None:
    app = RetrospanApp(FileRuns([str(family)]))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("G", "f")
        await settled(pilot)
        assert isinstance(top(app), ForksScreen)
        shown = screen_text(app)
        assert "FORKS  3 forks" in shown
        for text in ("recording", "✗ FAILED", "output.confidence 0.7 → 0.99", "│  └─", "+1"):
            assert text in shown
        await pilot.press("g", "D")
        assert "go to one of them" in lines_of(app)[0]
        await pilot.press("j", "D")
        await settled(pilot)
        assert isinstance(top(app), DiffScreen)
        assert "escalate" in screen_text(app)
        await pilot.press("escape", "j", "enter")
        await settled(pilot)
        screen = top(app)
        assert isinstance(screen, ReplayScreen)
        assert screen.key.run_id == RUN.format(4)
        # From the fork back to the tree, where it is the current line.
        await pilot.press("colon", *"forks", "enter")
        await settled(pilot)
        assert isinstance(top(app), ForksScreen)
        lines = app.screen.query_one(LineList)
        assert "signal approve" in text_of(lines.source.line(lines.cursor, 80))


async def test_forks_of_an_earlier_sitting_come_back(family: Path) -> None:
    history = read(family / "1.pb")
    kept = memory.fork_path(RunKey(NAMESPACE, "review-1", RUN.format(3)))
    kept.parent.mkdir(parents=True)
    (family / "3.pb").rename(kept)
    (kept.parent / "review-1.fork-torn.pb").write_bytes(b"\xff")
    app = RetrospanApp(LoadedRuns("one", [history]), history.key)
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot)
        await pilot.press("f")
        await settled(pilot)
        assert "model gpt-4o" in screen_text(app)
        await pilot.press("j", "enter")
        await settled(pilot)
        assert "FORKED  review-1" in lines_of(app)[0]
        await pilot.press("D")
        await settled(pilot)
        assert isinstance(top(app), DiffScreen)


async def test_a_run_that_was_never_forked_says_so(history_file: Path) -> None:
    history = read(history_file)
    app = RetrospanApp(LoadedRuns("one", [history]), history.key)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("f")
        await settled(pilot)
        assert "Nobody forked this run yet" in screen_text(app)
        await pilot.press("enter", "D", "escape")
        await settled(pilot)
        assert isinstance(top(app), ReplayScreen)


def test_a_warehouse_knows_its_forks(family: Path, tmp_path: Path) -> None:
    assert retrospan("import", family, cwd=tmp_path).returncode == 0
    warehouse = tmp_path / "retrospan.duckdb"
    assert len(fork_marks(warehouse)) == 3
    rows = [row for row in WarehouseRuns(warehouse).rows() if isinstance(row, RunRow)]
    assert len(fork_tree(rows, list_runs(warehouse)[0].key)) == 4
