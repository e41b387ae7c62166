"""The Fleet dashboard: is everything that runs healthy now, and if not, what fails and where.

Rows go from the symptom to the cause. Ids of workflows and runs are never labels; a click leads to
the spans that carry them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardCursorSync, Panel

from dashboards import _fleet_health, _fleet_limits, _fleet_runs, _fleet_steps
from dashboards.selection import explore, variables
from tracer.names import SpanKind

__all__ = ["UID", "fleet"]

UID: Final = "retrospan-fleet"
"""Stable, so that links to the dashboard survive an update of it."""


def fleet() -> Dashboard:
    """The dashboard, complete and laid out."""
    builder = (
        dashboard.Dashboard("Retrospan: Fleet")
        .uid(UID)
        .description(
            "Runs, steps, attempts, branches, waits and limits of Temporal workflows that Retrospan"
            " traces."
        )
        .tags(["retrospan", "temporal"])
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_tempo_link())
    )
    for variable in variables():
        builder.with_variable(variable)
    for title, panels in _rows():
        builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder.with_panel(panel)
    return _numbered(builder.build())


def _rows() -> list[tuple[str, Sequence[Builder[Panel]]]]:
    return [
        ("At a glance", _fleet_runs.figures()),
        ("Runs", _fleet_runs.panels()),
        ("Steps", _fleet_steps.step_panels()),
        ("Attempts", _fleet_steps.attempt_panels()),
        ("Queues and waits", _fleet_health.wait_panels()),
        ("Branches", _fleet_limits.branch_panels()),
        ("Limits", _fleet_limits.limit_panels()),
        ("Workflow tasks and the tracer", _fleet_health.health_panels()),
        ("Traces", _fleet_health.trace_panels()),
    ]


def _numbered(built: Dashboard) -> Dashboard:
    for number, panel in enumerate(built.panels or (), start=1):
        panel.id_val = number
    return built


def _tempo_link() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Search runs in Tempo")
        .url(explore(SpanKind.WORKFLOW))
        .icon("external link")
        .tooltip("All runs that ended, of the chosen namespaces and workflow types")
        .target_blank(True)
    )
