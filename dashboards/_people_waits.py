"""Decisions and people, the other rows: who is waited for, for how long, and is it too long."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards._people_decisions import NAMED
from dashboards.panels import HALF, THIRD, Column, Key, Line, figure, graph, grid, trace_search
from dashboards.promql import (
    RANGE_WINDOW,
    at_most,
    highest,
    label_name,
    legend,
    per_minute,
    present,
    quantile,
    share,
    total,
)
from dashboards.promql import Key as Label
from dashboards.selection import HUMAN, chosen, chosen_spans, explore
from dashboards.traceql import equals, exists
from tracer import names
from tracer.names import Attribute, SpanKind

__all__ = ["figures", "open_panels", "trace_panels", "wait_panels"]

_SLA: Final = "$sla"


def figures() -> list[Builder[Panel]]:
    """Six figures, side by side."""
    branches, waits = names.BRANCHES, names.WAIT_DURATION
    human = chosen(waits, HUMAN)
    return [
        figure(
            "Decisions",
            "Decisions that workflow code took in the time range.",
            total(branches, where=chosen(branches)),
            unit="short",
        ),
        figure(
            "Named decisions",
            "Those among them that the code names with tracer.decision.",
            total(branches, where=chosen(branches, NAMED)),
            unit="short",
        ),
        figure(
            "Waiting now",
            "Runs that stand still now, as far as they are in a worker's cache: for a person, a"
            " message or a timer.",
            present(names.OPEN_WAITS, where=chosen(names.OPEN_WAITS)),
            unit="short",
        ),
        figure(
            "Longest wait now",
            "How long the one of them that has stood still longest does so.",
            highest(names.OPEN_WAIT_AGE, where=chosen(names.OPEN_WAIT_AGE)),
            unit="s",
        ),
        figure(
            "Human wait p95",
            "19 of 20 waits that a person ended in the time range were shorter than this.",
            quantile(0.95, waits, where=human, window=RANGE_WINDOW),
            unit="s",
        ),
        figure(
            "Over SLA",
            "Share of the waits that a person ended which took longer than the SLA on top.",
            _over_sla(()),
            unit="percentunit",
            steps=((None, "green"), (0.01, "orange"), (0.1, "red")),
            link=("Open human waits", explore(SpanKind.WAIT)),
        ),
    ]


def open_panels() -> list[Builder[Panel]]:
    """Waits that go on."""
    by = Attribute.WORKFLOW_TYPE
    count, age = names.OPEN_WAITS, names.OPEN_WAIT_AGE
    return [
        graph(
            "Waiting now by workflow type",
            "Runs in a worker's cache that stand still. One that left the cache, or whose worker"
            " stopped, is missing here; *Warehouse* has them all.",
            [Line(present(count, by=(by,), where=chosen(count)), legend(count, by))],
            unit="short",
            width=HALF,
            stacked=True,
        ),
        graph(
            "Longest wait now by workflow type",
            "How long the run of a type that has stood still longest does so. A line that climbs"
            " without end is an approval that nobody gives.",
            [Line(highest(age, by=(by,), where=chosen(age)), legend(age, by))],
            unit="s",
            width=HALF,
        ),
    ]


def wait_panels() -> list[Builder[Panel]]:
    """Waits that ended."""
    metric, by = names.WAIT_DURATION, Attribute.WOKEN_BY
    return [
        graph(
            "Waits by what ended them",
            "Per minute. Where an approval has a time limit, `timer` is one that nobody gave.",
            [Line(per_minute(metric, by=(by,), where=chosen(metric)), legend(metric, by))],
            unit="cpm",
            width=THIRD,
            stacked=True,
        ),
        graph(
            "Human wait",
            "How long people took, of the waits that ended.",
            [
                Line(quantile(q, metric, where=chosen(metric, HUMAN)), f"p{q * 100:.0f}")
                for q in (0.5, 0.95)
            ],
            unit="s",
            width=THIRD,
        ),
        graph(
            "Human wait p95 by workflow type",
            "How long people took, by what they were asked for.",
            [
                Line(
                    quantile(
                        0.95,
                        metric,
                        by=(Attribute.WORKFLOW_TYPE,),
                        where=chosen(metric, HUMAN),
                    ),
                    legend(metric, Attribute.WORKFLOW_TYPE),
                )
            ],
            unit="s",
            width=THIRD,
        ),
        _approvals(),
    ]


def trace_panels() -> list[Builder[Panel]]:
    """The newest decisions and waits."""
    return [
        trace_search(
            "Named decisions",
            "The newest decisions that the code names, with the reasons it gave.",
            chosen_spans(
                SpanKind.BRANCH,
                exists(Attribute.DECISION_NAME),
                select=(
                    Attribute.WORKFLOW_ID,
                    Attribute.DECISION_NAME,
                    Attribute.BRANCH_OUTCOME,
                    Attribute.DECISION_WHY,
                ),
            ),
        ),
        trace_search(
            "Human waits",
            "The newest waits that a person ended, and who it was.",
            chosen_spans(
                SpanKind.WAIT,
                equals(Attribute.IS_HUMAN_WAIT, True),
                select=(
                    Attribute.WORKFLOW_ID,
                    Attribute.WAIT_LABEL,
                    Attribute.WOKEN_BY,
                    Attribute.IDENTITY,
                ),
            ),
        ),
    ]


def _approvals() -> Builder[Panel]:
    metric, by = names.WAIT_DURATION, (Attribute.WORKFLOW_TYPE, Attribute.WOKEN_BY)
    where = chosen(metric)
    waits = total(metric, by=by, where=where)
    human = total(metric, by=by, where=chosen(metric, HUMAN))
    quantiles = {
        q: quantile(q, metric, by=by, where=where, window=RANGE_WINDOW) for q in (0.5, 0.95)
    }
    return grid(
        "Waits",
        "Waits that ended in the time range, by workflow type and what ended them.",
        [
            Key(
                label_name(metric, Attribute.WORKFLOW_TYPE),
                "Workflow type",
                explore(SpanKind.WAIT, cell=Attribute.WORKFLOW_TYPE),
            ),
            Key(label_name(metric, Attribute.WOKEN_BY), "Ended by"),
        ],
        [
            Column("Waits", waits, "short"),
            Column("By a person", share(human, waits), "percentunit"),
            *(Column(f"p{q * 100:.0f}", promql, "s") for q, promql in quantiles.items()),
            Column("Over SLA", _over_sla(by, human_only=False), "percentunit"),
        ],
    )


def _over_sla(by: tuple[Label, ...] = (), *, human_only: bool = True) -> str:
    metric = names.WAIT_DURATION
    where = chosen(metric, HUMAN) if human_only else chosen(metric)
    kept = share(at_most(metric, _SLA, by=by, where=where), total(metric, by=by, where=where))
    return f"clamp_min(1 - {kept}, 0)"
