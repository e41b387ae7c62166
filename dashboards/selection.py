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

from dashboards import temporal_metrics, traceql
from dashboards.promql import Key, Matcher, any_of, label_name, matches, metric_name
from dashboards.temporal_metrics import Label
from tracer import names
from tracer.model.words import Outcome
from tracer.names import Attribute, GenAI, Metric, SpanKind

__all__ = [
    "FAILED",
    "HUMAN",
    "METRICS",
    "TRACES",
    "Variable",
    "chosen",
    "chosen_spans",
    "data_sources",
    "explore",
    "explore_namespace",
    "in_namespace",
    "model_variable",
    "sla_variable",
    "task_queue_variable",
    "temporal_namespace_variable",
    "text_variable",
    "variables",
]

type Variable = (
    dashboard.QueryVariable
    | dashboard.DatasourceVariable
    | dashboard.TextBoxVariable
    | dashboard.CustomVariable
)

_METRICS_VARIABLE: Final = "datasource"
_TRACES_VARIABLE: Final = "traces"
_NAMESPACE_VARIABLE: Final = "namespace"
_TYPE_VARIABLE: Final = "workflow_type"
_QUEUE_VARIABLE: Final = "task_queue"
_MODEL_VARIABLE: Final = "model"
_SLA_VARIABLE: Final = "sla"

METRICS: Final = DataSourceRef(type_val="prometheus", uid=f"${{{_METRICS_VARIABLE}}}")
"""The Prometheus data source that the viewer chose; Temporal's own dashboards use its name too."""

TRACES: Final = DataSourceRef(type_val="tempo", uid=f"${{{_TRACES_VARIABLE}}}")
"""The Tempo data source that the viewer chose."""

FAILED: Final = any_of(Attribute.OUTCOME, Outcome.FAILED, Outcome.TIMED_OUT)
"""Steps and attempts that went wrong; what was cancelled ended on purpose."""

HUMAN: Final = any_of(Attribute.IS_HUMAN_WAIT, "true")
"""Waits for a person. Labels are texts in Prometheus."""

_OF_SPANS: Final[dict[Key, str]] = {
    Attribute.NAMESPACE: _NAMESPACE_VARIABLE,
    Attribute.WORKFLOW_TYPE: _TYPE_VARIABLE,
}
_CHOSEN: Final[dict[Key, str]] = {
    **_OF_SPANS,
    Label.NAMESPACE: _NAMESPACE_VARIABLE,
    Label.TASK_QUEUE: _QUEUE_VARIABLE,
    GenAI.REQUEST_MODEL: _MODEL_VARIABLE,
}


def chosen(metric: Metric, *more: Matcher) -> list[Matcher]:
    """What the viewer chose, as far as the metric has the labels, and more conditions."""
    matchers = [
        matches(attribute, variable)
        for attribute, variable in _CHOSEN.items()
        if attribute in metric.attributes
    ]
    return [*matchers, *more]


def in_namespace(metric: Metric, *more: Matcher) -> list[Matcher]:
    """The same where the dashboard chooses no workflow types."""
    return [
        matcher
        for matcher in chosen(metric, *more)
        if matcher.attribute is not Attribute.WORKFLOW_TYPE
    ]


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
        for attribute, variable in _OF_SPANS.items()
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


def explore_namespace(kind: SpanKind) -> str:
    """The URL of a search where the dashboard chooses no workflow types."""
    within = traceql.matches(Attribute.NAMESPACE, f"${{{_NAMESPACE_VARIABLE}:pipe}}")
    search = traceql.spans(kind, within)
    return traceql.explore_url(search, datasource=f"${{{_TRACES_VARIABLE}}}")


def data_sources() -> list[Variable]:
    """Where metrics and traces are."""
    return [
        dashboard.DatasourceVariable(_METRICS_VARIABLE).label("Metrics").type("prometheus"),
        dashboard.DatasourceVariable(_TRACES_VARIABLE).label("Traces").type("tempo"),
    ]


def variables() -> list[Variable]:
    """The variables, in the order in which each may use the ones before it."""
    # Over all metrics: a namespace whose first run still goes on has steps and no ended run.
    series = f'{{__name__=~"{names.TRACER_NAME}_.+"}}'
    namespace = label_name(names.RUNS, Attribute.NAMESPACE)
    workflow_type = label_name(names.RUNS, Attribute.WORKFLOW_TYPE)
    within = f'{series[:-1]}, {namespace}=~"${_NAMESPACE_VARIABLE}"}}'
    return [
        *data_sources(),
        _label_values(_NAMESPACE_VARIABLE, "Namespace", series, namespace),
        _label_values(_TYPE_VARIABLE, "Workflow type", within, workflow_type),
    ]


def model_variable() -> Variable:
    """Which models; metrics of model calls have no namespace to choose by."""
    metric = names.MODEL_CALL_DURATION
    label = label_name(metric, GenAI.REQUEST_MODEL)
    return _label_values(_MODEL_VARIABLE, "Model", f"{metric_name(metric)}_count", label)


def temporal_namespace_variable() -> Variable:
    """Namespaces by Temporal's own label, under the same name as in Temporal's dashboards."""
    series = metric_name(temporal_metrics.SLOTS_AVAILABLE)
    return _label_values(_NAMESPACE_VARIABLE, "Namespace", series, Label.NAMESPACE)


def task_queue_variable() -> Variable:
    """Task queues of the chosen namespaces."""
    series = metric_name(temporal_metrics.SLOTS_AVAILABLE)
    within = f'{series}{{{Label.NAMESPACE}=~"${_NAMESPACE_VARIABLE}"}}'
    return _label_values(_QUEUE_VARIABLE, "Task queue", within, Label.TASK_QUEUE)


def text_variable(name: str, label: str, default: str, description: str) -> Variable:
    """A field to type in."""
    return (
        dashboard.TextBoxVariable(name)
        .label(label)
        .description(description)
        .default_value(default)
        .current(VariableOption(selected=True, text=default, value=default))
    )


def sla_variable() -> Variable:
    """The longest that a person may take: one of the boundaries of the histogram."""
    options = {
        "5 minutes": 300,
        "15 minutes": 900,
        "1 hour": 3600,
        "4 hours": 14400,
        "12 hours": 43200,
        "1 day": 86400,
        "1 week": 604800,
    }
    chosen_text = "1 day"
    return (
        dashboard.CustomVariable(_SLA_VARIABLE)
        .label("SLA")
        .description("The longest that a person may take")
        .values(", ".join(f"{text} : {seconds}" for text, seconds in options.items()))
        .current(VariableOption(selected=True, text=chosen_text, value=str(options[chosen_text])))
        .options(
            [
                VariableOption(selected=text == chosen_text, text=text, value=str(seconds))
                for text, seconds in options.items()
            ]
        )
    )


def _label_values(name: str, label: str, series: str, of: str) -> Variable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(METRICS)
        .query(f"label_values({series}, {of})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
