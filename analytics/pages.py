"""A page as one HTML file: nothing is fetched, and nothing in it can act but our own scripts.

A package keeps the page's template, style and script in its folder `page`. Every text that the
template is given passes `safe_text` and then the template's escaping. The page's policy (CSP) names
its style and its scripts by their hashes, so that markup which slipped through both would still
neither run nor load anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analytics.text import safe_text

__all__ = ["hash_of", "page_of"]


def page_of(
    package: str, *, styles: Iterable[str] = (), scripts: Iterable[str] = (), **values: Any
) -> str:
    """The page, as text to be written in UTF-8.

    Args:
        package: Which has `page/page.html.j2`, `page.css` and `page.js`.
        styles: Hashes of styles that scripts add.
        scripts: Hashes of scripts beside the page's own.
        values: What the template is given, beside its `policy`, `style` and `script`.
    """
    environment = Environment(
        loader=PackageLoader(package, "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_made_safe,
    )
    style, script = _asset(package, "page.css"), _asset(package, "page.js")
    return environment.get_template("page.html.j2").render(
        policy=_policy([hash_of(style), *styles], [hash_of(script), *scripts]),
        style=Markup(style),
        script=Markup(script),
        **values,
    )


def hash_of(text: str) -> str:
    """A style or a script as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _made_safe(value: Any) -> Any:
    """What the template is given, before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return safe_text(value, multiline=True)
    return value


def _asset(package: str, name: str) -> str:
    return (files(package) / "page" / name).read_text(encoding="utf-8")


def _policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """No network, no frames, no forms; these styles and scripts."""
    return (
        f"default-src 'none'; style-src {_quoted(styles)}; script-src {_quoted(scripts)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _quoted(hashes: Iterable[str]) -> str:
    return " ".join(f"'{each}'" for each in hashes)
