"""Figures as people read them, under the name by which screens know them."""

from __future__ import annotations

from analytics.figures import (
    UNKNOWN,
    count,
    counted,
    duration,
    iso,
    moment,
    money,
    offset,
    seconds,
    share,
    size,
    when,
)

__all__ = [
    "UNKNOWN",
    "count",
    "counted",
    "duration",
    "iso",
    "moment",
    "money",
    "offset",
    "seconds",
    "share",
    "size",
    "when",
]
