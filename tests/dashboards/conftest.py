"""The built dashboards, and the PromQL in them as Grafana would send it."""

import json
import re
from typing import Any

import pytest

from dashboards.build import rendered

_WINDOWS = {"__rate_interval": "4m", "__range": "6h"}
_ALL = ".*"


@pytest.fixture(scope="session", params=sorted(rendered()))
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard, as Grafana reads it."""
    loaded: dict[str, Any] = json.loads(rendered()[request.param])
    return loaded


@pytest.fixture(scope="session")
def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels, rows left out."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="session")
def queries(panels: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The queries of each panel of metrics by its title, all variables on "All"."""
    return {
        panel["title"]: [_sent(target["expr"]) for target in panel["targets"]]
        for panel in panels
        if panel["datasource"]["type"] == "prometheus"
    }


def _sent(promql: str) -> str:
    return re.sub(r"\$(\w+)", lambda found: _WINDOWS.get(found[1], _ALL), promql)
