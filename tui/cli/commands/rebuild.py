"""`retrospan rebuild`: the warehouse anew, from its archive. `analytics.rebuild` does it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from analytics.rebuild import rebuild
from tui import figures
from tui.cli.diagnostics import say, warn
from tui.cli.exits import Exit
from tui.cli.options import json_option, warehouse_option
from tui.cli.tables import write_json


@click.command("rebuild")
@warehouse_option()
@click.option(
    "--out",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make the new warehouse here, of all that the archive has, and leave the old one alone.",
)
@json_option()
def command(warehouse: Path, out: Path | None, as_json: bool) -> int:
    """Make a warehouse anew from the raw histories in its archive.

    Spans and metrics are copied from the old file, if it can be opened. The old file is replaced
    only when no history is missing; exit code 1 tells that some are.
    """
    with _progress() as advance:
        report = rebuild(warehouse, out, advance)
    for line in report.missing:
        warn(line)
    if as_json:
        write_json({"warehouse": str(out or warehouse), **asdict(report)})
    made = (
        f"{figures.counted(report.runs, 'run')}, {figures.counted(report.events, 'event')} made "
        f"again, {figures.counted(report.copied, 'other row')} copied"
    )
    if report.missing and out is None:
        say(f"{made}; {warehouse} is left as it was, because {len(report.missing):,} are missing")
    else:
        say(f"{made} in {out or warehouse}")
    return Exit.FOUND if report.missing else Exit.OK


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while a person looks at it; nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
