"""`retrospan cost`: what model calls cost, and how much of that is known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from analytics.errors import WarehouseError
from analytics.questions import COST_GROUPS, Scope, cost_by, cost_coverage, unpriced_models
from analytics.warehouse import open_warehouse
from tracer.genai.prices import PRICES_VARIABLE
from tui import figures
from tui.cli.diagnostics import say, warn
from tui.cli.options import json_option, warehouse_option
from tui.cli.scope import by_option, scope_options, suggestion
from tui.cli.tables import Column, Format, write_rows

_MODELS_NAMED = 5


_COLUMNS = (
    Column("n_runs", "runs", figures.count, right=True, spare=2),
    Column("n_calls", "calls", figures.count, right=True),
    Column("n_errors", "errors", figures.count, right=True, spare=4),
    Column("input_tokens", "input", figures.count, right=True, spare=3),
    Column("cache_read_tokens", "cached", figures.count, right=True, spare=5),
    Column("output_tokens", "output", figures.count, right=True, spare=3),
    Column("cost_usd", "cost", figures.money, right=True),
    Column("priced_share", "priced", figures.share, right=True),
    Column("usd_per_run", "per run", figures.money, right=True, spare=1),
)


@click.command("cost")
@by_option(COST_GROUPS, "type")
@scope_options("calls")
@click.option("--limit", type=click.IntRange(min=1), help="The dearest so many.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Price all stored calls anew, by this price file before the list. RETROSPAN_PRICES names"
    " it for imports, too.",
)
@click.option("--reprice", is_flag=True, help="The same with RETROSPAN_PRICES or the list alone.")
@warehouse_option()
@json_option()
def command(
    by: tuple[str, ...],
    scope: Scope,
    limit: int | None,
    prices: Path | None,
    reprice: bool,
    warehouse: Path,
    as_json: bool,
) -> None:
    """Tell what model calls cost, the dearest first.

    Beside each cost stands the share of the calls whose price is known: the cost is that of these
    calls. A call that was refused and used nothing needs no price.
    """
    if prices is not None or reprice:
        _reprice(warehouse, prices)
    rows = cost_by(warehouse, by, scope)
    columns = (*(Column(name, name) for name in by), *_COLUMNS)
    shown = rows[:limit]
    if as_json:
        write_rows((), shown, Format.JSON)
        return
    if not rows:
        say(f"no model call in {warehouse} fits")
        return
    write_rows(columns, shown, Format.TABLE)
    _tell_coverage(warehouse, scope)
    dearest = max(rows, key=lambda row: row["cost_usd"] or 0)["dearest_run"]
    if dearest:
        say(f"the dearest run: {suggestion(warehouse, 'show', dearest)}")


def _reprice(path: Path, prices: Path | None) -> None:
    from analytics.repricing import reprice

    if not path.exists():
        raise WarehouseError(f"{path}: no such warehouse; `retrospan import` makes one")
    with _priced_by(prices), open_warehouse(path) as warehouse:
        changed = reprice(warehouse)
    say(f"{figures.counted(changed, 'call')} priced anew")


@contextmanager
def _priced_by(prices: Path | None) -> Iterator[None]:
    before = os.environ.get(PRICES_VARIABLE)
    if prices is not None:
        os.environ[PRICES_VARIABLE] = str(prices.absolute())
    try:
        yield
    finally:
        if before is not None:
            os.environ[PRICES_VARIABLE] = before
        elif prices is not None:
            del os.environ[PRICES_VARIABLE]


def _tell_coverage(warehouse: Path, scope: Scope) -> None:
    """The total, and beside it how much of it is known and what is missing."""
    total = cost_coverage(warehouse, scope)
    known = f"{total['n_priced']:,} of {figures.counted(total['n_billable'], 'billable call')}"
    say(f"{figures.money(total['cost_usd'])} in all, for {known}")
    if total["n_priced"] == total["n_billable"]:
        return
    unpriced = unpriced_models(warehouse, scope)
    names = ", ".join(_model(row) for row in unpriced[:_MODELS_NAMED])
    more = ", …" if len(unpriced) > _MODELS_NAMED else ""
    unknown = total["n_billable"] - total["n_priced"]
    warn(f"cost is not known of {figures.counted(unknown, 'call')}")
    if names:
        say(f"without a price: {names}{more}; a price file can name one, see docs/prices.md")


def _model(row: dict[str, Any]) -> str:
    name = f"{row['provider']}/{row['model']}" if row["provider"] else str(row["model"])
    return f"{name} ({figures.counted(row['n_calls'], 'call')})"
