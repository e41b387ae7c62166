"""`retrospan export`: histories from a server, into files and into a warehouse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from replayer.history import Rejected, RunHistory
from tui import figures
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.options import address_option, json_option, namespace_option
from tui.cli.tables import write_json
from tui.export_files import (
    FileFormat,
    Outcome,
    Skipped,
    Target,
    fetched,
    has_whole_file,
    listed,
    named,
    write_history,
)
from tui.servers import connect
from tui.store import Store, open_store


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    workflow_ids: tuple[str, ...]
    query: str | None
    out: Path | None
    warehouse: Path | None
    form: FileFormat
    limit: int | None
    concurrency: int


@dataclass(slots=True)
class Report:
    """What was done."""

    exported: int = 0
    skipped: int = 0
    """Closed runs that were exported before."""
    rejected: int = 0
    events: int = 0


@click.command("export")
@click.argument("workflow_ids", nargs=-1, metavar="[WORKFLOW_ID[:RUN_ID]]...")
@address_option()
@namespace_option("The namespace to export; default: Temporal's configuration, else `default`.")
@click.option("--query", "-q", metavar="FILTER", help="A visibility query, for many runs.")
@click.option(
    "--out",
    "-o",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file per run below this folder.",
)
@click.option(
    "--warehouse",
    "-w",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Import the runs into this warehouse.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in FileFormat]),
    default=FileFormat.JSON.value,
    show_default=True,
    help="Of the files; pb is smaller and faster to import.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Export at most so many runs.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Fetch so many histories at once.",
)
@json_option()
def command(
    workflow_ids: tuple[str, ...],
    address: str | None,
    namespace: str | None,
    query: str | None,
    out: Path | None,
    warehouse: Path | None,
    form: str,
    limit: int | None,
    concurrency: int,
    as_json: bool,
) -> int:
    """Fetch histories from a Temporal server: named ones, those that a query finds, or all.

    An export that was stopped goes on where it was when it is run again: closed runs that are
    there already are not fetched twice. Exit code 1 when some runs could not be fetched.
    """
    if out is None and warehouse is None:
        raise click.UsageError("say where to: --out DIR, --warehouse FILE, or both")
    if workflow_ids and query:
        raise click.UsageError("name workflow ids or give a --query, not both")
    wanted = Wanted(workflow_ids, query, out, warehouse, FileFormat(form), limit, concurrency)
    report = asyncio.run(_export(wanted, address, namespace))
    if as_json:
        write_json(asdict(report))
    say(
        f"{figures.counted(report.exported, 'run')} exported, "
        f"{figures.counted(report.events, 'event')}; "
        f"{report.skipped:,} were there already"
        + (f"; {report.rejected:,} could not be fetched" if report.rejected else "")
    )
    if report.rejected and not report.exported and not report.skipped:
        raise CommandError("no run could be fetched", Exit.UNREACHABLE)
    return Exit.FOUND if report.rejected else Exit.OK


async def _export(wanted: Wanted, address: str | None, namespace: str | None) -> Report:
    client = await connect(address, namespace)
    report = Report()
    with open_store(wanted.warehouse) as store:
        targets = (
            named(client, wanted.workflow_ids)
            if wanted.workflow_ids
            else listed(client, wanted.query, wanted.limit)
        )
        outcomes = fetched(
            client,
            targets,
            is_complete=lambda target: _is_complete(target, wanted, store),
            concurrency=wanted.concurrency,
        )
        async with aclosing(outcomes):
            await _take(outcomes, wanted, store, report)
    return report


def _is_complete(target: Target, wanted: Wanted, store: Store) -> bool:
    """Whether the run is whole in every place that it is to go to."""
    if not target.is_closed:
        return False
    in_files = wanted.out is None or has_whole_file(wanted.out, target, wanted.form)
    return in_files and store.has_whole_run(target.key)


async def _take(
    outcomes: AsyncIterator[Outcome], wanted: Wanted, store: Store, report: Report
) -> None:
    async for outcome in outcomes:
        match outcome:
            case Skipped():
                report.skipped += 1
            case Rejected():
                report.rejected += 1
                warn(str(outcome.error))
            case RunHistory():
                if wanted.out is not None:
                    await asyncio.to_thread(write_history, wanted.out, outcome, wanted.form)
                await asyncio.to_thread(store.add, outcome)
                report.exported += 1
                report.events += len(outcome.events)
