"""Where time went: the parts add up, whatever went on at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analytics.time_split import PARTS, time_split
from tests.analytics.stories import history_of, order
from tracer.identity import RunKey
from tracer.model import (
    Outcome,
    Run,
    RunStatus,
    Step,
    StepKind,
    Wait,
    WorkflowTask,
    run_from_events,
)

KEY = RunKey("default", "w", "r")
SECOND = 1_000_000_000


def test_the_parts_of_a_story() -> None:
    history = history_of(order())
    split = time_split(run_from_events(history.key, history.events))
    assert {name: ns / SECOND for name, ns in split.items() if ns} == {
        "activity": 3.0,
        "retry": 7.3,
        "queue": 0.4,
        "human_wait": 60.0,
        "wait": 0.1,
        "other": 0.4,
        "total": 71.2,
    }


def test_two_activities_at_once_do_not_take_twice_the_time() -> None:
    run = Run(KEY, status=RunStatus.COMPLETED, started_at=0, closed_at=10 * SECOND)
    for number in (1, 2):
        step = Step(StepKind.ACTIVITY, "a", str(number), 1, number, 0, started_at=SECOND)
        step.closed_at, step.outcome = 9 * SECOND, Outcome.COMPLETED
        run.steps.append(step)
    split = time_split(run)
    assert (split["queue"], split["activity"], split["other"]) == (SECOND, 8 * SECOND, SECOND)


def test_an_open_run_is_split_as_far_as_it_is_known() -> None:
    run = Run(KEY, started_at=0, last_event_at=10)
    run.steps.append(Step(StepKind.ACTIVITY, "a", "1", 1, 1, 2, started_at=5, attempt_count=2))
    assert time_split(run) == dict.fromkeys(PARTS, 0) | {
        "retry": 3,
        "activity": 5,
        "other": 2,
        "total": 10,
    }


def test_a_run_that_never_started_has_no_time() -> None:
    assert set(time_split(Run(KEY)).values()) == {0}


_AT = st.integers(-5, 50)
_MAYBE = st.none() | _AT


@given(
    steps=st.lists(st.tuples(st.sampled_from(StepKind), _AT, _MAYBE, _MAYBE, st.integers(0, 3))),
    tasks=st.lists(st.tuples(_AT, _MAYBE, _MAYBE)),
    waits=st.lists(st.tuples(_AT, _MAYBE, st.booleans())),
    end=st.integers(0, 40),
)
def test_parts_add_up_whatever_a_history_says(
    steps: list[tuple[StepKind, int, int | None, int | None, int]],
    tasks: list[tuple[int, int | None, int | None]],
    waits: list[tuple[int, int | None, bool]],
    end: int,
) -> None:
    run = Run(KEY, status=RunStatus.COMPLETED, started_at=0, closed_at=end)
    run.steps = [
        Step(kind, "s", "1", 1, 1, at, started_at=started, closed_at=closed, attempt_count=count)
        for kind, at, started, closed, count in steps
    ]
    run.tasks = [WorkflowTask(at, None, started, closed) for at, started, closed in tasks]
    run.waits = [Wait(1, at, closed_at=closed, is_human=human) for at, closed, human in waits]
    split = time_split(run)
    assert split["total"] == end
    assert sum(split[name] for name in (*PARTS, "other")) == end
    assert min(split.values()) >= 0
