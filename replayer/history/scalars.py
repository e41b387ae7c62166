"""Single values of protobuf JSON: numbers, text, bytes, times. Nothing else knows their syntax.

Stricter than `google.protobuf.json_format` where that silently changes data: it drops characters
that are not base64, so a payload that was already decoded would be read as other bytes.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final

from replayer.history.errors import Malformed, shown

__all__ = [
    "INT32",
    "INT64",
    "UINT32",
    "Notes",
    "boolean",
    "duration",
    "floating",
    "integer",
    "is_encoding",
    "octets",
    "text",
    "timestamp",
]

INT32: Final = (-(2**31), 2**31 - 1)
INT64: Final = (-(2**63), 2**63 - 1)
UINT32: Final = (0, 2**32 - 1)

_MIN_SECONDS: Final = -62_135_596_800
"""0001-01-01T00:00:00Z, which Go writes for a time that was never set."""
_MAX_SECONDS: Final = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that a `datetime` can hold."""
_MAX_DURATION_SECONDS = 315_576_000_000

_SHORT_TEXT = 32

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d)"
    r"(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):([0-5]\d))",
    re.ASCII,
)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_SPECIAL_FLOATS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


@dataclass(slots=True)
class Notes:
    """What a conversion learns on the way, apart from its result."""

    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Enum and name of every value that the installed SDK does not know."""

    depth: int = 0
    """How many recursive messages are open right now."""


def text(value: Any, _notes: Notes) -> str:
    """A string."""
    if type(value) is not str:
        raise Malformed(f"is {shown(value)}, expected text")
    return value


def boolean(value: Any, _notes: Notes) -> bool:
    """`true` or `false`."""
    if type(value) is not bool:
        raise Malformed(f"is {shown(value)}, expected true or false")
    return value


def integer(value: Any, bounds: tuple[int, int]) -> int:
    """A number, or digits in a string as protobuf JSON writes 64-bit numbers."""
    if type(value) is int:
        number = value
    elif _is_whole_number(value):
        number = int(value)
    else:
        raise Malformed(f"is {shown(value)}, expected an integer")
    if not bounds[0] <= number <= bounds[1]:
        raise Malformed(f"is {shown(value)}, expected {bounds[0]} to {bounds[1]}")
    return number


def floating(value: Any, _notes: Notes) -> float:
    """A number, or one of protobuf's three words for what JSON cannot write."""
    if type(value) in (int, float):
        return float(value)
    if type(value) is str and value in _SPECIAL_FLOATS:
        return float(_SPECIAL_FLOATS[value])
    raise Malformed(f"is {shown(value)}, expected a number")


def octets(value: Any, _notes: Notes) -> bytes:
    """Base64, in the standard or the URL alphabet, padded or not."""
    if type(value) is not str:
        raise Malformed(f"is {shown(value)}, expected base64 text")
    return _short_octets(value) if len(value) <= _SHORT_TEXT else _octets(value)


@lru_cache(maxsize=1024)
def _short_octets(value: str) -> bytes:
    """Metadata: a few encodings, in payload after payload."""
    return _octets(value)


def _octets(value: str) -> bytes:
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        pass
    standard = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(standard + "=" * (-len(standard) % 4), strict_mode=True)
    except ValueError:
        raise Malformed(f"is {shown(value)}, expected base64") from None


@lru_cache(maxsize=256)
def is_encoding(name: bytes) -> bool:
    """Whether a payload's `encoding` can be the name of one: short ASCII text.

    `json/plain` itself is valid base64 of seven other bytes, which is how a decoded export is told
    from a recorded one.
    """
    return name.isascii() and name.decode("ascii").strip().isprintable()


def timestamp(value: Any, _notes: Notes) -> dict[str, int]:
    """RFC 3339 with up to nine decimals, as the fields of a `Timestamp`."""
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise Malformed(f"is {shown(value)}, expected a time like 2026-01-31T23:59:59.5Z")
    minute, seconds, fraction, sign, offset_hours, offset_minutes = match.groups()
    total = _minute(minute) + int(seconds)
    if sign is not None:
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        total += offset if sign == "-" else -offset
    if not _MIN_SECONDS <= total <= _MAX_SECONDS:
        raise Malformed(f"is {shown(value)}, expected a time in the years 1 to 9999")
    return {"seconds": total, "nanos": _nanos(fraction)}


def duration(value: Any, _notes: Notes) -> dict[str, int]:
    """Seconds with an `s`, up to nine decimals, as the fields of a `Duration`."""
    if type(value) is not str:
        raise _no_duration(value)
    seconds, nanos = _duration(value)
    return {"seconds": seconds, "nanos": nanos}


@lru_cache(maxsize=4096)
def _duration(value: str) -> tuple[int, int]:
    """Timeouts and intervals: a few values, in event after event."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise _no_duration(value)
    minus, seconds, fraction = match.groups()
    sign = -1 if minus else 1
    if int(seconds) > _MAX_DURATION_SECONDS:
        raise Malformed(f"is {shown(value)}, expected at most 10,000 years")
    return sign * int(seconds), sign * _nanos(fraction)


def _no_duration(value: object) -> Malformed:
    return Malformed(f"is {shown(value)}, expected a duration like 1.5s")


def _is_whole_number(value: Any) -> bool:
    if type(value) is str:
        return _INTEGER.fullmatch(value) is not None
    return type(value) is float and value.is_integer()


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


@lru_cache(maxsize=4096)
def _minute(text: str) -> int:
    """Seconds from the epoch to the begin of a minute; the events of a run share few."""
    day, _, time = text.partition("T")
    try:
        days = date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise Malformed(f"is {shown(day)}, expected a day that exists") from None
    return days * 86_400 + int(time[:2]) * 3600 + int(time[3:]) * 60
