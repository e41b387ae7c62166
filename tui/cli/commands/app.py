"""`retrospan tui [RUN|SOURCE…]`: the full-screen app."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from replayer.history import CodecServer
from tracer.identity import RunKey
from tui.cli.diagnostics import CommandError
from tui.cli.exits import Exit
from tui.cli.options import address_option, codec_option, namespace_option, warehouse_option
from tui.resolve import Places, resolve_run
from tui.sources import DecodedRuns, FileRuns, LoadedRuns, RunSource, WarehouseRuns


@click.command("tui")
@click.argument("targets", nargs=-1, metavar="[RUN|SOURCE]...")
@warehouse_option()
@address_option()
@namespace_option("Of runs in files and on the server; the only one to show from the warehouse.")
@codec_option()
@click.option("--tour", "has_tour", is_flag=True, help="Say what to try, step by step.")
def command(
    targets: tuple[str, ...],
    warehouse: Path,
    address: str | None,
    namespace: str | None,
    codec: CodecServer | None,
    has_tour: bool,
) -> None:
    """Walk through runs in a full-screen app: of the warehouse, of files and folders, of a server.

    With --address the runs of that server are listed, and open ones are followed.

    A single RUN, named as for `retrospan show`, is opened at once. Press ? in the app for its keys.
    """
    # A browser's app talks through pipes, with a driver of its own.
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and "TEXTUAL_DRIVER" not in os.environ:
        raise CommandError("the app needs a terminal; `retrospan show` prints a run", Exit.USAGE)
    source, key = choose_source(targets, Places(warehouse, address, namespace))
    if codec is not None:
        source = DecodedRuns(source, codec)
    from tui.app import run_app

    run_app(source, key, has_tour=has_tour)


def choose_source(targets: tuple[str, ...], places: Places) -> tuple[RunSource, RunKey | None]:
    """What the app is to show, and the run to open at once.

    Raises:
        CommandError: There is nothing to show.
        ResolveError: The one target is no file and names no run.
    """
    if not targets and places.address is None:
        return _warehouse(places), None
    if places.address is not None:
        return _server(targets, places)
    if all(Path(target).exists() for target in targets):
        return FileRuns(targets, places.namespace), None
    histories = [resolve_run(target, places) for target in targets]
    source = LoadedRuns(" ".join(targets), histories)
    return source, histories[0].key if len(histories) == 1 else None


def _server(targets: tuple[str, ...], places: Places) -> tuple[RunSource, RunKey | None]:
    """Runs of a server; the first that was named is opened."""
    from tui.server_runs import ServerRuns

    named = [resolve_run(target, places).key for target in targets[:1]]
    return ServerRuns(places.address, places.namespace), named[0] if named else None


def _warehouse(places: Places) -> RunSource:
    if not places.warehouse.exists():
        hint = "name a history file or folder, or make one with `retrospan import`"
        raise CommandError(f"there is no warehouse {places.warehouse}; {hint}", Exit.UNREACHABLE)
    return WarehouseRuns(places.warehouse, places.namespace)
