"""A run as lanes and bars: what was at work, what waited, and for what, along one axis of time.

Each step and each wait has a lane of its own as long as there are few. In a large run, lanes are
names, and bars that lie closer than a pixel are one bar that tells how many it stands for. What is
left out is counted and said, never dropped silently.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analytics.critical_path import CriticalPath
from analytics.figures import counted, duration, money
from analytics.reports.charts import (
    Bar,
    TimeUnit,
    axis,
    bars,
    lanes_axis,
    layout,
    plotly_text,
    unit_for,
)
from analytics.reports.run_facts import RunFacts, step_calls
from analytics.reports.words import Chart
from tracer.model import Attempt, Failure, Run, Step, StepKind, Wait, elapsed_ns

__all__ = ["Waterfall", "waterfall"]

_LANES: Final = 60
"""Lanes that can be read; a run with more has one lane for each name."""
_NAMES: Final = 40
_MARKS: Final = 2_000
"""Messages that are drawn."""
_PIXELS: Final = 600
_LANE_HEIGHT: Final = 26
_EXECUTING: Final = frozenset(
    {StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY, StepKind.NEXUS_OPERATION}
)
_INSTANT: Final = frozenset({StepKind.SIGNAL_EXTERNAL, StepKind.CANCEL_EXTERNAL})
_CRITICAL: Final = "◆ "


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The chart of a run."""

    chart: Chart
    left_out: str
    """What it does not show; empty if it shows all."""


@dataclass(slots=True)
class _Lane:
    name: str
    group: str
    is_critical: bool
    bars: list[Bar]


