"""`retrospan failures`: what fails, how often, and where to look first."""

from __future__ import annotations

from pathlib import Path

import click

from analytics.questions import FAILURE_GROUPS, Scope, failures_by
from tui import figures
from tui.cli.diagnostics import say
from tui.cli.options import json_option, warehouse_option
from tui.cli.scope import by_option, scope_options, suggestion
from tui.cli.tables import Column, Format, write_rows

_MESSAGE = 60
"""Of a message on a screen: `show` has all of it."""


def _short(value: str | None) -> str:
    text = " ".join((value or "").split())
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 1] + "…"


_COLUMNS = (
    Column("n_failures", "failures", figures.count, right=True),
    Column("n_runs", "runs", figures.count, right=True),
    Column("failure_type", "failure", spare=1),
    Column("where_name", "where", spare=2),
    Column("example_message", "last message", _short, spare=4),
    Column("first_seen", "first seen (UTC)", figures.when, spare=5),
    Column("last_seen", "last seen (UTC)", figures.when, spare=3),
)
_SAME = {"failure": "failure_type", "where": "where_name"}
"""Columns that would repeat the group."""


@click.command("failures")
@by_option(FAILURE_GROUPS, "fingerprint")
@scope_options("failures")
@click.option("--limit", type=click.IntRange(min=1), help="The most frequent so many.")
@warehouse_option()
@json_option()
def command(
    by: tuple[str, ...], scope: Scope, limit: int | None, warehouse: Path, as_json: bool
) -> None:
    """Tell what failed, the most frequent first.

    A failure is counted where it began, each attempt on its own; steps and runs that only passed it
    on are not counted again. The same fingerprint means the same failure but for ids and numbers.
    """
    rows = failures_by(warehouse, by, scope)
    shown = rows[:limit]
    if as_json:
        write_rows((), shown, Format.JSON)
        return
    if not rows:
        say(f"no failure in {warehouse} fits")
        return
    repeated = {_SAME[name] for name in by if name in _SAME}
    columns = (column for column in _COLUMNS if column.key not in repeated)
    write_rows((*(Column(name, name) for name in by), *columns), shown, Format.TABLE)
    first = shown[0]
    say(f"an example of the first: {suggestion(warehouse, 'show', first['example_run'])}")
    if "fingerprint" in by:
        runs = suggestion(warehouse, "runs", "--fingerprint", first["fingerprint"])
        say(f"all its runs: {runs}")
