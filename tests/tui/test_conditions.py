"""Conditions of breakpoints, on values as tapes have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.tape import FrameState, Variable
from tests.tui.histories import HOSTILE
from tests.tui.screens import lines_of, settled
from tests.tui.test_replay_screen import WIDE, here, order, source_line, tape, taped  # noqa: F401
from tui.app import RetrospanApp
from tui.replay.conditions import ConditionError, parse_condition
from tui.replay.stops import BreakKind, parse_breakpoint


def frame(**values: Any) -> FrameState:
    """A frame with these locals; `self_x` is an attribute. Snapshots are those of a tape."""
    names = {name.replace("self_", "self."): value for name, value in values.items()}
    variables = tuple(Variable(name, value, 0, None) for name, value in names.items())
    return FrameState(0, "run", "workflow.py", 1, 0, 0, variables)


HERE = frame(
    self_total=30,
    name="ann",
    nothing=None,
    score=["f", "0.75"],
    ready=["b", 1],
    cut=["s", "abc", 9000],
    status=["e", "Status", "OPEN"],
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("self.total > 20", True),
        ("self.total > 30", False),
        ("20 < self.total <= 30", True),
        ("not self.total > 30", True),
        ("self.total == -30", False),
        ('name == "ann" and self.total in (10, 30)', True),
        ('name in ["bob"] or score >= 0.75', True),
        ('"nn" in name', True),
        ("len(name) == 3", True),
        ("nothing is None", True),
        ("name is not None", True),
        ("ready", True),
        ("ready == True", True),
        ('status == "Status.OPEN"', True),
        # What is not known is not so, however it is asked.
        ("missing > 1", False),
        ("not missing > 1", False),
        ("name > 3", False),
        ('cut == "abc"', False),
        ("len(cut) == 9000", True),
        ("name.upper == 1", False),
        ("self.total[0] == 1", False),
    ],
)
def test_a_condition_asks_the_values(text: str, holds: bool) -> None:
    assert parse_condition(text).holds(HERE) is holds
    assert not parse_condition(text).holds(None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 == 1",
        "x = 3",
        "(x := 3)",
        "x.append(1)",
        "__import__('os')",
        "len(x, y)",
        "len(*x)",
        "lambda: x",
        "[x for x in y]",
        "x if y else z",
        "f'{x}'",
        "x + 1 > 2",
        "x[y] == 1",
        "x[1:2]",
        "b'x' == y",
        "x\x00",
        "(" * 400 + "x" + ")" * 400,
        HOSTILE,
    ],
)
def test_nothing_else_is_a_condition(text: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_condition(text)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_is_refused(text: str) -> None:
    try:
        condition = parse_condition(text)
    except ConditionError:
        return
    assert condition.holds(HERE) in (True, False)


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("118 if x > 1", BreakKind.LINE, "line w.py:118 if x > 1"),
        ("charge if x > 1", BreakKind.STEP, "step charge if x > 1"),
        ("TIMER_FIRED if x", BreakKind.EVENT, "event TIMER_FIRED if x"),
        ("failure if x", BreakKind.FAILURE, "any failure if x"),
        ("if x > 1", BreakKind.WHEN, "any line if x > 1"),
        ("notify if absent", BreakKind.STEP, "step notify if absent"),
    ],
)
def test_a_condition_follows_any_place(text: str, kind: BreakKind, told: str) -> None:
    found = parse_breakpoint(text, "w.py")
    assert found.kind is kind
    assert str(found) == told
    assert found == parse_breakpoint(text, "w.py")


async def test_continue_stops_only_where_the_condition_holds(
    taped: RetrospanApp,  # noqa: F811
) -> None:
    async with taped.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon", *"break charge if amount > 10", "enter")
        await settled(pilot)
        await pilot.press("c")
        await settled(pilot)
        stop = here(taped)
        assert "execute_activity" in source_line(taped)
        await pilot.press("c")
        await settled(pilot)
        assert here(taped) == stop
        assert "no breakpoint after this" in lines_of(taped)[0]
        await pilot.press("colon", *"break charge if amount > 10", "enter")
        # Where the sum first is 10, and not again while it stays above.
        await pilot.press("colon", *"break if self.total >= 10", "enter")
        await settled(pilot)
        await pilot.press("C")
        await settled(pilot)
        assert here(taped).line is not None
        assert "_charge" in source_line(taped)
        first = here(taped)
        await pilot.press("c")
        await settled(pilot)
        assert here(taped) == first
        await pilot.press("colon", *"break if self.total.x()", "enter")
        await settled(pilot)
        assert "is no condition" in lines_of(taped)[0]


async def test_without_a_tape_a_condition_says_what_it_needs(history_file: Path) -> None:
    from tui.sources import FileRuns

    app = RetrospanApp(FileRuns([str(history_file)]))
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("colon", *"break classify if x > 1", "enter")
        await settled(pilot)
        assert "this needs a tape" in lines_of(app)[0]
        await pilot.press("c")
        await settled(pilot)
        assert "no breakpoint after this" in lines_of(app)[0]
