"""`retrospan demo`: the tour. `tui.demo` gives it; this reads its options."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from tui.cli.options import address_option


@click.command("demo")
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("retrospan-demo"),
    show_default=True,
    help="Where the warehouse, histories and logs go.",
)
@click.option("--keep", is_flag=True, help="Leave the server running until Ctrl-C.")
@click.option(
    "--otlp",
    metavar="URL",
    help="Send spans and metrics to this collector too: gRPC, or HTTP if the URL has a path or "
    "port 4318.",
)
@address_option()
def command(folder: Path, keep: bool, otlp: str | None, address: str | None) -> int:
    """Run example workflows on a local Temporal, collect what they do, and show what to ask.

    Everything runs on this machine: Temporal, the workers, a stand-in for a model. Nothing needs an
    account or a network. With --otlp, Grafana shows the same runs.
    """
    from tui.demo import DemoOptions, run_demo

    return asyncio.run(run_demo(DemoOptions(folder, keep, address, otlp)))
