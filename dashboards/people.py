"""Decisions and people: which way workflows go, and whom they wait for."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import _people_decisions, _people_waits
from dashboards.board import Board, board
from dashboards.selection import sla_variable, variables

__all__ = ["people"]


def people() -> Dashboard:
    """The dashboard, complete and laid out."""
    return board(
        Board.PEOPLE,
        "Decisions and people",
        "Outcomes of decisions and their drift, approvals and how long they take, in Temporal"
        " workflows that Retrospan traces.",
        variables=[*variables(), sla_variable()],
        rows=[
            ("At a glance", _people_waits.figures()),
            ("Decisions", _people_decisions.decision_panels()),
            ("Drift", _people_decisions.drift_panels()),
            ("Waiting now", _people_waits.open_panels()),
            ("Waits that ended", _people_waits.wait_panels()),
            ("Traces", _people_waits.trace_panels()),
        ],
    )
