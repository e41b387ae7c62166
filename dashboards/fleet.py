"""The Fleet dashboard: is everything that runs healthy now, and if not, what fails and where.

Rows go from the symptom to the cause. Ids of workflows and runs are never labels; a click leads to
the spans that carry them.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import _fleet_health, _fleet_limits, _fleet_runs, _fleet_steps
from dashboards.board import Board, board
from dashboards.selection import explore, variables
from tracer.names import SpanKind

__all__ = ["fleet"]


def fleet() -> Dashboard:
    """The dashboard, complete and laid out."""
    return board(
        Board.FLEET,
        "Fleet",
        "Runs, steps, attempts, branches, waits and limits of Temporal workflows that Retrospan"
        " traces.",
        variables=variables(),
        rows=[
            ("At a glance", _fleet_runs.figures()),
            ("Runs", _fleet_runs.panels()),
            ("Steps", _fleet_steps.step_panels()),
            ("Attempts", _fleet_steps.attempt_panels()),
            ("Queues and waits", _fleet_health.wait_panels()),
            ("Branches", _fleet_limits.branch_panels()),
            ("Limits", _fleet_limits.limit_panels()),
            ("Workflow tasks and the tracer", _fleet_health.health_panels()),
            ("Traces", _fleet_health.trace_panels()),
        ],
        links=[_tempo_link()],
    )


def _tempo_link() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Search runs in Tempo")
        .url(explore(SpanKind.WORKFLOW))
        .icon("external link")
        .tooltip("All runs that ended, of the chosen namespaces and workflow types")
        .target_blank(True)
    )
