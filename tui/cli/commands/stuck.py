"""`retrospan stuck`: open runs that do not get on, and why."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from analytics.questions import Scope, stuck_runs
from tui import figures
from tui.cli.diagnostics import say
from tui.cli.exits import Exit
from tui.cli.options import json_option, warehouse_option
from tui.cli.scope import Moment, scope_options, shown_run, suggestion
from tui.cli.tables import Column, Format, write_rows

_COLUMNS = (
    Column("why", "why"),
    Column("workflow_type", "type", spare=1),
    Column("workflow_id", "workflow id"),
    Column("run_id", "run id", spare=5),
    Column("since", "since (UTC)", figures.when, spare=2),
    Column("n_tries", "tries", figures.count, right=True, spare=4),
    Column("failure_type", "failure", lambda value: value or "", spare=3),
    Column("failure_message", "message", lambda value: value or "", spare=6),
)


@click.command("stuck")
@scope_options("runs started")
@click.option(
    "--silent",
    type=Moment(),
    help="Also open runs that wait for nothing and were last heard of before then, such as 1h.",
)
@warehouse_option()
@json_option()
def command(scope: Scope, silent: datetime | None, warehouse: Path, as_json: bool) -> int:
    """List open runs that do not get on, the longest first.

    Their workflow task fails again and again: new code is needed, or a reset. What the warehouse
    knows is as new as the last import. Ends with 1 if there is such a run.
    """
    rows = stuck_runs(warehouse, scope, silent_since=silent)
    if as_json:
        write_rows((), rows, Format.JSON)
    elif not rows:
        # Of all runs only where all were asked for: it may be what somebody hopes to read.
        say(f"no stuck run in {warehouse}" + (" fits" if scope != Scope() else ""))
    else:
        write_rows(_COLUMNS, rows, Format.TABLE)
        say(f"what happened: {suggestion(warehouse, 'show', shown_run(rows[0]))}")
    return Exit.FOUND if rows else Exit.OK
