"""`retrospan serve [SOURCE…]`: the app in a browser on this machine."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import click

from tui.cli.diagnostics import CommandError, say
from tui.cli.exits import Exit
from tui.cli.options import address_option, namespace_option, warehouse_option


@click.command("serve")
@click.argument("targets", nargs=-1, metavar="[RUN|SOURCE]...")
@click.option(
    *("--port", "-p"),
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Where to listen; any, if 0.",
)
@warehouse_option()
@address_option()
@namespace_option("Of runs in files and on the server; the only one to show from the warehouse.")
def command(
    targets: tuple[str, ...],
    port: int,
    warehouse: Path,
    address: str | None,
    namespace: str | None,
) -> None:
    """Show the app in a browser on this machine, at an address that works once.

    It listens on 127.0.0.1 only, and the page loads nothing from other hosts. Each tab is an app of
    its own. Ctrl-C ends it.
    """
    from tui.serving import LocalServer

    arguments = [sys.executable, "-m", "tui", "tui", "--warehouse", str(warehouse), *targets]
    for name, value in (("--address", address), ("--namespace", namespace)):
        arguments += [name, value] if value is not None else []
    server = LocalServer(arguments, _free(port))
    say("Open this address; it works once:")
    print(server.address, flush=True)
    server.serve()


def _free(port: int) -> int:
    """The port, if nobody has it; any other if it is 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} cannot be used: {error}", Exit.UNREACHABLE) from None
        found: int = probe.getsockname()[1]
        return found
