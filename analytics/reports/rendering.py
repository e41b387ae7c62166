"""A page as HTML: one file, nothing is fetched, and nothing in it can act but our own script.

Every text passes `safe_text` and then the template's escaping. The page's policy (CSP) names its
one style and its scripts by their hashes, so that markup which slipped through both would still
neither run nor load anything. Plotly's script, 5 MB, travels compressed and is unpacked by the
browser. Without scripts the page can be read whole: tables tell what charts show.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analytics.reports.words import Page
from analytics.text import safe_text

__all__ = ["html_of"]

_NOTHING: Final = base64.b64encode(hashlib.sha256(b"").digest()).decode()
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
    environment = Environment(
        loader=PackageLoader("analytics.reports", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_made_safe,
    )
    style, script = _asset("page.css"), _asset("page.js")
    charts = {chart.name: chart for section in page.sections for chart in section.charts}
    library = _library() if charts else None
    return environment.get_template("page.html.j2").render(
        policy=_policy(style, script, library),
        style=Markup(style),
        script=Markup(script),
        library=library,
        charts=Markup(_data(charts)),
        page=page,
        made_at=made_at,
    )


def _made_safe(value: Any) -> Any:
    """What the template is given, before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return safe_text(value, multiline=True)
    return value


def _asset(name: str) -> str:
    return (files("analytics.reports") / "page" / name).read_text(encoding="utf-8")


@cache
def _library() -> _Library:
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs().encode()
    # Without a time in its head, the same page has the same bytes.
    packed = base64.b64encode(gzip.compress(script, mtime=0)).decode()
    return _Library(packed, _hash(script))


def _policy(style: str, script: str, library: _Library | None) -> str:
    """No network, no frames, no forms; one style, and the scripts that came with the page."""
    scripts = [_hash(script.encode()), *([library.sha256] if library else [])]
    return (
        f"default-src 'none'; style-src '{_hash(style.encode())}' 'sha256-{_NOTHING}'; "
        f"script-src {' '.join(f"'{each}'" for each in scripts)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: bytes) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}"


def _data(charts: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element: ASCII, without `<`."""
    document = {
        name: {"data": chart.data, "layout": chart.layout} for name, chart in charts.items()
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
