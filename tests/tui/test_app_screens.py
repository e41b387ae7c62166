"""The screens around a replay: payloads, comparison, forks, checks, lists of places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replayer.history import RunHistory, read_histories
from tests.tui.histories import HistoryMaker, activity_failure, application_failure
from tests.tui.screens import SIZES, lines_of, screen_text, settled
from tui import memory
from tui.app import RetrospanApp
from tui.app.diff_screen import DiffScreen
from tui.app.payload_screen import PayloadScreen
from tui.app.stop_screen import StopScreen
from tui.sources import LoadedRuns

at_every_size = pytest.mark.parametrize("size", SIZES)
WIDE, SMALL = (140, 45), (80, 24)
REVIEW = "tests.tui.recorded_workflow:Review"
SLEEPY = "tests.tui.recorded_workflow:Sleepy"


def read(maker: HistoryMaker, path: Path) -> RunHistory:
    path.write_bytes(maker.bytes())
    [history] = read_histories([path])
    assert isinstance(history, RunHistory)
    return history


@pytest.fixture
def approved(tmp_path: Path) -> RunHistory:
    """A run of `recorded_workflow.Review`."""
    maker = HistoryMaker()
    maker.start(workflow_id="review-1")
    maker.signal("approve")
    maker.complete()
    return read(maker, tmp_path / "approved.pb")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[RunHistory, RunHistory]:
    """A run that failed, and one of the same type that did not."""
    runs = []
    for number in (1, 2):
        maker = HistoryMaker()
        maker.start("Order", f"order-{number}", f"0198c5c6-3b1e-7c2a-9d4e-00000000000{number}")
        maker.activity("price", data=b'{"item": "tea"}', result=b'{"total": %d}' % (number * 10))
        if number == 1:
            maker.activity("charge", failure=activity_failure("card declined", "Declined"))
            maker.fail(application_failure("no money"))
        else:
            maker.activity("charge")
            maker.complete()
        runs.append(read(maker, tmp_path / f"{number}.pb"))
    return runs[0], runs[1]


@at_every_size
async def test_a_payload_as_tree_text_and_raw(tmp_path: Path, size: tuple[int, int]) -> None:
    maker = HistoryMaker()
    maker.start()
    document = b'{"orders": [{"id": "a-1", "deep": {"er": {"est": 7}}}, {"id": "b-2"}], "n": null}'
    maker.activity("fetch", result=document)
    history = read(maker, tmp_path / "tree.pb")
    app = RetrospanApp(LoadedRuns("one", [history]), history.key)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        replay = app.screen
        await pilot.press("right_parenthesis", "enter")
        await settled(pilot)
        assert isinstance(app.screen, PayloadScreen)
        assert "[tree]" in lines_of(app)[0]
        assert "▾ orders [2 items]" in screen_text(app)
        assert "er {1 key}" not in screen_text(app)

        await pilot.press("slash", *"est", "enter")
        await settled(pilot)
        assert "1 of 1 × 'est'" in lines_of(app)[0]
        assert "est 7" in screen_text(app)
        if size == WIDE:
            assert "$.orders[0].deep.er.est" in lines_of(app)[0]

        await pilot.press("vertical_line")
        await settled(pilot)
        assert "[text]" in lines_of(app)[0]
        assert '"er": {' in screen_text(app)
        await pilot.press("vertical_line")
        await settled(pilot)
        assert "[raw]" in lines_of(app)[0]
        assert '{"orders": [{"id"' in screen_text(app)
        await pilot.press("V")
        await settled(pilot)
        assert '"hello"' in screen_text(app)
        await pilot.press("escape")
        assert app.screen is replay


async def test_copying_offers_parts_and_says_where_they_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    maker = HistoryMaker()
    maker.start()
    maker.activity("big", result=b'{"text": "' + b"x" * 100_000 + b'"}')
    history = read(maker, tmp_path / "big.pb")
    app = RetrospanApp(LoadedRuns("one", [history]), history.key)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("right_parenthesis", "enter")
        await settled(pilot)
        await pilot.press("j", "y")
        await settled(pilot)
        assert "its path" in screen_text(app)
        await pilot.press("j", "enter")
        await settled(pilot)
        assert "sent 6 B to the terminal's clipboard" in lines_of(app)[0]
        assert app.clipboard == "$.text"
        await pilot.press("y", "enter")
        await settled(pilot)
        assert "saved in" in lines_of(app)[0]
        assert (memory.state_folder() / "copied.txt").read_text() == "x" * 100_000


@at_every_size
async def test_two_marked_runs_are_compared(
    pair: tuple[RunHistory, RunHistory], size: tuple[int, int]
) -> None:
    app = RetrospanApp(LoadedRuns("two", pair))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("D")
        assert "mark a run with space" in lines_of(app)[0]
        await pilot.press("space", "j", "D")
        await settled(pilot)
        assert isinstance(app.screen, DiffScreen)
        assert "3 differences" in lines_of(app)[0]
        assert "They part at" in screen_text(app)
        assert "THEY PART" in screen_text(app)
        await pilot.press("g", "n")
        await settled(pilot)
        assert "$.total" in screen_text(app)
        assert {"A 10", "B 20"} <= {line.strip() for line in lines_of(app)}
        await pilot.press("enter")
        await settled(pilot)
        assert "A in" in lines_of(app)[0]
        await pilot.press("q", "vertical_line", "vertical_line")
        await settled(pilot)
        assert "one column" in lines_of(app)[0]
        await pilot.press("escape")
        await settled(pilot)
        assert "◆ order-" in screen_text(app)


async def test_find_cost_and_waits_lead_to_events(
    approved: RunHistory, pair: tuple[RunHistory, RunHistory]
) -> None:
    app = RetrospanApp(LoadedRuns("some", [approved, *pair]), pair[0].key)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+f", *"DECLINED", "enter")
        await settled(pilot)
        assert "find 'DECLINED'  1 place" in lines_of(app)[0]
        await pilot.press("enter")
        await settled(pilot)
        assert "event 13/" in lines_of(app)[0]

        await pilot.press("M")
        await settled(pilot)
        assert "calls no model" in screen_text(app)
        await pilot.press("escape", "colon", *"waits", "enter")
        await settled(pilot)
        assert "never stood still" in screen_text(app)


async def test_what_a_run_waited_for_is_listed(approved: RunHistory) -> None:
    app = RetrospanApp(LoadedRuns("one", [approved]), approved.key)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("Z")
        await settled(pilot)
        assert re.search(r"✓ +5\.00s .*ended by signal approve by ann", screen_text(app))
        await pilot.press("enter")
        await settled(pilot)
        assert "event 5/9" in lines_of(app)[0]


@pytest.mark.slow
@at_every_size
async def test_code_that_does_not_replay_is_explained(
    approved: RunHistory, size: tuple[int, int]
) -> None:
    app = RetrospanApp(LoadedRuns("one", [approved]), approved.key)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("K", *SLEEPY, "enter")
        await settled(pilot)
        assert isinstance(app.screen, StopScreen), lines_of(app)[0]
        assert "DOES NOT REPLAY" in lines_of(app)[0]
        assert "history, event" in screen_text(app)
        assert "timer (1, " in screen_text(app)
        await pilot.press("escape")
        await settled(pilot)
        await pilot.press("colon", *f"check {REVIEW}", "enter")
        await settled(pilot)
        assert "replay matches" in lines_of(app)[0]


@pytest.mark.slow
async def test_a_fork_is_made_opened_and_compared(approved: RunHistory) -> None:
    app = RetrospanApp(LoadedRuns("one", [approved]), approved.key)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("F", *REVIEW, "tab", "tab")
        await pilot.press("ctrl+u", *"nonsense", "enter")
        await settled(pilot)
        assert "is not PATH=JSON" in screen_text(app)
        await pilot.press("ctrl+u", *'input.customer="c-2"', "enter")
        await settled(pilot)
        assert "FORKED at the start" in lines_of(app)[0]
        assert '"customer": "c-2"' in screen_text(app)
        assert len(list((memory.state_folder() / "forks").iterdir())) == 1
        await pilot.press("n")
        await settled(pilot)
        assert "FORKED  review-1" in lines_of(app)[0]
        await pilot.press("D")
        await settled(pilot)
        assert isinstance(app.screen, DiffScreen)
        assert "customer" in screen_text(app)
        await pilot.press("q", "q", "q")
        await settled(pilot)
        await pilot.press("r")
        await settled(pilot)
        assert "2 of 2 runs" in lines_of(app)[0]


async def test_the_palette_does_what_keys_do_and_keys_can_be_others(
    approved: RunHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keymap = tmp_path / "keymap.json"
    keymap.write_text('{"replay.step": "f10", "replay.nothing": "f9"}')
    monkeypatch.setenv("RETROSPAN_KEYMAP", str(keymap))
    app = RetrospanApp(LoadedRuns("one", [approved]), approved.key)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+p", *"what it waited")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await settled(pilot)
        assert "waits  1 place" in lines_of(app)[0]
        await pilot.press("escape", "f10")
        await settled(pilot)
        assert "event 5/9" in lines_of(app)[0]
        app.theme = "textual-light"
        await settled(pilot)
    assert memory.recall("app") == {"theme": "textual-light"}
    assert RetrospanApp(LoadedRuns("one", [approved])).theme == "textual-light"


@at_every_size
async def test_the_tour_goes_on_when_the_reader_did_what_it_asks(
    pair: tuple[RunHistory, RunHistory], size: tuple[int, int]
) -> None:
    app = RetrospanApp(LoadedRuns("two", pair), has_tour=True)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for keys, said in (
            ((), "1/7 Which runs failed?"),
            (("slash", *"status:failed", "enter"), "2/7 enter opens a run"),
            (("enter",), "3/7 p goes to what failed"),
            (("p",), "4/7 T records a tape"),
        ):
            # As people do: a prompt has to be open before it takes what is typed.
            for key in keys:
                await pilot.press(key)
                await settled(pilot)
            # The line is made one time, says something the next, and is drawn after that.
            for _ in range(50):
                app._show_tour()
                await settled(pilot)
                if said in screen_text(app):
                    break
            assert said in screen_text(app)
