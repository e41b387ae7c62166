"""The house style of panels: one look for graphs, single figures, tables and trace searches.

A panel cannot be made without a title, a description and a unit.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    FieldTextAlignment,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from dashboards.board import Board
from dashboards.selection import METRICS, TRACES
from tracer.model.words import Outcome, RunStatus
from tracer.names import Attribute

__all__ = [
    "FULL",
    "HALF",
    "NEUTRAL",
    "OUTCOME_COLORS",
    "STATUS_COLORS",
    "THIRD",
    "Column",
    "Key",
    "Line",
    "figure",
    "graph",
    "grid",
    "run_url",
    "trace_search",
    "trace_view",
]

FULL: Final = 24
"""The width of a row, in columns of Grafana's grid."""
HALF: Final = 12
THIRD: Final = 8
"""About 420 pixels on a screen of 1280: a graph and its legend stay readable, not less."""

STATUS_COLORS: Final = {
    RunStatus.COMPLETED.value: "green",
    RunStatus.FAILED.value: "red",
    RunStatus.TIMED_OUT.value: "orange",
    RunStatus.CANCELED.value: "blue",
    RunStatus.TERMINATED.value: "purple",
    RunStatus.CONTINUED_AS_NEW.value: "gray",
}
"""How a run ended has one colour on all panels."""

OUTCOME_COLORS: Final = {
    Outcome.COMPLETED.value: "green",
    Outcome.FAILED.value: "red",
    Outcome.TIMED_OUT.value: "orange",
    Outcome.CANCELED.value: "blue",
    Outcome.TERMINATED.value: "purple",
}
"""Likewise for steps and attempts."""

NEUTRAL: Final = ((None, "text"),)
"""Steps of a figure that is neither good nor bad, whatever it is."""

_REF_IDS: Final = string.ascii_uppercase

# OTLP exporters send once a minute. Told so, Grafana makes $__rate_interval four minutes or more;
# from its own default of 15 s it would make windows that hold one sample, and rates of nothing.
_EXPORT_INTERVAL: Final = "1m"

# A quantile exists only where something ended in the window: connect the points of an hour.
_BRIDGED_GAP_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Line:
    """One query of a graph."""

    promql: str
    legend: str
    """Fixed text, or Grafana's `{{label}}`."""
    exemplars: bool = True
    """Whether its points lead to traces: those of the tracer do, Temporal's own do not."""


@dataclass(frozen=True, slots=True)
class Key:
    """A column of a table that names what its row is about."""

    label: str
    """The label in Prometheus."""
    heading: str
    link: str = ""
    """A URL that a click on the cell opens; `${__value.raw}` in it is the cell's text."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures in a table."""

    heading: str
    promql: str
    unit: str
    """Of Grafana's unit ids."""


