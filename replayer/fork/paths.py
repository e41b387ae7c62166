"""Paths into JSON values: `output.documents[0].confidence`, read and written.

A path that leads nowhere is refused with what there is instead. Making up a key that was mistyped
would give a fork in which nothing is different, and nobody would notice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from replayer.fork.errors import ForkSpecError

__all__ = ["Part", "parse_parts", "text_of_parts", "value_set"]

type Part = str | int
"""A key of an object, or a place in a list."""

_PART = re.compile(
    r"""\.(?P<name>[^.\[\]"]+)          # .confidence
      | \[(?P<index>-?\d{1,9})\]        # [0]
      | \[(?P<quoted>"(?:[^"\\]|\\.)*")\]  # ["a key.with dots"]
    """,
    re.VERBOSE,
)
_LISTED = 8
_SHOWN = 80
"""Characters of a path that a message quotes."""
_MAX_PARTS = 64
"""Deeper paths exist only to hurt."""


def parse_parts(text: str, whole: str) -> tuple[Part, ...]:
    """The parts of what follows a path's first word.

    Args:
        text: Such as `.documents[0].confidence`; may be empty.
        whole: The path as it was given, for the message.

    Raises:
        ForkSpecError: It is no path.
    """
    parts: list[Part] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None or len(parts) == _MAX_PARTS:
            raise ForkSpecError(
                f"{whole[:_SHOWN]!r} is no path: cannot read it from {text[at : at + 20]!r} on; "
                'expected ROOT.name, ROOT[0] or ROOT["name"]'
            )
        parts.append(_part(match, whole))
        at = match.end()
    return tuple(parts)


def _part(match: re.Match[str], whole: str) -> Part:
    if match["name"] is not None:
        return match["name"]
    if match["index"] is not None:
        return int(match["index"])
    try:
        return str(json.loads(match["quoted"]))
    except ValueError:
        raise ForkSpecError(
            f"{whole[:_SHOWN]!r} is no path: {match['quoted']} is not a string"
        ) from None


def text_of_parts(parts: Sequence[Part]) -> str:
    """The parts as they are written."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def value_set(document: Any, parts: Sequence[Part], value: Any, *, where: str) -> Any:
    """A copy of a JSON value with one place replaced.

    Args:
        document: The value; it is not changed.
        parts: The place; it must be there already.
        value: What to put there.
        where: What the document is, for the message.

    Raises:
        ForkSpecError: The place is not there; the message says what is.
    """
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if isinstance(document, dict) and isinstance(part, str) and part in document:
        return document | {part: value_set(document[part], rest, value, where=f"{where}.{part}")}
    if isinstance(document, list) and isinstance(part, int):
        if not -len(document) <= part < len(document):
            raise ForkSpecError(f"{where} has {len(document)} items, there is no [{part}]")
        changed = list(document)
        changed[part] = value_set(document[part], rest, value, where=f"{where}[{part}]")
        return changed
    raise ForkSpecError(f"{where} has no {text_of_parts([part])}: {_what_is_there(document)}")


def _what_is_there(document: Any) -> str:
    if isinstance(document, dict):
        names = ", ".join(sorted(map(str, document))[:_LISTED])
        return f"it has {names}" if names else "it is an empty object"
    if isinstance(document, list):
        return f"it is a list of {len(document)} items"
    return f"it is {json.dumps(document)[:40]}"
