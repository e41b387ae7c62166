"""The critical path: what it is made of adds up to the run, and nothing on it overlaps."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analytics.critical_path import critical_path
from tracer.identity import RunKey
from tracer.model import Outcome, Run, RunStatus, Step, StepKind, Wait

KEY = RunKey("default", "w", "r")


def run_of(
    steps: list[tuple[int, int | None]], waits: list[tuple[int, int | None]], end: int
) -> Run:
    """A run from 0 to `end`; steps and waits by begin and end."""
    run = Run(KEY, status=RunStatus.COMPLETED, started_at=0, closed_at=end)
    for seq, (begin, closed) in enumerate(steps, 1):
        step = Step(StepKind.ACTIVITY, "a", str(seq), 1, seq, begin, closed_at=closed)
        step.outcome = None if closed is None else Outcome.COMPLETED
        run.steps.append(step)
    run.waits = [Wait(n, begin, closed_at=closed) for n, (begin, closed) in enumerate(waits, 1)]
    return run


def test_the_slower_of_two_side_by_side_counts() -> None:
    run = run_of([(1, 5), (1, 9), (10, 12)], [], 13)
    path = critical_path(run)
    assert path.steps == {2: 1, 3: 1}


def test_a_wait_between_steps_is_on_the_path() -> None:
    path = critical_path(run_of([(0, 2), (9, 10)], [(3, 8)], 10))
    assert (path.steps, path.waits) == ({1: 0, 2: 1}, {1: 1})


def test_what_was_cancelled_held_up_nothing() -> None:
    run = run_of([(0, 2), (2, 9)], [], 10)
    run.steps[1].outcome = Outcome.CANCELED
    assert critical_path(run).steps == {1: 0}


def test_an_open_run_has_a_path_as_far_as_it_came() -> None:
    run = run_of([(0, 2), (3, None)], [], 0)
    run.status, run.closed_at, run.last_event_at = RunStatus.RUNNING, None, 3
    assert critical_path(run).steps == {1: 0}


def test_a_run_without_steps_has_none() -> None:
    assert critical_path(Run(KEY)).steps == {}


_BEGIN = st.integers(0, 30)
_INTERVAL = st.tuples(_BEGIN, st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair)))


@given(steps=st.lists(_INTERVAL, max_size=20), waits=st.lists(_INTERVAL, max_size=5))
def test_path_and_gaps_add_up_to_the_end_of_the_path(
    steps: list[tuple[int, int]], waits: list[tuple[int, int]]
) -> None:
    end = max((closed for _, closed in [*steps, *waits]), default=0)
    path = critical_path(run_of([*steps], [*waits], end))
    chosen = [(steps[seq - 1], gap) for seq, gap in path.steps.items()]
    chosen += [(waits[n - 1], gap) for n, gap in path.waits.items()]
    assert sum(closed - begin + gap for (begin, closed), gap in chosen) == end
    assert all(gap >= 0 for _, gap in chosen)
    ordered = sorted(interval for interval, _ in chosen)
    assert all(a[1] <= b[0] for a, b in pairwise(ordered))
