"""Fleet, first rows: the figures at a glance, and runs by type, outcome and duration."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import STATUS_COLORS, THIRD, Column, Key, Line, figure, graph, grid
from dashboards.promql import (
    RANGE_WINDOW,
    any_of,
    label_name,
    legend,
    none_of,
    per_minute,
    quantile,
    share,
    total,
)
from dashboards.selection import FAILED, HUMAN, chosen, explore
from tracer import names
from tracer.model.words import RunStatus
from tracer.names import Attribute, SpanKind

__all__ = ["figures", "panels"]

_FAILED_RUN: Final = any_of(Attribute.WORKFLOW_STATUS, RunStatus.FAILED, RunStatus.TIMED_OUT)
_ENDED: Final = none_of(Attribute.WORKFLOW_STATUS, RunStatus.CONTINUED_AS_NEW)


def figures() -> list[Builder[Panel]]:
    """Six figures over the whole time range, side by side."""
    return [
        _ended_runs(),
        _failed_runs(),
        _run_duration_p95(),
        _failed_attempts(),
        _human_wait_p95(),
        _tracer_losses(),
    ]


def panels() -> list[Builder[Panel]]:
    """Rate, errors and duration of runs."""
    return [_workflow_types(), _runs_by_outcome(), _failed_runs_by_type(), _run_duration()]


def _ended_runs() -> Builder[Panel]:
    return figure(
        "Runs ended",
        "Runs that ended in the time range, whatever the outcome. A run that continued as a new "
        "one has not ended.",
        total(names.RUNS, where=chosen(names.RUNS, _ENDED)),
        unit="short",
    )


def _failed_runs() -> Builder[Panel]:
    return figure(
        "Failed runs",
        "Share of the runs that ended which failed or timed out. Cancelled and terminated runs "
        "were ended on purpose and do not count as failed.",
        share(
            total(names.RUNS, where=chosen(names.RUNS, _FAILED_RUN)),
            total(names.RUNS, where=chosen(names.RUNS, _ENDED)),
        ),
        unit="percentunit",
        steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
        link=("Open failed runs", explore(SpanKind.WORKFLOW, errors_only=True)),
    )


def _run_duration_p95() -> Builder[Panel]:
    metric = names.RUN_DURATION
    return figure(
        "Run duration p95",
        "19 of 20 runs ended faster than this; waits for people are included.",
        quantile(0.95, metric, where=chosen(metric, _ENDED), window=RANGE_WINDOW),
        unit="s",
    )


def _failed_attempts() -> Builder[Panel]:
    metric = names.ATTEMPT_COUNT
    return figure(
        "Failed attempts",
        "Share of activity attempts that failed or timed out. Retries hide them from the outcome "
        "of runs, not from the bill.",
        share(
            total(metric, where=chosen(metric, FAILED)),
            total(metric, where=chosen(metric)),
        ),
        unit="percentunit",
        steps=((None, "green"), (0.05, "orange"), (0.2, "red")),
        link=("Open failed attempts", explore(SpanKind.ATTEMPT, errors_only=True)),
    )


def _human_wait_p95() -> Builder[Panel]:
    metric = names.WAIT_DURATION
    return figure(
        "Human wait p95",
        "19 of 20 waits that an approval ended were shorter than this.",
        quantile(0.95, metric, where=chosen(metric, HUMAN), window=RANGE_WINDOW),
        unit="s",
    )


def _tracer_losses() -> Builder[Panel]:
    losses = (
        f"({total(metric, where=())} or vector(0))"
        for metric in (names.DROPPED_SPANS, names.LOST_SPANS, names.TRACER_ERRORS)
    )
    return figure(
        "Tracer losses",
        "Spans dropped or lost and errors of the tracer itself. Above zero, traces have gaps; "
        "workflows are unaffected. Not filtered by namespace or workflow type.",
        " + ".join(losses),
        unit="short",
        steps=((None, "green"), (1, "red")),
    )


def _workflow_types() -> Builder[Panel]:
    by = (Attribute.WORKFLOW_TYPE,)
    ended = total(names.RUNS, by=by, where=chosen(names.RUNS, _ENDED))
    failed = total(names.RUNS, by=by, where=chosen(names.RUNS, _FAILED_RUN))
    durations = chosen(names.RUN_DURATION, _ENDED)
    failed_of_type = explore(SpanKind.WORKFLOW, errors_only=True, cell=Attribute.WORKFLOW_TYPE)
    quantiles = {
        q: quantile(q, names.RUN_DURATION, by=by, where=durations, window=RANGE_WINDOW)
        for q in (0.5, 0.95, 0.99)
    }
    return grid(
        "Workflow types",
        "Rate, errors and duration of each workflow type over the time range. A click on a type "
        "opens its failed runs.",
        [Key(label_name(names.RUNS, Attribute.WORKFLOW_TYPE), "Workflow type", failed_of_type)],
        [
            Column("Ended", ended, "short"),
            Column("Failed", share(failed, ended), "percentunit"),
            *(Column(f"p{q * 100:.0f}", promql, "s") for q, promql in quantiles.items()),
        ],
    )


def _runs_by_outcome() -> Builder[Panel]:
    status = Attribute.WORKFLOW_STATUS
    promql = per_minute(names.RUNS, by=(status,), where=chosen(names.RUNS))
    return graph(
        "Runs by outcome",
        "Runs that ended, per minute.",
        [Line(promql, legend(names.RUNS, status))],
        unit="cpm",
        width=THIRD,
        stacked=True,
        colors=STATUS_COLORS,
    )


def _failed_runs_by_type() -> Builder[Panel]:
    by = Attribute.WORKFLOW_TYPE
    promql = per_minute(names.RUNS, by=(by,), where=chosen(names.RUNS, _FAILED_RUN))
    return graph(
        "Failed runs by type",
        "Runs that failed or timed out, per minute.",
        [Line(promql, legend(names.RUNS, by))],
        unit="cpm",
        width=THIRD,
        stacked=True,
    )


def _run_duration() -> Builder[Panel]:
    metric = names.RUN_DURATION
    return graph(
        "Run duration",
        "From start to end of the runs that ended, waits included. A point needs a run that ended "
        "in its window.",
        [
            Line(quantile(q, metric, where=chosen(metric, _ENDED)), f"p{q * 100:.0f}")
            for q in (0.5, 0.95, 0.99)
        ],
        unit="s",
        width=THIRD,
    )
