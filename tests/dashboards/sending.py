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


def sql_queries(board: dict[str, Any]) -> dict[str, str]:
    """The SQL of each panel over the warehouse by its title, as Grafana stores it."""
    return {
        panel["title"]: target["rawSql"]
        for panel in board["panels"]
        for target in panel.get("targets", ())
        if "rawSql" in target
    }


def sent_sql(sql: str, chosen: dict[str, list[str]]) -> str:
    """The SQL as the plugin runs it: a wide time range, variables as lists of quoted texts."""
    wide = r"\1 >= '2000-01-01T00:00:00Z' AND \1 <= '2100-01-01T00:00:00Z'"
    timed = re.sub(r"\$__timeFilter\(([\w.]+)\)", wide, sql)
    quoted = {
        name: ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        for name, values in chosen.items()
    }
    return re.sub(r"\$(\w+)", lambda found: quoted[found[1]], timed)
