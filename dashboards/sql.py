"""Panels over the warehouse: SQL for the DuckDB data source, in the house style.

The data source opens published snapshots and never writes. Its plugin reads neither unsigned nor
128-bit integers, and what it does with a DuckDB enum nobody promises: queries answer with text,
doubles, booleans and timestamps only, and a test looks at their types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    FieldTextAlignment,
    StackingMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import NEUTRAL, run_url
from dashboards.selection import Variable

__all__ = [
    "PLUGIN",
    "WITHIN",
    "sql_figure",
    "sql_graph",
    "sql_table",
    "warehouse_variables",
]

PLUGIN: Final = "motherduck-duckdb-datasource"
"""The plugin's id in Grafana."""

WITHIN: Final = "NOT is_fork AND namespace IN ($namespace) AND workflow_type IN ($workflow_type)"
"""What the viewer chose, of runs that really happened. The plugin writes several values as a list
of quoted texts."""

_WAREHOUSE: Final = DataSourceRef(type_val=PLUGIN, uid="${warehouse}")
_SERIES, _TABLE = 0, 1
"""Formats of the plugin: by time, or as rows."""


class _Query(variants.Dataquery, Builder[variants.Dataquery]):
    """A query of the plugin; the SDK knows its own data sources only."""

    def __init__(self, sql: str, form: int) -> None:
        self._sql = sql
        self._form = form

    def build(self) -> variants.Dataquery:
        """See base class."""
        return self

    def to_json(self) -> dict[str, Any]:
        """As Grafana stores it."""
        return {
            "refId": "A",
            "datasource": _WAREHOUSE,
            "editorMode": "code",
            "format": self._form,
            "rawQuery": True,
            "rawSql": " ".join(self._sql.split()),
        }


def warehouse_variables() -> list[Variable]:
    """Where the warehouse is, and which namespaces and workflow types of it."""
    return [
        dashboard.DatasourceVariable("warehouse").label("Warehouse").type(PLUGIN),
        _values("namespace", "Namespace", "SELECT DISTINCT namespace FROM core.runs ORDER BY 1"),
        _values(
            "workflow_type",
            "Workflow type",
            "SELECT DISTINCT workflow_type FROM core.runs WHERE namespace IN ($namespace)"
            " ORDER BY 1",
        ),
    ]


def sql_figure(
    title: str,
    description: str,
    sql: str,
    *,
    unit: str,
    steps: Sequence[tuple[float | None, str]] = NEUTRAL,
) -> stat.Panel:
    """One figure: the query answers with one row and one column."""
    thresholds = [Threshold(value=value, color=color) for value, color in steps]
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(_WAREHOUSE)
        .unit(unit)
        .decimals(0 if unit == "short" else 2)
        .no_value("–")
        .height(4)
        .span(4)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds))
        .with_target(_Query(sql, _TABLE))
    )


def sql_table(
    title: str, description: str, sql: str, units: Mapping[str, str], *, width: int = 24
) -> table.Panel:
    """A table of the query's columns, in its order.

    Args:
        title: What it is.
        description: How it is counted.
        sql: The columns' names are their headings; "Workflow id" leads to *Run*.
        units: Grafana's unit ids by heading, for columns of figures.
        width: Of 24.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(_WAREHOUSE)
        .align(FieldTextAlignment.AUTO)
        .no_value("–")
        .height(8)
        .span(width)
        .with_target(_Query(sql, _TABLE))
    )
    for heading, unit in units.items():
        digits = DynamicConfigValue("decimals", 0 if unit == "short" else 2)
        panel.override_by_name(heading, [DynamicConfigValue("unit", unit), digits])
    link = {"title": "Open the run", "url": run_url("${__value.raw}")}
    return panel.override_by_name("Workflow id", [DynamicConfigValue("links", [link])])


def sql_graph(title: str, description: str, sql: str, *, unit: str, width: int) -> timeseries.Panel:
    """Stacked bars: the query answers with `time`, a text that names the series, and a figure."""
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(_WAREHOUSE)
        .unit(unit)
        .min(0)
        .height(8)
        .span(width)
        .fill_opacity(40)
        .show_points(VisibilityMode.AUTO)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
        .with_target(_Query(sql, _SERIES))
    )


def _values(name: str, label: str, sql: str) -> Variable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_WAREHOUSE)
        .query(sql)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(True)
        .include_all(True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
