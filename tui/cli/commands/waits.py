"""`retrospan waits`: who waits for whom now, and how long waits take."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from analytics.questions import WAIT_GROUPS, Scope, open_waits, waits_by
from tui import figures
from tui.cli.diagnostics import say
from tui.cli.options import json_option, warehouse_option
from tui.cli.scope import by_option, scope_options, shown_run, suggestion
from tui.cli.tables import Column, Format, Row, write_rows


def _age(opened_at: datetime | None) -> str:
    if opened_at is None:
        return figures.UNKNOWN
    return figures.seconds((datetime.now(UTC).replace(tzinfo=None) - opened_at).total_seconds())


_OPEN = (
    Column("label", "waits for", lambda value: value or figures.UNKNOWN),
    Column("workflow_type", "type", spare=1),
    Column("workflow_id", "workflow id"),
    Column("run_id", "run id", spare=4),
    Column("opened_at", "since (UTC)", figures.when, spare=2),
    Column("age", "for", _age, right=True),
    Column("last_event_at", "last heard of (UTC)", figures.when, spare=3),
)
_GROUPED = (
    Column("n_waits", "waits", figures.count, right=True),
    Column("n_open", "open", figures.count, right=True, spare=1),
    Column("n_human", "by people", figures.count, right=True, spare=4),
    Column("p50_s", "half within", figures.seconds, right=True),
    Column("p95_s", "95% within", figures.seconds, right=True),
    Column("max_s", "longest", figures.seconds, right=True, spare=2),
    Column("total_s", "in all", figures.seconds, right=True, spare=3),
)


@click.command("waits")
@by_option(WAIT_GROUPS, "")
@scope_options("waits begun")
@click.option("--human", is_flag=True, help="Only waits that a person ended; implies --by label.")
@warehouse_option()
@json_option()
def command(by: tuple[str, ...], scope: Scope, human: bool, warehouse: Path, as_json: bool) -> None:
    """List open runs that stand still now, the longest first; with --by, how long waits take.

    A run waits for a person, a message or a timer. What the warehouse knows of open runs is as new
    as the last import.
    """
    if human and not by:
        by = ("label",)
    rows = waits_by(warehouse, by, scope, is_human=human) if by else open_waits(warehouse, scope)
    if as_json:
        write_rows((), rows, Format.JSON)
        return
    if not rows:
        say(f"no {'wait' if by else 'open wait'} in {warehouse} fits")
        return
    if by:
        write_rows((*(Column(name, name) for name in by), *_GROUPED), rows, Format.TABLE)
        run = rows[0]["longest_run"]
    else:
        write_rows(_OPEN, map(_with_age, rows), Format.TABLE)
        run = shown_run(rows[0])
    if run:
        say(f"the longest: {suggestion(warehouse, 'show', run)}")


def _with_age(row: Row) -> Row:
    return {**row, "age": row["opened_at"]}
