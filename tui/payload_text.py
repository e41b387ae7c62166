"""A payload as lines to read: what it is, and its value as far as it can be shown.

JSON is indented, text is shown as text, bytes that nobody can read as hexadecimal. Every line is
safe for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from temporalio.api.common.v1 import Payload

from replayer.history import DecodedPayload, decode
from tui import figures
from tui.text import safe_text

_TAB = 4
_PART = 512 * 1024
_HEX_ROW = 16
_HEX_ROWS = 16
_STEP = "  "
_CONTAINERS = (dict, list)
_LARGE = 5_000
"""Values of JSON that take a millisecond to be written."""


@dataclass(frozen=True, slots=True)
class PayloadText:
    """One payload, ready to be shown."""

    about: str
    """Encoding, size and what is peculiar about it; not safe."""
    lines: list[str]
    """The value; safe, without line breaks."""


def payload_text(payload: Payload) -> PayloadText:
    """Show a payload. Takes a second for some hundred megabytes: not for the event loop."""
    decoded = decode(payload)
    about = [decoded.encoding or "no encoding", figures.size(decoded.size)]
    if decoded.note:
        about.append(decoded.note)
    return PayloadText(" · ".join(about), payload_lines(decoded, payload.data))


def payload_lines(decoded: DecodedPayload, data: bytes) -> list[str]:
    """The value of a payload that was decoded already; safe, without line breaks."""
    if decoded.json is not None:
        return _json_lines(decoded)
    if decoded.text is not None:
        return safe_lines(decoded.text)
    return _hexadecimal(data)


def _json_lines(decoded: DecodedPayload) -> list[str]:
    value = decoded.json
    # A text of several lines reads better as itself than with `\n` in one long line.
    if isinstance(value, str) and "\n" in value:
        return safe_lines(value)
    lines: list[str] = []
    try:
        for part in indented(value):
            lines += safe_lines(part)
    except (TypeError, RecursionError):
        # It is nested deeper than orjson writes, or than anybody reads.
        return safe_lines(decoded.text or "")
    return lines


def indented(value: Any) -> Iterator[str]:
    """A value as indented JSON, in parts of whole lines.

    None of the parts takes long: orjson would write all of a large value in one call, and no other
    thread runs until that is done.

    Raises:
        TypeError: It holds what JSON has no form for, or is nested deeper than orjson writes.
        RecursionError: It is nested deeper still.
    """
    return _parts(value, "", "", "")


def _parts(value: Any, before: str, pad: str, after: str) -> Iterator[str]:
    if not _is_large(value):
        yield f"{before}{_dumped(value, pad)}{after}"
        return
    inner = pad + _STEP
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield before + opening
    last = len(value) - 1
    if isinstance(value, dict):
        for index, (key, each) in enumerate(value.items()):
            name = f"{inner}{_dumped(key, inner)}: "
            yield from _parts(each, name, inner, "," if index < last else "")
    else:
        for first, group in _groups(value):
            comma = "," if first + len(group) <= last else ""
            if _is_large(group[0]):
                yield from _parts(group[0], inner, inner, comma)
            else:
                # A list of them stands where they do, between brackets of its own.
                yield f"{_dumped(group, pad)[2 : -2 - len(pad)]}{comma}"
    yield f"{pad}{closing}{after}"


def _groups(values: list[Any]) -> Iterator[tuple[int, list[Any]]]:
    """The values of a long list, as many at a time as are quickly written; large ones alone."""
    first, weight = 0, 0
    for index, each in enumerate(values):
        more = _weight(each)
        if weight and weight + more > _LARGE:
            yield first, values[first:index]
            first, weight = index, 0
        weight += more
    yield first, values[first:]


def _is_large(value: Any) -> bool:
    return _weight(value) > _LARGE


def _weight(value: Any) -> int:
    """How many values a value holds, itself counted; of a large one only that it is."""
    if not isinstance(value, _CONTAINERS):
        return 1
    weight = 1 + len(value)
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, _CONTAINERS):
            weight += _weight(each) - 1
        if weight > _LARGE:
            break
    return weight


def _dumped(value: Any, pad: str) -> str:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return text.replace("\n", f"\n{pad}") if pad else text


def safe_lines(text: str) -> list[str]:
    """The lines of a text, safe and with tabs expanded."""
    lines: list[str] = []
    at = 0
    # In parts: one search over many megabytes would keep every other thread waiting for it.
    while (end := text.find("\n", at + _PART)) >= 0:
        lines += _safe(text[at:end])
        at = end + 1
    return lines + _safe(text[at:])


def _safe(text: str) -> list[str]:
    return safe_text(text, multiline=True).expandtabs(_TAB).split("\n")


def _hexadecimal(data: bytes) -> list[str]:
    shown = data[: _HEX_ROW * _HEX_ROWS]
    rows = [shown[at : at + _HEX_ROW].hex(" ") for at in range(0, len(shown), _HEX_ROW)]
    if len(shown) < len(data):
        rows.append(f"… {len(data) - len(shown):,} more bytes")
    return rows
