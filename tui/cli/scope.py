"""What `cost`, `failures`, `stuck`, `waits` and `report` share: which runs, and what to run next.

Times are given as people say them, `7d` or `2026-03-01`, and mean UTC.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from analytics.questions import Scope
from tui.cli.options import Decorator, default_warehouse, namespace_option

__all__ = [
    "Moment",
    "by_option",
    "scope_options",
    "shown_run",
    "suggestion",
]

_AGO: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[datetime]):
    """A point in time: how long ago (`90m`, `24h`, `7d`, `2w`), or ISO 8601; UTC where not said."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time in UTC and without a zone, as the warehouse has it."""
        if isinstance(value, datetime):
            return value
        try:
            return _moment(str(value).strip())
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; write it as 24h, 7d, 2026-03-01 or 2026-03-01T12:00",
                param,
                ctx,
            )


def _moment(text: str) -> datetime:
    if found := _AGO.fullmatch(text):
        ago = timedelta(**{_UNITS[found[2]]: int(found[1])})
        return datetime.now(UTC).replace(tzinfo=None) - ago
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def scope_options(what: str, *, namespace: str = "Only this namespace.") -> Decorator:
    """`--namespace`, `--type`, `--tenant`, `--since` and `--until`, passed together as `scope`.

    Args:
        what: What the times are of, for the help.
        namespace: What `--namespace` means, for the help.
    """
    options = [
        namespace_option(namespace),
        click.option("--type", "workflow_type", metavar="TYPE", help="Only this workflow type."),
        click.option("--tenant", metavar="TENANT", help="Only runs for this tenant."),
        click.option("--since", type=Moment(), help=f"Only {what} since then, such as 24h or 7d."),
        click.option("--until", type=Moment(), help=f"Only {what} before then."),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def scoped(**given: Any) -> Any:
            names = ("namespace", "workflow_type", "tenant", "since", "until")
            return command(scope=Scope(**{name: given.pop(name) for name in names}), **given)

        scoped.__doc__ = command.__doc__
        # click keeps the options that a decorator below has left on the function.
        scoped.__dict__.update(command.__dict__)
        for option in reversed(options):
            scoped = option(scoped)
        return scoped

    return decorate


def by_option(groups: Iterable[str], default: str) -> Decorator:
    """`--by GROUP`, which may come several times, passed as a tuple of names."""
    return click.option(
        "--by",
        multiple=True,
        type=click.Choice(list(groups)),
        default=(default,) if default else (),
        callback=lambda _context, _option, names: tuple(dict.fromkeys(names)),
        show_default=default or False,
        help="One row for each; may be given again for finer groups.",
    )


def suggestion(warehouse: Path, *arguments: str) -> str:
    """A command to run next, as it can be pasted."""
    where = [] if warehouse == default_warehouse() else ["--warehouse", str(warehouse)]
    return shlex.join(["retrospan", *arguments, *where])


def shown_run(row: dict[str, Any]) -> str:
    """A run as `retrospan show` takes it."""
    return f"{row['workflow_id']}:{row['run_id']}"
