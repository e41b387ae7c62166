"""TraceQL over the spans of `tracer.names`, and links that open it in Grafana's Explore."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from dashboards.promql import Key
from tracer.names import Attribute, SpanKind

__all__ = ["any_of", "below", "equals", "exists", "explore_url", "matches", "spans"]

_VARIABLE: Final = re.compile(r"(\$\{[^}]+\})")


def equals(attribute: Key, value: str | bool) -> str:
    """The condition that an attribute has a value; a Grafana variable may stand for a text."""
    return f"span.{attribute} = {str(value).lower() if isinstance(value, bool) else f'`{value}`'}"


def matches(attribute: Key, pattern: str) -> str:
    """The condition that an attribute matches an RE2 pattern, anchored at both ends."""
    return f"span.{attribute} =~ `{pattern}`"


def any_of(attribute: Key, *values: str) -> str:
    """The condition that an attribute has one of these values."""
    return matches(attribute, "|".join(map(re.escape, values)))


def exists(attribute: Key) -> str:
    """The condition that a span has an attribute."""
    return f"span.{attribute} != nil"


def below(above: str, found: str, *, select: Sequence[Key] = ()) -> str:
    """A search for spans that lie under others, at any depth.

    Args:
        above: A search for the others.
        found: A search for the spans.
        select: Attributes that the result shows as columns.
    """
    return _with_columns(f"{above} >> {found}", select)


def spans(
    kind: SpanKind | None,
    *conditions: str,
    errors_only: bool = False,
    select: Sequence[Key] = (),
) -> str:
    """A search for spans.

    Args:
        kind: Which spans; None for every kind.
        conditions: What else is true of them.
        errors_only: Only those with status ERROR.
        select: Attributes that the result shows as columns.
    """
    wanted = [equals(Attribute.SPAN_KIND, kind)] if kind else []
    if errors_only:
        wanted.append("status = error")
    return _with_columns(f"{{ {' && '.join([*wanted, *conditions])} }}", select)


def explore_url(traceql: str, *, datasource: str) -> str:
    """A link to this search in Explore, over the dashboard's time range.

    Args:
        traceql: May hold Grafana variables in the `${name}` form: they stay readable to Grafana.
        datasource: The uid of a Tempo data source, or a variable.
    """
    query = {
        "refId": "A",
        "datasource": {"type": "tempo", "uid": datasource},
        "queryType": "traceql",
        "query": traceql,
        "tableType": "spans",
        "limit": 50,
    }
    pane = {
        "datasource": datasource,
        "queries": [query],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    panes = json.dumps({"retrospan": pane}, separators=(",", ":"))
    return f"/explore?schemaVersion=1&panes={_encoded(panes)}"


def _with_columns(found: str, select: Sequence[Key]) -> str:
    columns = ", ".join(f"span.{attribute}" for attribute in select)
    return f"{found} | select({columns})" if columns else found


def _encoded(text: str) -> str:
    parts = _VARIABLE.split(text)
    return "".join(part if _VARIABLE.fullmatch(part) else quote(part, safe="") for part in parts)
