"""Agents and cost: what models and tools do, what they cost, and whose money it is."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import _agents_calls, _agents_money
from dashboards.board import Board, board
from dashboards.selection import model_variable, text_variable, variables

__all__ = ["agents"]


def agents() -> Dashboard:
    """The dashboard, complete and laid out."""
    return board(
        Board.AGENTS,
        "Agents and cost",
        "Model calls, tokens, US dollars and tools of Temporal workflows that Retrospan traces.",
        variables=[
            *variables(),
            model_variable(),
            text_variable("budget", "USD a day", "10", "What cost is compared with"),
        ],
        rows=[
            ("At a glance", _agents_money.figures()),
            ("Cost", _agents_money.money_panels()),
            ("Tenants", _agents_money.tenant_panels()),
            ("Models", _agents_calls.model_panels()),
            ("Tools", _agents_calls.tool_panels()),
            ("Traces", _agents_calls.trace_panels()),
        ],
    )
