"""What Grafana makes of a query before it sends it: variables replaced by what was chosen."""

import re
from typing import Any

_WINDOWS = {"__rate_interval": "4m", "__range": "6h"}
_TYPED = {"budget": "10", "sla": "86400"}
_ALL = ".*"


def sent(promql: str, **values: str) -> str:
    """The query with everything chosen, over six hours, or with other values of variables."""
    known = {**_WINDOWS, **_TYPED, **values}
    return re.sub(r"\$(\w+)", lambda found: known.get(found[1], _ALL), promql)


def metric_queries(board: dict[str, Any], **values: str) -> dict[str, list[str]]:
    """The queries of each panel of metrics by its title."""
    return {
        panel["title"]: [sent(target["expr"], **values) for target in panel["targets"]]
        for panel in board["panels"]
        if panel["type"] != "row" and panel["datasource"]["type"] == "prometheus"
    }
