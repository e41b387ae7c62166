"""The replay screen on a tape: stepping, values, who set them, breakpoints, recording."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replayer.history import RunHistory, read_histories
from replayer.replaying import load_workflow
from replayer.tape import record_here
from tests.tui.histories import HistoryMaker, activity_failure
from tests.tui.screens import SIZES, lines_of, screen_text, settled
from tracer.identity import RunKey
from tui import memory
from tui.app import RetrospanApp
from tui.app.replay_screen import ReplayScreen
from tui.replay.focus import Focus
from tui.sources import LoadedRuns

at_every_size = pytest.mark.parametrize("size", SIZES)
WIDE = (140, 45)
ORDER = "tests.tui.recorded_workflow:Order"


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> RunHistory:
    """An order in two rounds of a model and a tool, of which the last fails."""
    maker = HistoryMaker()
    maker.start("Order", "order-1", data=b'{"total": 7}')
    for turn in (1, 2):
        usage = b'{"model": "gpt-4o", "usage": {"prompt_tokens": 900, "completion_tokens": 100}'
        text = b'"choices": [{"message": {"role": "assistant", "content": "round %d"}}]}' % turn
        number = 2 * turn - 1  # What the SDK gives as ids: a tape finds commands by them.
        answer = usage + b", " + text
        maker.activity("ask", data=b'"plan"', result=answer, activity_id=str(number))
        failure = activity_failure("card declined", "Declined") if turn == 2 else None
        maker.activity(
            "charge",
            data=b"%d" % (turn * 10),
            result=b'"ok"',
            failure=failure,
            activity_id=str(number + 1),
        )
    maker.complete(b'"declined at 30"')
    path = tmp_path_factory.mktemp("order") / "order.pb"
    path.write_bytes(maker.bytes())
    [history] = read_histories([path])
    assert isinstance(history, RunHistory)
    return history


@pytest.fixture(scope="module")
def tape(order: RunHistory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "order.tape"
    stop = record_here(order, [load_workflow(ORDER)], path)
    assert stop.text == "completed", stop
    return path


@pytest.fixture
def taped(order: RunHistory, tape: Path) -> RetrospanApp:
    """The order's run with its tape, open."""
    path = memory.tape_path(order.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(tape.read_bytes())
    return RetrospanApp(LoadedRuns("order-1", [order]), order.key)


def screen_of(app: RetrospanApp) -> ReplayScreen:
    assert isinstance(app.screen, ReplayScreen)
    return app.screen


def here(app: RetrospanApp) -> Focus:
    screen = screen_of(app)
    assert screen.trail is not None
    return screen.trail.here


def source_line(app: RetrospanApp) -> str:
    """The line that the source pane says is current."""
    found = re.search(r"[▶▷] ?\d+ (.*)", screen_text(app))
    return found[1].strip(" │▁▂▃▄▅▆▇█") if found else ""


@at_every_size
async def test_stepping_forward_and_back_shows_lines_and_values(
    taped: RetrospanApp, size: tuple[int, int]
) -> None:
    async with taped.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"turn 1", "enter")
        await settled(pilot)
        assert source_line(taped).startswith("answer = await workflow.execute_activity")
        assert "RE-EXECUTED" in screen_text(taped)
        forward = [here(taped)]
        lines = [source_line(taped)]
        for _ in range(4):
            await pilot.press("n")
            await pilot.app.workers.wait_for_complete()
            await pilot.pause()
            forward.append(here(taped))
            lines.append(source_line(taped))
        assert lines[1].startswith("self.rounds.append(answer")
        assert lines[2].startswith("amount = 10 * turn")
        await pilot.press("N", "N", "N", "N")
        await settled(pilot)
        assert here(taped) == forward[0]


@at_every_size
async def test_a_value_leads_to_the_line_that_set_it(
    taped: RetrospanApp, size: tuple[int, int]
) -> None:
    async with taped.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("G")
        await settled(pilot)
        screen = screen_of(taped)
        values = screen.lines("values")
        view = values.source
        names = [row.name for row in view.rows]  # type: ignore[attr-defined]
        assert "self.total" in names
        await pilot.press("3", *"j" * names.index("self.total"), "W")
        await settled(pilot)
        assert source_line(taped) == "self.total += amount"
        assert "~ self.total" not in screen_text(taped)  # It is about to run.
        await pilot.press("n")
        await settled(pilot)
        assert re.search(r"self\.total 10 → 30", screen_text(taped))
        await pilot.press("left_square_bracket")
        await settled(pilot)
        assert here(taped).position == 22 or here(taped).line is not None


async def test_changed_values_come_first_and_parts_unfold(taped: RetrospanApp) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"turn 2", "enter", "n", "n")
        await settled(pilot)
        screen = screen_of(taped)
        rows = screen.lines("values").source.rows  # type: ignore[attr-defined]
        assert rows[0].name == "self.rounds"
        assert "changed: 1" in screen_text(taped)
        await pilot.press("3", "g", "l")
        await settled(pilot)
        assert "[1] 'round 2'" in screen_text(taped)
        await pilot.press("h")
        await settled(pilot)
        assert "[1] 'round 2'" not in screen_text(taped)


