"""What the viewer chose: the variables on top of a dashboard, and how queries follow them.

Both query languages get their conditions here, so that a graph and the traces behind it always
speak of the same runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards import traceql
from dashboards.promql import Matcher, any_of, label_name, matches
from tracer import names
from tracer.model.words import Outcome
from tracer.names import Attribute, Metric, SpanKind

__all__ = [
    "FAILED",
    "HUMAN",
    "METRICS",
    "TRACES",
    "chosen",
    "chosen_spans",
    "explore",
    "variables",
]

_METRICS_VARIABLE: Final = "datasource"
_TRACES_VARIABLE: Final = "traces"
_NAMESPACE_VARIABLE: Final = "namespace"
_TYPE_VARIABLE: Final = "workflow_type"

METRICS: Final = DataSourceRef(type_val="prometheus", uid=f"${{{_METRICS_VARIABLE}}}")
"""The Prometheus data source that the viewer chose; Temporal's own dashboards use its name too."""

TRACES: Final = DataSourceRef(type_val="tempo", uid=f"${{{_TRACES_VARIABLE}}}")
"""The Tempo data source that the viewer chose."""

FAILED: Final = any_of(Attribute.OUTCOME, Outcome.FAILED, Outcome.TIMED_OUT)
"""Steps and attempts that went wrong; what was cancelled ended on purpose."""

HUMAN: Final = any_of(Attribute.IS_HUMAN_WAIT, "true")
"""Waits for a person. Labels are texts in Prometheus."""

_CHOSEN: Final = {
    Attribute.NAMESPACE: _NAMESPACE_VARIABLE,
    Attribute.WORKFLOW_TYPE: _TYPE_VARIABLE,
}


def chosen(metric: Metric, *more: Matcher) -> list[Matcher]:
    """What the viewer chose, as far as the metric has the labels, and more conditions."""
    matchers = [
        matches(attribute, variable)
        for attribute, variable in _CHOSEN.items()
        if attribute in metric.attributes
    ]
    return [*matchers, *more]


def chosen_spans(
    kind: SpanKind | None,
    *conditions: str,
    errors_only: bool = False,
    select: Sequence[Attribute] = (),
) -> str:
    """A TraceQL search within what the viewer chose."""
    # In `pipe` format several chosen values become one pattern, in panels and in links alike.
    within = (
        traceql.matches(attribute, f"${{{variable}:pipe}}")
        for attribute, variable in _CHOSEN.items()
    )
    return traceql.spans(kind, *within, *conditions, errors_only=errors_only, select=select)


def explore(
    kind: SpanKind | None, *, errors_only: bool = False, cell: Attribute | None = None
) -> str:
    """The URL of such a search in Explore.

    Args:
        kind: Which spans; None for every kind.
        errors_only: Only those with status ERROR.
        cell: The attribute that must equal the cell of the table in which the link stands.
    """
    clicked = [traceql.equals(cell, "${__value.raw}")] if cell else []
    search = chosen_spans(kind, *clicked, errors_only=errors_only)
    return traceql.explore_url(search, datasource=f"${{{_TRACES_VARIABLE}}}")


def variables() -> list[dashboard.QueryVariable | dashboard.DatasourceVariable]:
    """The variables, in the order in which each may use the ones before it."""
    namespace = label_name(names.RUNS, Attribute.NAMESPACE)
    return [
        dashboard.DatasourceVariable(_METRICS_VARIABLE).label("Metrics").type("prometheus"),
        dashboard.DatasourceVariable(_TRACES_VARIABLE).label("Traces").type("tempo"),
        _label_values(_NAMESPACE_VARIABLE, "Namespace", Attribute.NAMESPACE),
        _label_values(
            _TYPE_VARIABLE,
            "Workflow type",
            Attribute.WORKFLOW_TYPE,
            within=f', {namespace}=~"${_NAMESPACE_VARIABLE}"',
        ),
    ]


def _label_values(
    name: str, label: str, attribute: Attribute, *, within: str = ""
) -> dashboard.QueryVariable:
    # Over all metrics: a namespace whose first run still goes on has steps and no ended run.
    series = f'{{__name__=~"{names.TRACER_NAME}_.+"{within}}}'
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(METRICS)
        .query(f"label_values({series}, {label_name(names.RUNS, attribute)})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
