"""Which steps and waits a run's duration hangs on.

From the end of the run backwards: what ended last before this moment held the run up, so the moment
before which it was asked for is looked at next. Steps that ran beside the path could have been
faster without ending the run earlier. What was cancelled held up nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracer.model import Outcome

if TYPE_CHECKING:
    from tracer.model import Run

__all__ = ["CriticalPath", "critical_path"]


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """What a run's duration hangs on, each with the gap before it.

    A gap is in nanoseconds, from the end of what came before on the path, or from the start of the
    run: time that the workflow's own code took, or that nothing explains. It is never negative.
    """

    steps: dict[int, int]
    """By `Step.seq`."""
    waits: dict[int, int]
    """By `Wait.occurrence`."""


type _Interval = tuple[int, int, bool, int]
"""Its end, its start below zero, whether it is a step, and its `seq` or occurrence.

Ordered by the end; of those that end together the longest comes last."""


def critical_path(run: Run) -> CriticalPath:
    """The critical path of a run, as far as it has come. Empty where nothing ended."""
    intervals = sorted(_intervals(run))
    ends = [end for end, _, _, _ in intervals]
    path = CriticalPath({}, {})
    last = run.closed_at if run.is_closed else run.last_event_at
    at = bisect_right(ends, last) if last is not None else 0
    while at:
        _, minus_start, is_step, name = intervals[at - 1]
        start = -minus_start
        # Always further down, also past intervals of no length.
        at = min(at - 1, bisect_right(ends, start))
        before = ends[at - 1] if at else run.started_at
        gap = max(start - before, 0) if before is not None else 0
        (path.steps if is_step else path.waits)[name] = gap
    return path


def _intervals(run: Run) -> list[_Interval]:
    found = [
        (step.closed_at, -step.scheduled_at, True, step.seq)
        for step in run.steps
        if step.closed_at is not None and step.outcome is not Outcome.CANCELED
    ]
    found += [
        (wait.closed_at, -wait.opened_at, False, wait.occurrence)
        for wait in run.waits
        if wait.closed_at is not None
    ]
    return found