def waterfall(facts: RunFacts, critical: CriticalPath) -> Waterfall | None:
    """Draw a run; `None` where nothing of it can be drawn."""
    run = facts.run
    start, end = run.started_at, end_of(run)
    if start is None or end is None or end <= start:
        return None
    lanes = _lanes(facts, critical, start, end)
    left_out = ""
    if len(lanes) > _LANES:
        lanes, left_out = _by_name(lanes, (end - start) // _PIXELS)
    unit = unit_for(end - start)
    return Waterfall(_chart(run, lanes, unit, start, end), left_out)


def end_of(run: Run) -> int | None:
    """When the run ended, or what was last heard of it."""
    return run.closed_at if run.is_closed else run.last_event_at


def _chart(run: Run, lanes: Sequence[_Lane], unit: TimeUnit, start: int, end: int) -> Chart:
    names = [f"{_CRITICAL if lane.is_critical else ''}{lane.name}" for lane in lanes]
    placed = [replace(bar, lane=number) for number, lane in enumerate(lanes) for bar in lane.bars]
    traces: list[dict[str, Any]] = bars(placed, unit)
    marks = _messages(run, start)
    if marks:
        names.append("messages")
        traces.append(_marks(marks[:_MARKS], len(names) - 1, unit))
    rows = -(-len(traces) // 4)
    height = 74 + 24 * rows + _LANE_HEIGHT * len(names)
    title = f"{unit.name} since the start"
    told = (
        f"Waterfall of {counted(len(run.steps), 'step')} over {duration(end - start)}, "
        f"{counted(len(names), 'lane')}; {_CRITICAL.strip()} marks the critical path."
    )
    total = (end - start) / unit.nanoseconds
    return Chart(
        "waterfall",
        traces,
        layout(
            height,
            barmode="overlay",
            showlegend=True,
            meta={"rows": rows},
            uniformtext={"mode": "hide", "minsize": 9},
            xaxis=axis(title, range=[-0.005 * total, 1.01 * total], showgrid=True),
            yaxis=lanes_axis(names),
        ),
        told,
    )


def _messages(run: Run, start: int) -> list[tuple[int, str]]:
    found = [(s.at - start, f"signal {s.name}\nfrom {s.identity or '?'}") for s in run.signals]
    for update in run.updates:
        at = update.admitted_at or update.accepted_at
        if at is not None:
            outcome = update.outcome or "open"
            found.append((at - start, f"update {update.name}: {outcome}"))
    for step in run.steps:
        if step.kind in _INSTANT:
            kind = step.kind.replace("_", " ")
            found.append((step.scheduled_at - start, f"{kind} {step.name}"))
    return sorted(found)


def _marks(marks: Sequence[tuple[int, str]], lane: int, unit: TimeUnit) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "message",
        "x": [at / unit.nanoseconds for at, _ in marks],
        "y": [lane] * len(marks),
        "marker": {"symbol": "triangle-down", "size": 11, "color": "#9b6bb3"},
        "hovertext": [
            f"{plotly_text(text, limit=400, multiline=True)}<br>after {duration(at)}"
            for at, text in marks
        ],
        "hoverinfo": "text",
    }


def _lanes(facts: RunFacts, critical: CriticalPath, start: int, end: int) -> list[_Lane]:
    found: list[tuple[int, _Lane]] = []
    for step in facts.run.steps:
        if step.kind in _INSTANT:
            continue
        drawn = [_since(bar, start, end) for bar in _step_bars(facts, step, end)]
        lane = _Lane(_name(step), _name(step), step.seq in critical.steps, drawn)
        found.append((step.scheduled_at, lane))
    for wait in facts.run.waits:
        name = f"wait · {wait.label or 'a message'}"
        drawn = [_since(_wait_bar(wait, end), start, end)]
        found.append((wait.opened_at, _Lane(name, name, wait.occurrence in critical.waits, drawn)))
    return [lane for _, lane in sorted(found, key=lambda each: each[0])]


def _since(bar: Bar, start: int, end: int) -> Bar:
    """On the axis, which begins with the run; clocks of workers may be ahead of the server's."""
    left, right = max(bar.start, start), min(max(bar.end, bar.start), end)
    return replace(bar, start=left - start, end=max(right, left) - start)


def _name(step: Step) -> str:
    match step.kind:
        case StepKind.TIMER:
            return f"timer · {step.name}"
        case StepKind.CHILD_WORKFLOW:
            return f"child · {step.name}"
        case StepKind.NEXUS_OPERATION:
            return f"nexus · {step.name}"
        case StepKind.LOCAL_ACTIVITY:
            return f"local · {step.name}"
        case _:
            return step.name


def _step_bars(facts: RunFacts, step: Step, end: int) -> Iterator[Bar]:
    closed = step.closed_at or end
    if step.kind in _EXECUTING:
        yield from _attempt_bars(facts, step, closed)
        return
    look = "timer" if step.kind is StepKind.TIMER else "child"
    outcome = (step.outcome or "open").replace("_", " ")
    text = _told(
        step, f"{outcome} after {duration(elapsed_ns(step.scheduled_at, closed))}", step.failure
    )
    yield Bar(0, look, step.scheduled_at, closed, text)


def _attempt_bars(facts: RunFacts, step: Step, closed: int) -> Iterator[Bar]:
    attempts, is_watched = facts.attempts_of(step)
    timed = [attempt for attempt in attempts if attempt.started_at is not None]
    at = step.scheduled_at
    for index, attempt in enumerate(timed):
        started = attempt.started_at or at
        ended = attempt.ended_at or closed
        gap = "backoff" if index else "queue"
        if not is_watched and attempt.number > 1:
            gap = "retries"
        if started > at:
            text = _told(step, f"{_GAPS[gap]} {duration(started - at)}", None)
            yield Bar(0, gap, at, started, text)
        yield _attempt_bar(facts, step, attempt, started, ended)
        at = max(at, ended)
    if step.is_open and at < closed and not any(each.ended_at is None for each in timed):
        gap = "retries" if step.attempt_count else "queue"
        text = _told(step, f"{_GAPS[gap]} {duration(closed - at)}, not over yet", None)
        yield Bar(0, gap, at, closed, text)
    elif not timed and at < closed:
        look = _outcome_look(step.outcome)
        yield Bar(0, look, at, closed, _told(step, f"took {duration(closed - at)}", step.failure))


_GAPS: Final = {
    "backoff": "backoff of",
    "queue": "in queue for",
    "retries": "earlier attempts and backoff took",
}


def _attempt_bar(facts: RunFacts, step: Step, attempt: Attempt, started: int, ended: int) -> Bar:
    outcome = attempt.outcome or ("open" if step.is_open else step.outcome)
    words = (outcome or "open").replace("_", " ")
    text = _told(
        step,
        f"attempt {attempt.number} {words} after {duration(ended - started)}",
        attempt.failure,
        *_cost(facts, step),
    )
    mark = str(attempt.number) if step.attempt_count > 1 else ""
    return Bar(0, _outcome_look(outcome), started, ended, text, mark)


def _outcome_look(outcome: str | None) -> str:
    return outcome if outcome in ("completed", "failed", "timed_out", "canceled") else "open"


def _cost(facts: RunFacts, step: Step) -> Iterator[str]:
    calls = step_calls(facts, step)
    if calls is not None:
        yield f"{calls.model or 'model call'}: {money(calls.cost_usd)}"


def _told(step: Step, what: str, failure: Failure | None, *more: str) -> str:
    lines = [f"{step.seq} · {_name(step)}", what, *more]
    if step.summary and step.summary != step.name:
        lines.append(step.summary)
    if failure is not None:
        root = failure.root
        lines.append(f"{root.type or root.kind}: {root.message}")
    return "\n".join(lines)


def _wait_bar(wait: Wait, end: int) -> Bar:
    closed = wait.closed_at or end
    by = "still waiting" if wait.closed_at is None else f"ended by {wait.woken_by}"
    who = f"\n{wait.woken_by_identity}" if wait.woken_by_identity else ""
    text = (
        f"waited {duration(closed - wait.opened_at)} for {wait.label or 'a message'}\n"
        f"{by} {wait.woken_by_name}{who}"
    )
    return Bar(0, "human" if wait.is_human else "wait", wait.opened_at, closed, text)


def _by_name(lanes: Sequence[_Lane], pixel: int) -> tuple[list[_Lane], str]:
    """One lane for each name, those that took longest; and what that hides."""
    groups: defaultdict[str, list[_Lane]] = defaultdict(list)
    for lane in lanes:
        groups[lane.group].append(lane)
    chosen = sorted(groups.values(), key=_time_of, reverse=True)[:_NAMES]
    shown = sum(map(len, chosen))
    kept = {id(group) for group in chosen}
    merged = [_merged(group, pixel) for group in groups.values() if id(group) in kept]
    told = (
        f"{len(lanes):,} steps and waits in "
        f"{counted(len(merged), 'lane')}, one for each name; what lies closer than "
        f"{duration(pixel)} is one bar."
    )
    if len(lanes) > shown:
        told += (
            f" Left out: {len(lanes) - shown:,} of them, with {len(groups) - len(merged):,} other "
            "names, which took the least time."
        )
    return merged, told


def _time_of(group: Iterable[_Lane]) -> int:
    return sum(bar.end - bar.start for lane in group for bar in lane.bars)


def _merged(group: Sequence[_Lane], pixel: int) -> _Lane:
    found: list[Bar] = []
    by_look: defaultdict[str, list[Bar]] = defaultdict(list)
    for lane in group:
        for bar in lane.bars:
            by_look[bar.look].append(bar)
    for look, drawn in by_look.items():
        found.extend(_joined(look, sorted(drawn, key=lambda bar: bar.start), pixel))
    is_critical = any(lane.is_critical for lane in group)
    return _Lane(f"{group[0].group} ×{len(group):,}", group[0].group, is_critical, found)


def _joined(look: str, drawn: Sequence[Bar], pixel: int) -> Iterator[Bar]:
    first, end, count = drawn[0], drawn[0].end, 1
    for bar in drawn[1:]:
        if bar.start - end <= pixel:
            end, count = max(end, bar.end), count + 1
            continue
        yield _stretched(first, end, count)
        first, end, count = bar, bar.end, 1
    yield _stretched(first, end, count)


def _stretched(bar: Bar, end: int, count: int) -> Bar:
    if count == 1:
        return bar
    name = bar.text.partition("\n")[0]
    return replace(bar, end=end, text=f"{count:,} bars, the first of them:\n{name}", mark="")
