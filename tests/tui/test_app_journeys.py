"""What a reader does in the app, from the list to a payload and back, at two sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from replayer.alignment import Knowledge
from replayer.history import Rejected, RunHistory, read_histories
from tests.tui.histories import HistoryMaker, review_history
from tests.tui.screens import SIZES, lines_of, screen_text, settled
from tracer.identity import RunKey
from tui.app import RetrospanApp
from tui.app.lines import LineList, TextPane
from tui.app.replay_screen import ReplayScreen
from tui.app.runs_screen import RunsScreen
from tui.cli import main
from tui.replay.book import Book
from tui.replay.focus import Focus, Trail
from tui.replay.payloads import Tab
from tui.sources import FileRuns, LoadedRuns, RunRow, WarehouseRuns
from tui.text import safe_text
from tui.walk import Walk

at_every_size = pytest.mark.parametrize("size", SIZES)
SMALL = (80, 24)


def files(*paths: Path) -> FileRuns:
    return FileRuns([str(path) for path in paths])


def run_screen(app: RetrospanApp) -> ReplayScreen:
    assert isinstance(app.screen, ReplayScreen)
    return app.screen


def book_of_screen(app: RetrospanApp) -> Book:
    book = run_screen(app).book
    assert book is not None
    return book


def event_here(app: RetrospanApp) -> int:
    screen = run_screen(app)
    assert screen.trail is not None
    return screen.trail.here.position + 1


@at_every_size
async def test_from_the_list_to_a_payload_and_back(folder: Path, size: tuple[int, int]) -> None:
    app = RetrospanApp(files(folder))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        assert "3 of 3 runs" in lines_of(app)[0]
        assert "1 not read (e shows why)" in lines_of(app)[0]

        await pilot.press("slash", *"status:failed", "enter")
        await settled(pilot)
        assert "1 of 3 runs" in lines_of(app)[0]
        assert "✗ FAILED" in screen_text(app)
        assert "cargo-1" in screen_text(app)
        assert "review-0" not in screen_text(app)

        await pilot.press("enter")
        await settled(pilot)
        assert "Cargo ✗ FAILED" in lines_of(app)[0]
        assert "event 1/11" in lines_of(app)[0]
        assert '"customer": "c-1"' in screen_text(app)

        await pilot.press("n")
        await settled(pilot)
        assert event_here(app) == 5
        assert '"text": "hello"' in screen_text(app)
        assert '"answer": 42' in screen_text(app)

        await pilot.press("t", "j", "j", "V")
        await settled(pilot)
        assert event_here(app) == 7
        assert "ACTIVITY_TASK_COMPLETED" in screen_text(app)

        await pilot.press("q")
        await settled(pilot)
        assert "1 of 3 runs" in lines_of(app)[0]


@at_every_size
async def test_every_key_of_the_walk_moves_the_focus(
    history_file: Path, size: tuple[int, int]
) -> None:
    app = RetrospanApp(files(history_file))
    journey = [
        ("G", 26),
        ("g", 1),
        (")", 5),
        (")", 11),
        (")", 15),
        ("(", 11),
        ("j", 15),
        ("s", 16),
        ("S", 15),
        ("p", 22),
        ("[", 15),
        ("]", 22),
        ("n", 26),
        ("t", 26),
        ("k", 25),
    ]
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        for key, expected in journey:
            await pilot.press(key)
            await settled(pilot)
            assert event_here(app) == expected, key
            assert f"event {expected}/26" in lines_of(app)[0]


async def test_finding_and_going_to_an_event(history_file: Path) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)

        await pilot.press("slash", *"APPROVE", "enter")
        await settled(pilot)
        assert event_here(app) == 11

        await pilot.press("colon", *"22", "enter")
        await settled(pilot)
        assert event_here(app) == 22
        assert "no such customer" in screen_text(app)

        await pilot.press("slash", *"check", "enter")
        await settled(pilot)
        assert "nothing after this event has 'check'" in lines_of(app)[0]
        await pilot.press("comma")
        await settled(pilot)
        assert event_here(app) == 21

        await pilot.press("colon", *"99", "enter")
        await settled(pilot)
        assert "this run has no event 99; it has 26" in lines_of(app)[0]


async def test_hidden_workflow_tasks_are_stepped_over(history_file: Path) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("x", "j")
        await settled(pilot)
        assert event_here(app) == 5
        assert "1 EVENTS" in screen_text(app)
        assert "task scheduled" not in screen_text(app)

        await pilot.press("x")
        await settled(pilot)
        assert event_here(app) == 5
        assert "task completed" in screen_text(app)


async def test_the_detail_can_be_zoomed_scrolled_and_left(history_file: Path) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)

        def is_timeline_shown() -> bool:
            return app.screen.query_one("#timeline-pane").display

        await pilot.press("4", "plus")
        await settled(pilot)
        assert not is_timeline_shown()
        assert app.screen.query_one(TextPane).has_focus
        await pilot.press("escape", "escape")
        await settled(pilot)
        assert is_timeline_shown()
        assert app.screen.query_one("#timeline", LineList).has_focus

        await pilot.press("4")
        assert app.screen.query_one(TextPane).has_focus
        await pilot.press("escape", "escape")
        await settled(pilot)
        assert isinstance(app.screen, RunsScreen)


@at_every_size
async def test_help_lists_what_works_here(history_file: Path, size: tuple[int, int]) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        await settled(pilot)
        assert "keys that work here" in screen_text(app)
        assert "show only runs that match" in screen_text(app)

        await pilot.press("escape", "enter")
        await settled(pilot)
        await pilot.press("question_mark")
        await settled(pilot)
        assert "next line of this function, or next step" in screen_text(app)
        assert "show only runs that match" not in screen_text(app)
        await pilot.press("q")
        await settled(pilot)
        assert isinstance(app.screen, ReplayScreen)


@at_every_size
async def test_a_filter_that_hides_everything_says_so(folder: Path, size: tuple[int, int]) -> None:
    app = RetrospanApp(files(folder))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"nonesuch")
        await settled(pilot)
        assert "No run matches the filter; it hides 3. Esc clears it." in screen_text(app)
        assert app.screen.query_one(Input).value == "nonesuch"

        await pilot.press("escape")
        await settled(pilot)
        assert "3 of 3 runs" in lines_of(app)[0]
        assert app.screen.query_one("#runs", LineList).has_focus


async def test_what_was_not_read_is_explained(folder: Path) -> None:
    app = RetrospanApp(files(folder))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("e")
        await settled(pilot)
        assert "not read" in screen_text(app)
        assert "broken.json" in unfolded(screen_text(app))


async def test_an_empty_source_says_what_to_do(tmp_path: Path) -> None:
    app = RetrospanApp(files(tmp_path))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert "There are no runs here." in screen_text(app)
        await pilot.press("enter", "j", "G", "g")
        await settled(pilot)
        assert isinstance(app.screen, RunsScreen)


async def test_a_run_that_vanished_is_an_error_on_its_screen(history_file: Path) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        history_file.unlink()
        await pilot.press("enter")
        await settled(pilot)
        assert "cannot be read default/review-1" in lines_of(app)[0]
        assert "review.pb" in unfolded(screen_text(app))
        await pilot.press("j", "n", "x", "slash", *"a", "enter", "[", "colon", *"1", "enter")
        await pilot.press("s", "c", "p", "W", "b", "w", "T", "t", "h", "v", "3", "4", "escape", "q")
        await settled(pilot)
        assert isinstance(app.screen, RunsScreen)


async def test_a_history_without_events_is_named_and_does_no_harm(history_file: Path) -> None:
    (history,) = read_histories([history_file])
    assert isinstance(history, RunHistory)
    empty = RunHistory(history.key, history.key_source, history.origin, (), b"")
    app = RetrospanApp(LoadedRuns("nothing", [empty]), history.key)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert "the history has no events" in screen_text(app)
        await pilot.press("j", "k", "n", "N", "g", "G", "x", "t", "p", "c", "W", "q")
        await settled(pilot)
        assert isinstance(app.screen, RunsScreen)


@at_every_size
async def test_hostile_text_goes_through_every_screen(
    hostile_file: Path, size: tuple[int, int]
) -> None:
    app = RetrospanApp(files(hostile_file))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        assert "[/INST]" in screen_text(app)
        assert_harmless(screen_text(app))
        await pilot.press("enter")
        await settled(pilot)
        for _ in range(len(book_of_screen(app).walk.events)):
            assert_harmless(screen_text(app))
            await pilot.press("j")
            await settled(pilot)
        await pilot.press("slash", *"[/INST] [red]", "enter")
        await settled(pilot)
        assert_harmless(screen_text(app))


async def test_a_long_line_is_folded_and_read_to_its_end(tmp_path: Path) -> None:
    maker = HistoryMaker()
    maker.start()
    maker.activity("huge", result=b'"' + b"x" * 300_000 + b'THE END"')
    path = tmp_path / "huge.pb"
    path.write_bytes(maker.bytes())
    app = RetrospanApp(files(path))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("V", "colon", *"7", "enter")
        await settled(pilot)
        assert "xxxxxxxx" in screen_text(app)
        await pilot.press("4", "G")
        await settled(pilot)
        assert "scheduled_event_id: 5" in screen_text(app)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("G")
        await settled(pilot)
        assert "THE END" in screen_text(app)


async def test_the_detail_follows_the_width(history_file: Path) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("V")
        for width, height in ((60, 20), (160, 50), SMALL):
            await pilot.resize_terminal(width, height)
            await settled(pilot)
            run_id = "original_execution_run_id: 0198c5c6-3b1e-7c2a-9d4e-5f60718293a4"
            assert (run_id in screen_text(app)) == (width != 60)


def unfolded(text: str) -> str:
    """The text of a pane without the line breaks and borders that its width made."""
    return "".join(character for character in text if character not in " │\n")


def assert_harmless(text: str) -> None:
    assert text == safe_text(text, multiline=True)
    assert "\t" not in text


async def test_runs_of_the_command_line_are_opened_at_once(history_file: Path) -> None:
    (history,) = read_histories([history_file])
    assert isinstance(history, RunHistory)
    app = RetrospanApp(LoadedRuns("review-1", [history]), history.key)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert f"event 1/{len(review_history().events)}" in lines_of(app)[0]
        await pilot.press("escape")
        await settled(pilot)
        assert "1 of 1 runs" in lines_of(app)[0]


class Stubborn:
    """A source whose second half cannot be read."""

    name = "stubborn"
    note = ""

    def __init__(self, inner: FileRuns) -> None:
        self._inner = inner

    def rows(self) -> Iterator[RunRow | Rejected]:
        yield from self._inner.rows()
        raise OSError("the disk is gone")

    def load(self, key: RunKey) -> RunHistory:
        return self._inner.load(key)

    def knowledge(self, key: RunKey) -> Knowledge:
        return self._inner.knowledge(key)


async def test_a_source_that_breaks_off_keeps_what_was_read(history_file: Path) -> None:
    app = RetrospanApp(Stubborn(files(history_file)))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert "reading stopped (e shows why)" in lines_of(app)[0]
        assert "review-1" in screen_text(app)
        await pilot.press("e")
        await settled(pilot)
        assert "the disk is gone" in screen_text(app)


async def test_the_runs_of_a_warehouse(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse = tmp_path / "w.duckdb"
    assert main(["import", str(folder), "--warehouse", str(warehouse)]) == 0
    app = RetrospanApp(WarehouseRuns(warehouse))
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot)
        assert "3 of 3 runs" in lines_of(app)[0]
        assert re.search(
            r"FAILED +Cargo +cargo-1 +2026-01-01 00:00:00 +1\.00s +1 +1", screen_text(app)
        )
        await pilot.press("slash", *"cargo", "enter", "enter")
        await settled(pilot)
        await pilot.press("n")
        await settled(pilot)
        assert '"answer": 42' in screen_text(app)


async def test_a_big_payload_is_decoded_beside_the_screen(tmp_path: Path) -> None:
    maker = HistoryMaker()
    maker.start()
    maker.activity("big", result=b'["' + b"y" * 200_000 + b'"]')
    path = tmp_path / "big.pb"
    path.write_bytes(maker.bytes())
    app = RetrospanApp(files(path))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        screen = run_screen(app)
        await pilot.press("V", "t")
        await settled(pilot)
        # On and at once back: what was decoded for a place that was left must not be shown.
        screen.trail = Trail(Focus(screen.key, 6))
        screen.trail = Trail(Focus(screen.key, 5))
        await settled(pilot)
        assert "ACTIVITY_TASK_STARTED" in screen_text(app)
        assert "yyyy" not in screen_text(app)

        await pilot.press("j")
        await settled(pilot)
        assert "yyyy" in screen_text(app)


async def test_nothing_large_is_described_on_the_event_loop(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> str:
        raise AssertionError("a repr of everything takes seconds")

    monkeypatch.setattr(RunRow, "__repr__", refuse)
    monkeypatch.setattr(Walk, "__repr__", refuse)
    described: list[str] = []
    app = RetrospanApp(files(folder))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"rev", "enter", "enter")
        await settled(pilot)
        screen = run_screen(app)
        assert screen.book is not None
        assert screen.scenes is not None
        screen._make_scene(screen.book, screen.scenes, Focus(screen.key, 0), 40, Tab.EVENT)
        described += [worker.description for worker in app.workers]
        await settled(pilot)

    # Textual falls back to `<worker>` when a repr fails.
    assert "<worker>" not in described


async def test_the_mouse_chooses_and_selects(history_file: Path) -> None:
    app = RetrospanApp(files(history_file))
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.double_click("#runs", offset=(3, 0))
        await settled(pilot)
        await pilot.click("#timeline", offset=(3, 1))
        await settled(pilot)
        assert event_here(app) == 5

        app.screen.text_select_all()
        selected = app.screen.get_selected_text() or ""
        await settled(pilot)
        assert '"text": "hello"' in selected
        assert '"text": "hello"' in screen_text(app)
