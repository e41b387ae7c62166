"""Where the time of a run went: its duration cut into parts that add up.

Several things can go on at once; each instant is counted once, for the first part in the order of
`PARTS` that applies. So a run with two activities side by side does not spend more time than it
took, and time that nothing explains shows as `other` and is not hidden in a neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracer.model import Run, Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PARTS", "time_split"]

PARTS: Final = ("activity", "child", "retry", "queue", "workflow", "human_wait", "wait")
"""From the strongest claim on an instant to the weakest; what no part claims is `other`."""

_EXECUTING: Final = frozenset(
    {StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY, StepKind.NEXUS_OPERATION}
)

type Span = tuple[int, int, int]
"""Start, end, and the place of the part in `PARTS`."""


def time_split(run: Run) -> dict[str, int]:
    """Nanoseconds by part, and `other` and `total`. The parts and `other` add up to `total`."""
    start, end = run.started_at, run.closed_at if run.is_closed else run.last_event_at
    split = dict.fromkeys((*PARTS, "other", "total"), 0)
    if start is None or end is None or end <= start:
        return split
    split["total"] = end - start
    clipped = ((max(a, start), min(b, end), part) for a, b, part in _spans(run, end))
    for part, duration in _sweep([span for span in clipped if span[0] < span[1]]).items():
        split[PARTS[part]] = duration
    split["other"] = split["total"] - sum(split[part] for part in PARTS)
    return split


def _sweep(spans: list[Span]) -> dict[int, int]:
    edges = [(a, part, 1) for a, _, part in spans] + [(b, part, -1) for _, b, part in spans]
    open_count = [0] * len(PARTS)
    durations: dict[int, int] = {}
    previous = 0
    for at, part, change in sorted(edges):
        strongest = next((i for i, count in enumerate(open_count) if count), None)
        if strongest is not None:
            durations[strongest] = durations.get(strongest, 0) + at - previous
        open_count[part] += change
        previous = at
    return durations


def _spans(run: Run, end: int) -> Iterator[Span]:
    for step in run.steps:
        yield from _step_spans(step, end)
    for task in run.tasks:
        started = task.started_at or task.closed_at or end
        yield task.scheduled_at, started, PARTS.index("queue")
        yield started, task.closed_at or end, PARTS.index("workflow")
    for wait in run.waits:
        part = "human_wait" if wait.is_human else "wait"
        yield wait.opened_at, wait.closed_at or end, PARTS.index(part)
    for step in run.steps:
        if step.kind is StepKind.TIMER:
            yield step.scheduled_at, step.closed_at or end, PARTS.index("wait")


def _step_spans(step: Step, end: int) -> Iterator[Span]:
    closed = step.closed_at or end
    if step.kind in _EXECUTING:
        before = "retry" if step.attempt_count > 1 else "queue"
        started = step.started_at or closed
        yield step.scheduled_at, started, PARTS.index(before)
        yield started, closed, PARTS.index("activity")
    elif step.kind is StepKind.CHILD_WORKFLOW:
        yield step.scheduled_at, closed, PARTS.index("child")
