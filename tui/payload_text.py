"""A payload as lines to read: what it is, and its value as far as it can be shown.

JSON is indented, text is shown as text, bytes that nobody can read as hexadecimal. Every line is
safe for a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from temporalio.api.common.v1 import Payload

from replayer.history import DecodedPayload, decode
from tui import figures
from tui.text import safe_text

_TAB = 4
_PART = 512 * 1024
_HEX_ROW = 16
_HEX_ROWS = 16


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
        return safe_lines(_pretty(decoded.json))
    if decoded.text is not None:
        return safe_lines(decoded.text)
    return _hexadecimal(data)


def _pretty(value: object) -> str:
    # A text of several lines reads better as itself than with `\n` in one long line.
    if isinstance(value, str) and "\n" in value:
        return value
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


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
