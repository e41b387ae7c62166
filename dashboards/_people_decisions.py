"""Decisions and people, first rows: which way workflow code goes, and whether that changed."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import HALF, Column, Key, Line, graph, grid
from dashboards.promql import (
    Matcher,
    earlier,
    label_name,
    legend,
    per_minute,
    portion,
    total,
)
from dashboards.selection import chosen, explore
from tracer import names
from tracer.names import Attribute, SpanKind

__all__ = ["NAMED", "decision_panels", "drift_panels"]

NAMED: Final = Matcher(Attribute.DECISION_NAME, "=~", ".+")
"""Decisions that the code names with `tracer.decision`."""

_PLACE: Final = (Attribute.CODE_FUNCTION, Attribute.CODE_LINE, Attribute.DECISION_NAME)


def decision_panels() -> list[Builder[Panel]]:
    """Outcomes over time."""
    metric = names.BRANCHES
    outcome, named = Attribute.BRANCH_OUTCOME, Attribute.DECISION_NAME
    by_kind = Attribute.BRANCH_KIND
    return [
        graph(
            "Named decisions by outcome",
            "Decisions that the code names with tracer.decision, per minute.",
            [
                Line(
                    per_minute(metric, by=(named, outcome), where=chosen(metric, NAMED)),
                    f"{legend(metric, named)}: {legend(metric, outcome)}",
                )
            ],
            unit="cpm",
            width=HALF,
            stacked=True,
        ),
        graph(
            "Branches by kind and outcome",
            "All decisions of workflow code, per minute: if, while, match, and, or, except.",
            [
                Line(
                    per_minute(metric, by=(by_kind, outcome), where=chosen(metric)),
                    f"{legend(metric, by_kind)}: {legend(metric, outcome)}",
                )
            ],
            unit="cpm",
            width=HALF,
            stacked=True,
        ),
    ]


def drift_panels() -> list[Builder[Panel]]:
    """The time range against the one before it."""
    metric, outcome = names.BRANCHES, Attribute.BRANCH_OUTCOME
    where = chosen(metric)
    taken = total(metric, by=(*_PLACE, outcome), where=where)
    now = portion(metric, taken, total(metric, by=_PLACE, where=where), within=_PLACE)
    before = portion(
        metric,
        earlier(metric, by=(*_PLACE, outcome), where=where),
        earlier(metric, by=_PLACE, where=where),
        within=_PLACE,
    )
    headings = {
        Attribute.CODE_LINE: "Line",
        Attribute.DECISION_NAME: "Decision",
        outcome: "Outcome",
    }
    function = Attribute.CODE_FUNCTION
    return [
        grid(
            "Drift of decisions",
            "How often each place came to each outcome, now and in a time range as long just"
            " before. A shift without a deploy means that the data, or a model, has changed.",
            [
                Key(
                    label_name(metric, function),
                    "Function",
                    explore(SpanKind.BRANCH, cell=function),
                ),
                *(Key(label_name(metric, key), heading) for key, heading in headings.items()),
            ],
            [
                Column("Taken", taken, "short"),
                Column("Share now", now, "percentunit"),
                Column("Share before", before, "percentunit"),
                Column("Shift", f"({now}) - ({before})", "percentunit"),
            ],
        )
    ]
