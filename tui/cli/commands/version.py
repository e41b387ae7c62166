"""`retrospan version`."""

from __future__ import annotations

from importlib.metadata import version

import click


@click.command("version")
def command() -> None:
    """Print the version of Retrospan."""
    print(version("retrospan"))
