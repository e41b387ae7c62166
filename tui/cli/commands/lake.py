"""`retrospan lake`: the warehouse as Parquet files, for engines that run on many machines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from analytics.lake.export import Progress, TableReport, export_lake
from analytics.lake.reader import Answer, query_lake
from tui import figures
from tui.cli.diagnostics import say
from tui.cli.options import json_option, warehouse_option
from tui.cli.tables import Column, Format, write_rows

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("lake")
def command() -> None:
    """The warehouse as Parquet files: write them, query them, and take the views to Spark."""


@command.command("export")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Only runs that started on this day (UTC, such as 2026-11-22) or after it.",
)
@warehouse_option()
@json_option()
def export(folder: Path, since: datetime | None, warehouse: Path, as_json: bool) -> None:
    """Bring DIR up to date: partitions whose rows have changed are written, others are kept.

    The files are DIR/TABLE/namespace=*/day=*/*.parquet, by the day on which runs started. An export
    that was stopped goes on where it was.
    """
    day: date | None = since.date() if since else None
    with _progress() as progress:
        reports = export_lake(warehouse, folder, since=day, progress=progress)
    write_rows(
        _COLUMNS, (asdict(report) for report in reports), Format.JSON if as_json else Format.TABLE
    )
    say(_summary(reports, folder))


@command.command("views")
@click.option(
    "--dialect",
    type=click.Choice(["spark", "clickhouse"]),
    required=True,
    help="Whose SQL to write.",
)
@click.option("--out", "-o", metavar="DIR", type=_FOLDER, required=True, help="Where to.")
@click.option(
    "--location",
    default="lake",
    show_default=True,
    help="Where ClickHouse finds the lake; Spark's job is told when it runs.",
)
def views(dialect: str, out: Path, location: str) -> None:
    """Write the tables and views of the warehouse for a cluster: numbered .sql files.

    For Spark, a script for spark-submit is written beside them.
    """
    from analytics.lake.scripts import write_scripts
    from analytics.lake.translation import Dialect

    written = write_scripts(out, Dialect(dialect), location)
    say(f"{figures.counted(len(written), 'file')} in {out}")


@command.command("sql")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.argument("query")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark", "chdb"]),
    default="duckdb",
    show_default=True,
    help="Who answers; the query is the same for all.",
)
@click.option(
    "--master",
    default="local[*]",
    show_default=True,
    help="Of Spark: local-cluster[2,1,1024] starts two executors of 1 GB.",
)
@json_option()
def sql(folder: Path, query: str, engine: str, master: str, as_json: bool) -> None:
    """Ask the lake in DIR with the SQL of the warehouse: one SELECT.

    Spark and ClickHouse get the query translated; it reaches nothing but the lake.
    """
    answer = _answer(folder, query, engine, master)
    columns = [Column(name, name) for name in answer.columns]
    rows = (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
    write_rows(columns, rows, Format.JSON if as_json else Format.TABLE)


def _answer(folder: Path, query: str, engine: str, master: str) -> Answer:
    if engine == "duckdb":
        return query_lake(folder, query)
    from analytics.lake.engines import chdb_engine, spark_engine

    opened = spark_engine(folder, master=master) if engine == "spark" else chdb_engine(folder)
    with opened as asked:
        return asked.query(query)


_COLUMNS = [
    Column("table", "table"),
    Column("rows", "rows", figures.count, right=True),
    Column("bytes", "bytes", figures.size, right=True),
    Column("partitions", "partitions", figures.count, right=True),
    Column("written", "written", figures.count, right=True),
    Column("removed", "removed", figures.count, right=True, spare=1),
]


def _summary(reports: list[TableReport], folder: Path) -> str:
    written = sum(report.written for report in reports)
    partitions = sum(report.partitions for report in reports)
    rows = sum(report.rows for report in reports)
    return (
        f"{figures.counted(written, 'partition')} written of {partitions:,}; "
        f"{figures.counted(rows, 'row')} in {folder}"
    )


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A line on stderr while a person looks at it; nothing otherwise."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("comparing", total=None)
        done = 0

        def told(table: str, partitions: int) -> None:
            nonlocal done
            done += partitions
            bar.update(task, description=f"{done:,} partitions written; {table}")

        yield told
