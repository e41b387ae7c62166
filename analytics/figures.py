"""Figures as people read them: durations, times, sizes, money.

Pure functions from a value to short text. `None` means unknown and is shown as `–`, never as 0: a
zero would be a claim.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

UNKNOWN = "–"
"""What stands for a figure that nobody knows."""

_SECOND = 1_000_000_000


def duration(nanoseconds: int | None) -> str:
    """A span of time, short: `0s`, `12ms`, `3.25s`, `31.5s`, `4m07s`, `2h05m`, `3d04h`."""
    if nanoseconds is None:
        return UNKNOWN
    if nanoseconds < 0:
        return "-" + duration(-nanoseconds)
    if nanoseconds < _SECOND:
        return _below_a_second(nanoseconds)
    seconds = nanoseconds / _SECOND
    if seconds < 59.95:
        return f"{seconds:.2f}s" if seconds < 10 else f"{seconds:.1f}s"
    return _pair(round(seconds))


def offset(nanoseconds: int) -> str:
    """A time as seen from another: `+3.25s` is after it, `-731ms` before."""
    return ("" if nanoseconds < 0 else "+") + duration(nanoseconds)


def seconds(value: float | None) -> str:
    """A span of time in seconds, as a warehouse tells it."""
    return duration(None if value is None else round(value * _SECOND))


def _below_a_second(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 1_000:
        return f"{nanoseconds}ns"
    if nanoseconds < 1_000_000:
        return f"{nanoseconds // 1_000}µs"
    return f"{nanoseconds // 1_000_000}ms"


def _pair(seconds: int) -> str:
    """The two largest units of a minute or more."""
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h"


def moment(nanoseconds: int | None) -> str:
    """A point in time, UTC, to the second: `2026-03-01 12:00:05`."""
    if nanoseconds is None:
        return UNKNOWN
    return _written(nanoseconds).replace("T", " ")


def when(value: datetime | None) -> str:
    """A point in time as a warehouse tells it, UTC without a zone: `2026-03-01 12:00:05`."""
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def iso(nanoseconds: int | None) -> str | None:
    """A point in time for machines, UTC, to the nanosecond: `2026-03-01T12:00:05.000000001Z`."""
    if nanoseconds is None:
        return None
    whole, rest = divmod(nanoseconds, _SECOND)
    return f"{_written(whole * _SECOND)}.{rest:09}Z"


def size(count: int | None) -> str:
    """A number of bytes: `0 B`, `14 KB`, `2.1 MB`. A KB is 1,024 bytes, as in Temporal's limits."""
    if count is None:
        return UNKNOWN
    if count < 1024:
        return f"{count} B"
    value = count / 1024
    for unit in ("KB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def money(usd: float | Decimal | None) -> str:
    """US dollars, with as many digits as small sums need: `$12.30`, `$0.0042`."""
    if usd is None:
        return UNKNOWN
    usd = float(usd)
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if usd >= 0.0001 else "<$0.0001"


def share(part: float | None) -> str:
    """A part of 1 as per cent; only what is everything is shown as 100 %."""
    if part is None:
        return UNKNOWN
    return f"{min(round(part * 100), 99) if part < 1 else 100}%"


def count(number: int | None) -> str:
    """A count with thousands separated."""
    return UNKNOWN if number is None else f"{number:,}"


def counted(number: int, noun: str) -> str:
    """A count with its noun: `1 run`, `1,200 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _written(nanoseconds: int) -> str:
    # Integer division: a float of seconds since the epoch has lost the last digits.
    seconds = nanoseconds // _SECOND
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError, OSError):
        # Nothing stops a file from naming a year that no calendar has.
        return f"@{seconds}"
