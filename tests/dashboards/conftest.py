"""The built dashboards, and the queries in them as Grafana would send them."""

import json
from typing import Any

import pytest

from dashboards.build import rendered
from tests.dashboards.sending import metric_queries

_BOARDS: dict[str, dict[str, Any]] = {
    name.removeprefix("json/"): json.loads(text)
    for name, text in rendered().items()
    if name.startswith("json/")
}


@pytest.fixture(scope="session", params=sorted(_BOARDS))
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard, as Grafana reads it."""
    return _BOARDS[request.param]


@pytest.fixture(scope="session")
def boards() -> dict[str, dict[str, Any]]:
    """All of them by file name."""
    return _BOARDS


@pytest.fixture(scope="session")
def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of each, rows left out."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="session")
def queries(board: dict[str, Any]) -> dict[str, list[str]]:
    """The queries of each panel of metrics by its title, all variables on "All"."""
    return metric_queries(board)
