"""A report as a page of `analytics.pages`, with Plotly beside its own script.

Plotly's script, 5 MB, travels compressed and is unpacked by the browser. Without scripts the page
can be read whole: tables tell what charts show.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from analytics.pages import hash_of, page_of
from analytics.reports.words import Page

__all__ = ["html_of"]

_NOTHING: Final = hash_of("")
"""Plotly makes a style element without text and then adds its rules."""


class _Library(NamedTuple):
    """Plotly's script."""

    packed: str
    """gzip, in base64."""
    sha256: str


def html_of(page: Page, made_at: str) -> str:
    """The page, as text to be written in UTF-8.

    Args:
        page: What it tells.
        made_at: When it was made, for its foot.
    """
    charts = {chart.name: chart for section in page.sections for chart in section.charts}
    library = _library() if charts else None
    return page_of(
        "analytics.reports",
        styles=[_NOTHING],
        scripts=[library.sha256] if library else [],
        library=library,
        charts=Markup(_data(charts)),
        page=page,
        made_at=made_at,
    )


@cache
def _library() -> _Library:
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs()
    # Without a time in its head, the same page has the same bytes.
    packed = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    return _Library(packed, hash_of(script))


def _data(charts: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: ASCII, without `<`."""
    document = {
        name: {"data": chart.data, "layout": chart.layout} for name, chart in charts.items()
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
