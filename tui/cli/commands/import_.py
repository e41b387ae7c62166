"""`retrospan import SRC…`: files into the warehouse. `analytics.ingest` does it; this talks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from analytics.ingest import IngestReport
from analytics.pool import Part
from analytics.writer import open_writer
from replayer.history import HistoryUnavailable
from tui import figures
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.options import json_option, namespace_option, warehouse_option
from tui.cli.tables import write_json
from tui.sources import container_of


@dataclass(slots=True)
class Tally:
    """What reading gave, as far as the exit code cares."""

    read: int = 0
    unreadable: int = 0
    """Sources that were there and are neither histories nor spans."""
    unavailable: int = 0
    """Sources that could not be opened."""


@click.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@warehouse_option()
@namespace_option("The namespace that the histories are from; files do not say.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 64),
    show_default="as many as there are processors, for more than a few files",
    help="Read with so many processes.",
)
@json_option()
def command(
    sources: tuple[str, ...],
    warehouse: Path,
    namespace: str | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Read histories into a warehouse; what it knows already is left as it is.

    SRC is a file, a folder, an archive, or - for stdin: JSON from `temporal workflow show` or the
    UI, protobuf, Cloud exports, compressed or not; and spans as the file exporter of the
    OpenTelemetry collector writes them. What is neither is named on stderr and skipped.
    """
    tally = Tally()
    with open_writer(warehouse) as writer, _progress(sources) as advance:

        def told(_report: IngestReport, parts: Sequence[Part]) -> None:
            for part in parts:
                _tell(part, tally)
                advance(part.files)

        report = writer.import_files(sources, namespace=namespace, workers=jobs, told=told)
    if as_json:
        write_json({"warehouse": str(warehouse), **asdict(report)})
    say(summary(report, warehouse))
    if not tally.read:
        raise nothing_read(tally)


def _tell(part: Part, tally: Tally) -> None:
    """Count what was read, and say what was not."""
    tally.read += part.runs_read + part.span_batches
    for reject in part.rejects:
        if reject.is_notice:
            say(str(reject.error))
            continue
        warn(str(reject.error))
        if isinstance(reject.error, HistoryUnavailable):
            tally.unavailable += 1
        else:
            tally.unreadable += 1


def nothing_read(tally: Tally) -> CommandError:
    """Why the command failed: not one history was read."""
    if tally.unavailable and not tally.unreadable:
        return CommandError("nothing could be opened", Exit.UNREACHABLE)
    return CommandError("no history could be read", Exit.REFUSED)


def summary(report: IngestReport, warehouse: Path) -> str:
    """What was done, in one line."""
    runs = report.runs_new + report.runs_extended + report.runs_unchanged
    parts = [
        f"{figures.counted(runs, 'run')}: {report.runs_new:,} new, "
        f"{report.runs_extended:,} extended, {report.runs_unchanged:,} unchanged",
        f"{figures.counted(report.events_new, 'new event')} in {warehouse}",
    ]
    if report.spans_new:
        parts.append(figures.counted(report.spans_new, "new span"))
    if report.rejected:
        parts.append(f"{report.rejected:,} not read")
    if report.conflicts:
        parts.append(f"{report.conflicts:,} left out, they contradict what is stored")
    return "; ".join(parts)


@contextmanager
def _progress(sources: Iterable[str]) -> Iterator[Callable[[Iterable[str]], None]]:
    """A bar on stderr while a person looks at it; nothing otherwise."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sum(map(_count_files, sources)) or None)
        last = ""

        def advance(files: Iterable[str]) -> None:
            # Members of an archive come one after another, and count as the file that they are in.
            nonlocal last
            for uri in files:
                container = container_of(uri)
                bar.advance(task, container != last)
                last = container

        yield advance


def _ignore(files: Iterable[str]) -> None:
    """Nobody is watching."""


def _count_files(source: str) -> int:
    if not Path(source).is_dir():
        return 1
    return sum(len(names) for _, _, names in os.walk(source))
