"""Where a run's time went: what its duration hangs on, and the parts that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from analytics.critical_path import CriticalPath
from analytics.figures import counted, duration, seconds
from analytics.reports.charts import TIME_PARTS, axis, rows, rows_layout, series_look
from analytics.reports.run_facts import RunFacts
from analytics.reports.waterfall import end_of
from analytics.reports.words import Chart, Column, Section, Table
from tracer.model import Run

__all__ = ["path_section", "time_section"]

_STOPS: Final = 100


@dataclass(frozen=True, slots=True)
class _Stop:
    """Something on the critical path."""

    name: str
    start: int
    end: int
    gap: int
    what: str


def path_section(run: Run, critical: CriticalPath) -> Section:
    """The critical path, stop by stop."""
    stops = [
        _Stop(step.name, step.scheduled_at, step.closed_at or 0, critical.steps[step.seq], "step")
        for step in run.steps
        if step.seq in critical.steps
    ] + [
        _Stop(
            wait.label or "a message",
            wait.opened_at,
            wait.closed_at or 0,
            critical.waits[wait.occurrence],
            "wait",
        )
        for wait in run.waits
        if wait.occurrence in critical.waits
    ]
    end = end_of(run)
    if not stops or run.started_at is None or end is None:
        return Section("path", "Critical path", empty="No step ended yet, so there is no path.")
    total = max(end - run.started_at, 1)
    ordered = sorted(stops, key=lambda stop: stop.start)
    longest = sorted(ordered, key=lambda stop: stop.end - stop.start, reverse=True)[:_STOPS]
    shown = sorted(longest, key=lambda stop: stop.start)
    held = sum(stop.end - stop.start for stop in stops)
    lead = (
        f"To end sooner, the run needs these to be faster: {counted(len(stops), 'step or wait')} "
        f"that took {duration(held)} of its {duration(total)}. What ran beside them did not "
        "hold it up."
    ).replace("step or waits", "steps and waits")
    table = Table(
        (
            Column("held up by"),
            Column("is a"),
            Column("from", right=True),
            Column("for", right=True),
            Column("of the run", right=True),
            Column("gap before", right=True),
        ),
        [
            (
                stop.name,
                stop.what,
                f"+{duration(stop.start - run.started_at)}",
                duration(stop.end - stop.start),
                f"{(stop.end - stop.start) / total:.1%}",
                duration(stop.gap),
            )
            for stop in shown
        ],
        total=len(stops),
        which="the longest",
    )
    return Section("path", "Critical path", lead, tables=[table])


def time_section(facts: RunFacts) -> Section | None:
    """The parts of a run's duration; `None` where only its history is known."""
    parts = [(name, value) for name, value in facts.time_parts.items() if value > 0]
    if not parts:
        return None
    total = sum(value for _, value in parts)
    names = [_part_name(name) for name, _ in parts]
    values = [value for _, value in parts]
    texts = [f"{seconds(value)} ({value / total:.0%})" for value in values]
    chart = Chart(
        "time",
        [rows(names, values, texts, series_look(0, "time"))],
        rows_layout(names, axis("seconds", range=[0, 1.35 * max(values)])),
        f"Where the {seconds(total)} of the run went.",
    )
    table = Table(
        (Column("part"), Column("time", right=True), Column("share", right=True)),
        [
            (name, seconds(value), f"{value / total:.1%}")
            for name, value in zip(names, values, strict=True)
        ],
    )
    lead = "The parts add up to the duration: each instant counts once."
    return Section("time", "Where the time went", lead, [chart], [table], is_paired=True)


def _part_name(name: str) -> str:
    look = TIME_PARTS.get(name)
    return name.replace("_", " ") if look is None else look.label
