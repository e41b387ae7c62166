"""`retrospan backfill`: the spans that histories tell of, to any OTLP endpoint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui import figures
from tui.cli.diagnostics import CommandError, say, warn
from tui.cli.exits import Exit
from tui.cli.options import Amount, address_option, json_option, namespace_option, warehouse_option
from tui.cli.tables import write_json

if TYPE_CHECKING:
    from replayer.history import RunHistory
    from tracer.backfill import Backfilled
    from tracer.model import Run
    from tui.resolve import Places


@click.command("backfill")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--endpoint",
    metavar="URL",
    help="An OTLP endpoint; default: $OTEL_EXPORTER_OTLP_ENDPOINT, else this machine.",
)
@click.option(
    "--protocol",
    type=click.Choice(["grpc", "http/protobuf"]),
    help="What it speaks; default: $OTEL_EXPORTER_OTLP_PROTOCOL, else grpc.",
)
@click.option(
    "--service-name", metavar="NAME", help="The service of the spans; default: $OTEL_SERVICE_NAME."
)
@click.option(
    "--rate",
    type=Amount(0.001),
    metavar="N",
    help="Send at most N spans a second.",
)
@address_option()
@namespace_option("The namespace of the server, and of runs in files that do not tell theirs.")
@warehouse_option()
@json_option()
def command(
    runs: tuple[str, ...],
    endpoint: str | None,
    protocol: str | None,
    service_name: str | None,
    rate: float | None,
    address: str | None,
    namespace: str | None,
    warehouse: Path,
    as_json: bool,
) -> int:
    """Send the spans that workers would have sent, made from histories.

    RUN is a run of a server, of the warehouse or of a file; a file, folder or archive alone stands
    for all runs in it. The spans have the ids that workers gave theirs, so a run may be sent again
    and again: a store that drops duplicates keeps one of each. Payloads stay where they are.
    """
    from tracer.backfill import BackfillError, backfill, otlp_exporter
    from tui.resolve import Places

    try:
        exporter, resource = otlp_exporter(endpoint, protocol=protocol, service_name=service_name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    histories = _Histories(runs, Places(warehouse, address, namespace))
    try:
        done = backfill(
            histories, exporter, resource=resource, spans_per_second=rate, on_progress=_show
        )
    except BackfillError as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from None
    finally:
        exporter.shutdown()
        _end_progress()
    if as_json:
        write_json(asdict(done))
    say(_summary(done, histories.rejected))
    if histories.rejected and not done.runs:
        raise CommandError("no run could be read", Exit.REFUSED)
    return Exit.FOUND if histories.rejected else Exit.OK


class _Histories:
    """The runs that were named, read one by one."""

    def __init__(self, names: tuple[str, ...], places: Places) -> None:
        self._names = names
        self._places = places
        self.rejected = 0
        """Members of files and folders that are no readable history."""

    def __iter__(self) -> Iterator[Run]:
        from tracer.model import run_from_events

        for name in self._names:
            for history in self._named(name):
                yield run_from_events(history.key, history.events)

    def _named(self, name: str) -> Iterator[RunHistory]:
        from replayer.history import Rejected, read_histories
        from tui.resolve import resolve_run

        if self._places.address is not None or not Path(name).exists():
            yield resolve_run(name, self._places)
            return
        for found in read_histories([name], namespace=self._places.namespace):
            if isinstance(found, Rejected):
                self.rejected += not found.is_notice
                warn(str(found.error))
            else:
                yield found


def _show(done: Backfilled) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done.runs:,} runs, {done.spans:,} spans sent", err=True, nl=False)


def _end_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)


def _summary(done: Backfilled, rejected: int) -> str:
    return (
        f"{figures.counted(done.spans, 'span')} of {figures.counted(done.runs, 'run')} sent"
        + (f"; {done.skipped_runs:,} were not sampled" if done.skipped_runs else "")
        + (f"; {rejected:,} could not be read" if rejected else "")
    )
