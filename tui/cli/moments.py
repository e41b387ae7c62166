"""Points in time on the command line: `7d`, `12h`, `2026-03-01`, `2026-03-01T08:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

__all__ = ["Moment"]

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """A point in time: so long ago, or a date with or without a time; UTC unless it says else.

    Passed as a `datetime` in UTC without a time zone, as the warehouse has them.
    """

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read what was typed."""
        text = str(value).strip()
        ago = _AGO.fullmatch(text)
        try:
            if ago is not None:
                back = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
                return datetime.now(UTC).replace(tzinfo=None) - back
            at = datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} is no time; expected such as 7d, 12h, 2026-03-01T08:00", param, ctx
            )
        return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
