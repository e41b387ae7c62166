"""`retrospan runs`: the runs of a warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from analytics.runs import RunFilter, RunSummary, list_runs
from tracer.model import RunStatus
from tui import figures
from tui.cli.diagnostics import say
from tui.cli.options import json_option, namespace_option, warehouse_option
from tui.cli.tables import Column, Format, is_terminal, write_rows

_ON_A_SCREEN = 50
"""Rows that a person is shown who did not say how many; a pipe gets all of them."""


_RUN_ID_ON_A_SCREEN = 13
"""Of a run id: enough to name it to `show`, and all that tells run ids of one workflow apart."""


def _run_id(value: str) -> str:
    # A pipe gets the whole id; a person can type the beginning.
    is_cut = is_terminal() and len(value) > _RUN_ID_ON_A_SCREEN
    return value[:_RUN_ID_ON_A_SCREEN] + "…" if is_cut else value


def _seconds(value: float | None) -> str:
    return figures.duration(None if value is None else round(value * 1e9))


def _moment(value: Any) -> str:
    return figures.UNKNOWN if value is None else value.strftime("%Y-%m-%d %H:%M:%S")


_COLUMNS = (
    Column("shown_status", "status"),
    Column("workflow_type", "type"),
    Column("workflow_id", "workflow id"),
    Column("run_id", "run id", _run_id, spare=2),
    Column("started_at", "started (UTC)", _moment, spare=3),
    Column("duration_s", "duration", _seconds, right=True, spare=4),
    Column("n_steps", "steps", figures.count, right=True, spare=6),
    Column("n_attempts", "tries", figures.count, right=True, spare=5),
    Column("shown_cost", "cost", right=True),
    Column("failure_type", "failure", lambda value: value or "", spare=1),
)


@click.command("runs")
@warehouse_option()
@namespace_option("Only this namespace.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in RunStatus], case_sensitive=False),
    help="Only runs that stand so.",
)
@click.option("--type", "workflow_type", metavar="TYPE", help="Only this workflow type.")
@click.option("--id", "workflow_id", metavar="ID", help="Only this workflow id.")
@click.option("--stuck", is_flag=True, help="Only open runs whose workflow task keeps failing.")
@click.option(
    "--fingerprint", metavar="HASH", help="Only runs in which a failure with this one happened."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"The newest so many; {_ON_A_SCREEN} on a terminal, all in a pipe.",
)
@json_option()
def command(
    warehouse: Path,
    namespace: str | None,
    status: str | None,
    workflow_type: str | None,
    workflow_id: str | None,
    stuck: bool,
    fingerprint: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the runs of a warehouse, the newest first."""
    where = RunFilter(
        namespace=namespace,
        workflow_type=workflow_type,
        workflow_id=workflow_id,
        status=status,
        is_stuck=True if stuck else None,
        fingerprint=fingerprint,
    )
    if limit is None and is_terminal() and not as_json:
        limit = _ON_A_SCREEN
    runs = list_runs(warehouse, where, limit=limit)
    if as_json:
        write_rows((), map(asdict, runs), Format.JSON)
        return
    if not runs:
        say(f"no run in {warehouse} fits")
        return
    write_rows(_COLUMNS, map(_row, runs), Format.TABLE)
    if len(runs) == limit:
        say(f"the newest {limit:,}; --limit N shows more")


def _row(run: RunSummary) -> Mapping[str, Any]:
    return {
        **asdict(run),
        "shown_status": f"{run.status} (stuck)" if run.is_stuck else run.status,
        "shown_cost": _cost(run),
    }


def _cost(run: RunSummary) -> str:
    """What is known of the cost, and of how many of the model calls it is the cost."""
    if run.cost_usd is None:
        return figures.UNKNOWN
    known = figures.money(run.cost_usd)
    is_all = run.priced_share is None or run.priced_share >= 1
    return known if is_all else f"{known} for {run.priced_share:.0%}"
