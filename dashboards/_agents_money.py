"""Agents and cost, first rows: what was spent, on what, and how much of it is known."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.panels import HALF, Column, Key, Line, figure, graph, grid
from dashboards.promql import Key as Label
from dashboards.promql import (
    Matcher,
    amount,
    any_of,
    label_name,
    legend,
    per_hour,
    share,
    total,
)
from dashboards.selection import chosen, explore
from tracer import names
from tracer.genai.reading import INFERENCE_OPERATIONS
from tracer.model.words import RunStatus
from tracer.names import Attribute, GenAI, SpanKind

__all__ = ["ANSWERED", "CALLS", "FAILED_CALLS", "figures", "money_panels", "tenant_panels"]

CALLS: Final = any_of(GenAI.OPERATION, *sorted(INFERENCE_OPERATIONS))
"""Requests to a model: neither agents, which repeat the usage of their calls, nor tools."""
FAILED_CALLS: Final = Matcher(Attribute.ERROR_TYPE, "=~", ".+")
ANSWERED: Final = Matcher(Attribute.ERROR_TYPE, "!~", ".+")

_COMPLETED: Final = any_of(Attribute.WORKFLOW_STATUS, RunStatus.COMPLETED)
_DAY: Final = "1d"


def figures() -> list[Builder[Panel]]:
    """Six figures over the whole time range, side by side."""
    calls = chosen(names.MODEL_CALL_DURATION, CALLS)
    return [
        figure(
            "Cost",
            "US dollars of the model calls in the time range whose price is known, at the price of"
            " their day.",
            amount(names.COST, where=chosen(names.COST)),
            unit="currencyUSD",
        ),
        _budget(),
        figure(
            "Model calls",
            "Requests to models in the time range, each try counted. Not filtered by namespace or"
            " workflow type.",
            total(names.MODEL_CALL_DURATION, where=calls),
            unit="short",
        ),
        figure(
            "Failed calls",
            "Share of them that ended in an error: rate limits, timeouts, answers that could not"
            " be read.",
            share(
                total(
                    names.MODEL_CALL_DURATION,
                    where=chosen(names.MODEL_CALL_DURATION, CALLS, FAILED_CALLS),
                ),
                total(names.MODEL_CALL_DURATION, where=calls),
            ),
            unit="percentunit",
            steps=((None, "green"), (0.05, "orange"), (0.2, "red")),
            link=("Open failed attempts", explore(SpanKind.ATTEMPT, errors_only=True)),
        ),
        _unpriced(),
        figure(
            "Tokens",
            "Input and output tokens in the time range. Not filtered by namespace or workflow"
            " type.",
            amount(names.TOKENS, where=chosen(names.TOKENS, CALLS)),
            unit="short",
        ),
    ]


def money_panels() -> list[Builder[Panel]]:
    """Where the money goes."""
    return [
        _cost_by(Attribute.WORKFLOW_TYPE, "workflow type"),
        _cost_by(GenAI.REQUEST_MODEL, "model"),
        _workflow_types(),
    ]


def tenant_panels() -> list[Builder[Panel]]:
    """Who is worth how much."""
    metric, tenant = names.COST, Attribute.TENANT
    return [
        graph(
            "Cost per hour by tenant",
            "US dollars an hour. One nameless line unless the tracer is told to put tenants on"
            " metrics: `TenantSource(…, metric_label=True)`.",
            [Line(per_hour(metric, by=(tenant,), where=chosen(metric)), legend(metric, tenant))],
            unit="currencyUSD",
            width=HALF,
            stacked=True,
        ),
        grid(
            "Tenants",
            "Cost and priced model calls of each tenant over the time range.",
            [Key(label_name(metric, tenant), "Tenant")],
            [
                Column("Cost", amount(metric, by=(tenant,), where=chosen(metric)), "currencyUSD"),
                Column("Priced calls", total(metric, by=(tenant,), where=chosen(metric)), "short"),
            ],
            width=HALF,
        ),
    ]


def _budget() -> Builder[Panel]:
    spent = amount(names.COST, where=chosen(names.COST), window=_DAY)
    return figure(
        "Budget used",
        "Cost of the last 24 hours as a share of the daily budget that is set on top, whatever"
        " the time range.",
        f"({spent}) / $budget",
        unit="percentunit",
        steps=((None, "green"), (0.8, "orange"), (1, "red")),
    )


def _unpriced() -> Builder[Panel]:
    answered = total(
        names.MODEL_CALL_DURATION, where=chosen(names.MODEL_CALL_DURATION, CALLS, ANSWERED)
    )
    # By model alone: calls have no workflow type to choose by.
    priced = total(names.COST, where=[m for m in chosen(names.COST) if m.attribute in GenAI])
    return figure(
        "Unpriced calls",
        "Share of the answered calls without a known price: the cost above is too low by them. Not"
        " filtered by namespace or workflow type.",
        f"clamp_min(1 - {share(priced, answered)}, 0)",
        unit="percentunit",
        steps=((None, "green"), (0.01, "orange"), (0.1, "red")),
    )


def _cost_by(by: Label, what: str) -> Builder[Panel]:
    return graph(
        f"Cost per hour by {what}",
        "US dollars an hour, of the model calls whose price is known.",
        [Line(per_hour(names.COST, by=(by,), where=chosen(names.COST)), legend(names.COST, by))],
        unit="currencyUSD",
        width=HALF,
        stacked=True,
    )


def _workflow_types() -> Builder[Panel]:
    by = (Attribute.WORKFLOW_TYPE,)
    cost = amount(names.COST, by=by, where=chosen(names.COST))
    completed = total(names.RUNS, by=by, where=chosen(names.RUNS, _COMPLETED))
    calls = total(names.COST, by=by, where=chosen(names.COST))
    runs_of_type = explore(SpanKind.WORKFLOW, cell=Attribute.WORKFLOW_TYPE)
    return grid(
        "Cost by workflow type",
        "What each workflow type spent in the time range, and what one completed run costs: the"
        " money that failed runs took is in it.",
        [Key(label_name(names.COST, by[0]), "Workflow type", runs_of_type)],
        [
            Column("Cost", cost, "currencyUSD"),
            Column("Completed runs", completed, "short"),
            Column("Per completed run", f"({cost}) / ({completed})", "currencyUSD"),
            Column("Priced calls", calls, "short"),
            Column("Per call", f"({cost}) / ({calls})", "currencyUSD"),
        ],
    )