async def test_breakpoints_on_lines_steps_and_changes_stop_both_ways(taped: RetrospanApp) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"break charge", "enter")
        await settled(pilot)
        await pilot.press("c")
        await settled(pilot)
        first = here(taped)
        assert "charge" in source_line(taped) or "execute_activity" in source_line(taped)
        await pilot.press("c")
        await settled(pilot)
        second = here(taped)
        assert second.line is not None
        assert first.line is not None
        assert second.line > first.line
        await pilot.press("C")
        await settled(pilot)
        assert here(taped) == first
        await pilot.press("B")
        await settled(pilot)
        assert "step charge" in screen_text(taped)
        await pilot.press("escape", "colon", *"break charge", "enter")
        await pilot.press("colon", *"break =self.total", "enter")
        await settled(pilot)
        await pilot.press("colon", *"event 1", "enter")
        await settled(pilot)
        await pilot.press("c", "c")
        await settled(pilot)
        assert source_line(taped) == "self.total += amount"


async def test_a_breakpoint_in_the_source_is_marked(taped: RetrospanApp) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"turn 1", "enter")
        await settled(pilot)
        await pilot.press("2", "j", "b")
        await settled(pilot)
        assert re.search(r"●[▶· ]\s*\d+ +self\.rounds\.append", screen_text(taped))
        await pilot.press("c")
        await settled(pilot)
        assert source_line(taped).startswith("self.rounds.append")


async def test_failures_decisions_and_frames_are_places_to_go(taped: RetrospanApp) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await settled(pilot)
        assert "card declined" in screen_text(taped)
        await pilot.press("less_than_sign")
        await settled(pilot)
        assert source_line(taped).startswith(("if ", "for ", "except "))
        await pilot.press("g")
        await settled(pilot)
        await pilot.press("colon", *"break charge", "enter", "c", "u")
        await settled(pilot)
        assert "1 up" in screen_text(taped)
        await pilot.press("d")
        await settled(pilot)
        assert "1 up" not in screen_text(taped)


@at_every_size
async def test_turns_fold_to_sums_and_messages_read_as_a_chat(
    taped: RetrospanApp, size: tuple[int, int]
) -> None:
    async with taped.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"turn 1", "enter")
        await settled(pilot)
        assert re.search(r"▾ turn 1 .*1\.0k +\$0\.0", screen_text(taped))
        assert "▌ assistant" in screen_text(taped) or size != WIDE
        await pilot.press("1", "h")
        await settled(pilot)
        assert "▸ turn 1" in screen_text(taped)
        assert len(re.findall(r"■ act +charge|✗ act +charge", screen_text(taped))) == 1
        await pilot.press("l")
        await settled(pilot)
        assert "▾ turn 1" in screen_text(taped)


async def test_a_watch_stays_in_sight_and_is_remembered(
    taped: RetrospanApp, order: RunHistory
) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"watch self.total", "enter")
        await settled(pilot)
        assert memory.recall("watches") == {"Order": ["self.total"]}
        await pilot.press("G", "C")
        await settled(pilot)
        assert source_line(taped) == "self.total += amount"
        assert re.search(r"w. ?self\.total", screen_text(taped))


async def test_a_click_on_the_scrubber_goes_there(taped: RetrospanApp) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.click("#scrubber", offset=(139, 0))
        await settled(pilot)
        at_end = here(taped).line
        await pilot.click("#scrubber", offset=(0, 0))
        await settled(pilot)
        assert here(taped).line == 0
        assert at_end is not None
        assert at_end > 0


@pytest.mark.slow
async def test_a_tape_is_recorded_in_the_background(order: RunHistory) -> None:
    app = RetrospanApp(LoadedRuns("order-1", [order]), order.key)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        assert "2 SOURCE" not in screen_text(app)
        await pilot.press("W")
        await settled(pilot)
        assert "T records one" in lines_of(app)[0]
        await pilot.press("right_parenthesis", "T", *"nowhere", "colon", *"No", "enter")
        await settled(pilot)
        assert "no tape: " in lines_of(app)[0]

        await pilot.press("T", *["backspace"] * 20)
        await pilot.press(*ORDER, "enter")
        await pilot.pause()
        assert "recording" in lines_of(app)[0]
        await settled(pilot)
        assert "2 SOURCE" in screen_text(app)
        assert here(app).position == 4
        assert source_line(app).startswith("answer = await")
        assert "recording" not in lines_of(app)[0]
        assert memory.recall("workflows") == {"Order": ORDER}


async def test_a_tape_of_another_run_is_not_shown(order: RunHistory, tape: Path) -> None:
    other = RunKey(order.key.namespace, order.key.workflow_id, "another-run")
    history = RunHistory(other, order.key_source, order.origin, order.events, order.raw)
    path = memory.tape_path(other)
    path.parent.mkdir(parents=True)
    path.write_bytes(tape.read_bytes())
    app = RetrospanApp(LoadedRuns("order-1", [history]), other)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        assert "2 SOURCE" not in screen_text(app)