def graph(
    title: str,
    description: str,
    lines: Sequence[Line],
    *,
    unit: str,
    width: int,
    stacked: bool = False,
    colors: Mapping[str, str] | None = None,
) -> timeseries.Panel:
    """Lines over time; stacked ones as filled bars."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .min(0)
        .height(8)
        .span(width)
        .line_width(1)
        .fill_opacity(40 if stacked else 0)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(False if stacked else _BRIDGED_GAP_MS)
        .legend(_legend())
        .tooltip(
            common.VizTooltipOptions()
            .mode(TooltipDisplayMode.MULTI)
            .sort(SortOrder.DESCENDING)
            .hide_zeros(True)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for name, color in (colors or {}).items():
        panel.override_by_name(name, [_fixed(color)])
    for ref_id, line in zip(_REF_IDS, lines, strict=False):
        target = _query(ref_id, line.promql).range().legend_format(line.legend)
        panel.with_target(target.exemplar(line.exemplars))
    return panel


def figure(
    title: str,
    description: str,
    promql: str,
    *,
    unit: str,
    steps: Sequence[tuple[float | None, str]] = NEUTRAL,
    link: tuple[str, str] | None = None,
) -> stat.Panel:
    """One figure for the whole time range.

    Args:
        title: What it is, in three words or fewer: six figures share a row.
        description: How it is counted.
        promql: Answers with one series, or none for zero.
        unit: Of Grafana's unit ids.
        steps: From which value (None: from the start) the figure has which colour.
        link: Title and URL of what a click opens.
    """
    thresholds = [Threshold(value=value, color=color) for value, color in steps]
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit(unit)
        .decimals(_decimals(unit))
        .no_value("0" if unit == "short" else "–")
        .height(4)
        .span(4)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds))
        .with_target(_query("A", promql).instant())
    )
    if link:
        panel.data_links([dashboard.DashboardLink(link[0]).url(link[1]).target_blank(True)])
    return panel


def grid(
    title: str,
    description: str,
    keys: Sequence[Key],
    columns: Sequence[Column],
    *,
    width: int = FULL,
) -> table.Panel:
    """A table with one row per combination of keys, the highest first column of figures on top."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(METRICS)
        .unit("short")
        .no_value("–")
        .height(8)
        .span(width)
        .align(FieldTextAlignment.AUTO)
        .sort_by([common.TableSortByFieldState().display_name(columns[0].heading).desc(True)])
        .with_transformation(DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(_organized(keys, columns))
    )
    for ref_id, column in zip(_REF_IDS, columns, strict=False):
        panel.with_target(_query(ref_id, column.promql).instant().format(PromQueryFormat.TABLE))
        panel.override_by_name(
            column.heading,
            [
                DynamicConfigValue("unit", column.unit),
                DynamicConfigValue("decimals", _decimals(column.unit)),
            ],
        )
    for key in keys:
        if key.link:
            link = {"title": "Open the spans", "url": key.link, "targetBlank": True}
            panel.override_by_name(key.heading, [DynamicConfigValue("links", [link])])
    return panel


def trace_search(
    title: str, description: str, traceql: str, *, width: int = FULL, height: int = 8
) -> table.Panel:
    """The newest spans that a TraceQL search finds. Tempo gives its columns their own units.

    A click on a workflow id opens the *Run* dashboard.
    """
    link = {"title": "Open the run", "url": run_url("${__value.raw}")}
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(TRACES)
        .align(FieldTextAlignment.AUTO)
        .no_value("–")
        .height(height)
        .span(width)
        .override_by_name(Attribute.WORKFLOW_ID.value, [DynamicConfigValue("links", [link])])
        .with_target(_spans(traceql))
    )


def trace_view(title: str, description: str, trace_id: str) -> dashboard.Panel:
    """One whole trace as Tempo's waterfall.

    Args:
        title: What it is.
        description: How to read it.
        trace_id: A Grafana variable that holds the id.
    """
    return (
        dashboard.Panel()
        .type("traces")
        .title(title)
        .description(description)
        .datasource(TRACES)
        .height(18)
        .span(FULL)
        .with_target(_spans(trace_id))
    )


def run_url(workflow_id: str) -> str:
    """Where the *Run* dashboard shows a workflow id; it keeps time and data sources."""
    kept = "${__url_time_range}&${datasource:queryparam}&${traces:queryparam}"
    return f"/d/{Board.RUN.value}?var-workflow_id={workflow_id}&{kept}"


def _spans(traceql: str) -> tempo.TempoQuery:
    return (
        tempo.TempoQuery()
        .ref_id("A")
        .datasource(TRACES)
        .query_type("traceql")
        .query(traceql)
        .table_type(SearchTableType.SPANS)
        .limit(50)
    )


def _query(ref_id: str, promql: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .ref_id(ref_id)
        .datasource(METRICS)
        .expr(promql)
        .interval(_EXPORT_INTERVAL)
    )


def _decimals(unit: str) -> int:
    # Prometheus extrapolates: without rounding, 12 runs would read as 12.3.
    return 0 if unit == "short" else 1


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull"])
    )


def _fixed(color: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def _organized(keys: Sequence[Key], columns: Sequence[Column]) -> DataTransformerConfig:
    # With one query Grafana calls the figures "Value", with several "Value #A", "Value #B", …
    names = {key.label: key.heading for key in keys}
    if len(columns) == 1:
        names["Value"] = columns[0].heading
    else:
        names |= {
            f"Value #{ref_id}": column.heading
            for ref_id, column in zip(_REF_IDS, columns, strict=False)
        }
    return DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"Time": True},
            "indexByName": {name: index for index, name in enumerate(names)},
            "renameByName": names,
        },
    )
