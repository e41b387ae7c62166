"""What all dashboards have in common: tags, time, links to each other, numbered panels.

Panels are numbered in their order: two dashboards built from the same code are the same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
)

from dashboards.selection import Variable

__all__ = ["Board", "Row", "board"]

_TAG: Final = "retrospan"

type Row = tuple[str, Sequence[Builder[Panel]]]
"""A title, and the panels under it."""


class Board(StrEnum):
    """Uids: stable, so that links to a dashboard survive an update of it."""

    FLEET = "retrospan-fleet"
    AGENTS = "retrospan-agents"
    PEOPLE = "retrospan-people"
    RUN = "retrospan-run"
    WORKERS = "retrospan-workers"
    WAREHOUSE = "retrospan-warehouse"


def board(
    uid: Board,
    title: str,
    description: str,
    *,
    variables: Sequence[Variable],
    rows: Sequence[Row],
    links: Sequence[dashboard.DashboardLink] = (),
) -> Dashboard:
    """A dashboard, complete and laid out."""
    builder = (
        dashboard.Dashboard(f"Retrospan: {title}")
        .uid(uid.value)
        .description(description)
        .tags([_TAG, "temporal"])
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(_others())
    )
    for link in links:
        builder.link(link)
    for variable in variables:
        builder.with_variable(variable)
    for heading, panels in rows:
        builder.with_row(dashboard.Row(heading))
        for panel in panels:
            builder.with_panel(panel)
    return _numbered(builder.build())


def _others() -> dashboard.DashboardLink:
    """A menu of the other dashboards; they open on the same time and the same choice."""
    return (
        dashboard.DashboardLink("Retrospan")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([_TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
        .tooltip("The other dashboards")
    )


def _numbered(built: Dashboard) -> Dashboard:
    for number, panel in enumerate(built.panels or (), start=1):
        panel.id_val = number
    return built
