"""What can be copied of a payload, made when it is chosen.

The text of a large value takes long to make, so a list of choices shows the beginnings of small
ones only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tui.pieces import text_of
from tui.replay.documents import Document, Path, json_text, path_text, python_text, shown_value

_SMALL: Final = 64 * 1024
"""Bytes of a payload whose texts are made at once."""
_IN_SIGHT: Final = 60
"""Characters of a text that a choice shows."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One thing to copy."""

    name: str
    sight: str
    """How the text begins, or what it is of; not safe."""
    make: Callable[[], str]
    """The text; not for the event loop."""


def copies_of(document: Document, path: Path | None) -> list[Copy]:
    """The choices at a place of a document: `path` in its tree, `None` in other views."""
    found: list[Copy] = []
    if path is not None:
        value = _value_at(document.value, path)
        found.append(_copy(document, "this value", partial(_text_of, value), value))
        found.append(_copy(document, "its path", partial(path_text, path), ""))
    raw = partial(document.raw.decode, errors="replace")
    found.append(_copy(document, "all, as recorded", raw, document.value))
    if document.is_json:
        python = partial(python_text, document.value)
        found.append(_copy(document, "all, as Python", python, document.value))
    return found


def _copy(document: Document, name: str, make: Callable[[], str], value: Any) -> Copy:
    if not value or len(document.raw) <= _SMALL:
        return Copy(name, make()[:_IN_SIGHT], make)
    return Copy(name, text_of((shown_value(value),))[:_IN_SIGHT], make)


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value, is_indented=True)


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        if isinstance(value, dict | list):
            value = value[part]  # type: ignore[index]  # The path was made from this value.
    return value
