"""`retrospan export`: histories from a server, into files and into a warehouse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import click
from temporalio.client import Client

from replayer.history import HistoryUnavailable, Rejected, RunHistory
from tracer.model import run_from_events
from tui import figures
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.options import Amount, address_option, json_option, namespace_option
from tui.cli.tables import write_json
from tui.export_files import (
    FileFormat,
    Outcome,
    Pace,
    Skipped,
    Target,
    fetched,
    has_whole_file,
    listed,
    named,
    write_history,
)
from tui.export_follow import Followed, can_follow, narrowed, now, pause, until_interrupted
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
    rate: float | None
    follow: bool
    every: float


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
@click.option(
    "--rate",
    type=Amount(0.001),
    metavar="N",
    help="Fetch at most so many histories per second.",
)
@click.option(
    "--follow",
    "-f",
    is_flag=True,
    help="Go on with new runs, and with what open ones do, until interrupted.",
)
@click.option(
    "--every",
    type=Amount(0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow: look for new things this often.",
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
    rate: float | None,
    follow: bool,
    every: float,
    as_json: bool,
) -> int:
    """Fetch histories from a Temporal server: named ones, those that a query finds, or all.

    With --follow, Ctrl-C ends it in good order. An export that was stopped goes on where it was
    when it is run again: closed runs that are there already are not fetched twice. Exit code 1 when
    some runs could not be fetched.
    """
    if out is None and warehouse is None:
        raise click.UsageError("say where to: --out DIR, --warehouse FILE, or both")
    if workflow_ids and query:
        raise click.UsageError("name workflow ids or give a --query, not both")
    if follow and limit is not None:
        raise click.UsageError("--follow has no end that a --limit could come before; drop one")
    if follow and not can_follow(query):
        raise click.UsageError("--follow cannot narrow a query with ORDER BY; leave the order out")
    wanted = Wanted(
        workflow_ids,
        query,
        out,
        warehouse,
        FileFormat(form),
        limit,
        concurrency,
        rate,
        follow,
        every,
    )
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
    pace = Pace(wanted.rate) if wanted.rate is not None else None
    with open_store(wanted.warehouse) as store:
        export = _Export(client, wanted, store, report, pace)
        if wanted.follow:
            await export.follow()
        else:
            await export.once()
    return report


class _Export:
    """One export on its way."""

    def __init__(
        self, client: Client, wanted: Wanted, store: Store, report: Report, pace: Pace | None
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._store = store
        self._report = report
        self._pace = pace

    async def once(self) -> None:
        """Everything that was asked for."""
        await self._take(self._targets(None), None, asyncio.Event())

    async def follow(self) -> None:
        """Everything, then again and again what is new, until somebody interrupts."""
        followed = Followed()
        since: datetime | None = None
        with until_interrupted() as stop:
            while not stop.is_set():
                begun = now()
                exported = self._report.exported
                targets = followed.changed(self._client, self._targets(since))
                try:
                    await self._take(targets, followed, stop)
                except HistoryUnavailable as error:
                    if since is None:
                        raise
                    # A server may be restarted under an export that is to last.
                    warn(f"{error}; trying again in {self._wanted.every:g} s")
                else:
                    since = begun
                if self._report.exported > exported:
                    await asyncio.to_thread(self._store.settle)
                    say(f"{figures.counted(self._report.exported, 'run')} exported so far")
                await pause(stop, self._wanted.every)

    def _targets(self, since: datetime | None) -> AsyncIterator[Target]:
        wanted = self._wanted
        if wanted.workflow_ids:
            return named(self._client, wanted.workflow_ids)
        return listed(self._client, narrowed(wanted.query, since), wanted.limit)

    async def _take(
        self, targets: AsyncIterator[Target], followed: Followed | None, stop: asyncio.Event
    ) -> None:
        outcomes = fetched(
            self._client,
            targets,
            is_complete=lambda target: _is_complete(target, self._wanted, self._store),
            concurrency=self._wanted.concurrency,
            pace=self._pace,
        )
        async with aclosing(outcomes):
            async for outcome in outcomes:
                await self._store_outcome(outcome, followed)
                if stop.is_set():
                    return

    async def _store_outcome(self, outcome: Outcome, followed: Followed | None) -> None:
        wanted, report = self._wanted, self._report
        match outcome:
            case Skipped():
                report.skipped += 1
                if followed is not None:
                    followed.exported(outcome.key, is_closed=True)
            case Rejected():
                report.rejected += 1
                warn(str(outcome.error))
            case RunHistory():
                if wanted.out is not None:
                    await asyncio.to_thread(write_history, wanted.out, outcome, wanted.form)
                await asyncio.to_thread(self._store.add, outcome)
                report.exported += 1
                report.events += len(outcome.events)
                if followed is not None:
                    run = run_from_events(outcome.key, outcome.events)
                    followed.exported(outcome.key, is_closed=run.is_closed)


def _is_complete(target: Target, wanted: Wanted, store: Store) -> bool:
    """Whether the run is whole in every place that it is to go to."""
    if not target.is_closed:
        return False
    in_files = wanted.out is None or has_whole_file(wanted.out, target, wanted.form)
    return in_files and store.has_whole_run(target.key)
