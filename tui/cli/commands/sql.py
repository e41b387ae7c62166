"""`retrospan sql`: one question to the warehouse, read-only."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import click

from analytics.query import QueryLimits, QueryResult, run_query
from tui.cli.diagnostics import warn
from tui.cli.options import json_option, warehouse_option
from tui.cli.tables import Column, Format, Row, write_rows

_NUMBERS = ("INT", "FLOAT", "DOUBLE", "DECIMAL", "NUMERIC")


@click.command("sql")
@click.argument("query", required=False)
@click.option(
    "--file",
    "-f",
    "file",
    type=click.File(encoding="utf-8"),
    help="Read the query from a file; - is stdin.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in Format]),
    default=Format.TABLE.value,
    show_default=True,
    help="How to write the answer; json is one object per line.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=QueryLimits().rows,
    show_default=True,
    help="Rows to fetch at most; 0 for all.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=QueryLimits().seconds,
    show_default=True,
    metavar="SECONDS",
    help="Stop the query after so long.",
)
@warehouse_option()
@json_option()
def command(
    query: str | None,
    file: TextIO | None,
    form: str,
    limit: int,
    timeout: float,
    warehouse: Path,
    as_json: bool,
) -> None:
    """Ask the warehouse with SQL: one SELECT, SHOW, DESCRIBE or EXPLAIN.

    Nothing that a query says can change the warehouse, read files or use the network. Start with
    `SHOW ALL TABLES`.
    """
    text = _question(query, file)
    limits = QueryLimits(seconds=timeout, rows=limit or None)
    result = run_query(warehouse, text, limits=limits)
    columns = _columns(result)
    write_rows(columns, _rows(columns, result.rows), Format.JSON if as_json else Format(form))
    if result.is_cut:
        warn(f"there are more rows; only {limit:,} were fetched, see --limit")


def _question(query: str | None, file: TextIO | None) -> str:
    if query is not None and file is not None:
        raise click.UsageError("give a query or a --file, not both")
    if query is not None:
        return query
    if file is not None:
        return file.read()
    if not sys.stdin.isatty():
        return sys.stdin.read()
    raise click.UsageError("give a query, a --file, or a query on stdin")


def _columns(result: QueryResult) -> list[Column]:
    """One column each; a name that comes twice gets a number, or JSON would lose one of them."""
    seen: Counter[str] = Counter()
    columns = []
    for name, kind in zip(result.columns, result.types, strict=True):
        key = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
        columns.append(Column(key, key, right=any(number in kind.upper() for number in _NUMBERS)))
    return columns


def _rows(columns: Sequence[Column], rows: Sequence[tuple[object, ...]]) -> Iterator[Row]:
    keys = [column.key for column in columns]
    return (dict(zip(keys, row, strict=True)) for row in rows)
