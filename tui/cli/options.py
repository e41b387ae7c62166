"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

type Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

DEFAULT_WAREHOUSE = "retrospan.duckdb"
"""In the current directory, unless `RETROSPAN_WAREHOUSE` names another."""


_LARGEST = 1_000_000
"""Seconds, or things a second: eleven days are longer than anybody waits for, and no clock ends."""


class Amount(click.FloatRange):
    """Seconds, or things a second: a number that can be waited for."""

    def __init__(self, minimum: float, *, is_open: bool = False) -> None:
        super().__init__(min=minimum, max=_LARGEST, min_open=is_open)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; `nan`, which no range keeps out, is none."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


def default_warehouse() -> Path:
    """The warehouse of a command that was not told which."""
    return Path(os.environ.get("RETROSPAN_WAREHOUSE") or DEFAULT_WAREHOUSE)


def warehouse_option() -> Decorator:
    """`--warehouse FILE`, passed as a `Path`."""
    return click.option(
        "--warehouse",
        "-w",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        default=default_warehouse,
        show_default=f"$RETROSPAN_WAREHOUSE, else {DEFAULT_WAREHOUSE}",
        help="The warehouse.",
    )


def json_option() -> Decorator:
    """`--json`, passed as `as_json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Write one JSON object per line instead of a table."
    )


def namespace_option(explanation: str) -> Decorator:
    """`--namespace NS`, passed as a `str` or `None`."""
    return click.option("--namespace", "-n", metavar="NS", help=explanation)


def address_option(*, required: bool = False) -> Decorator:
    """`--address HOST:PORT`, passed as a `str` or `None`."""
    return click.option(
        "--address",
        metavar="HOST:PORT",
        required=required,
        envvar="TEMPORAL_ADDRESS" if required else None,
        help="The frontend of a Temporal server.",
    )


def codec_option() -> Decorator:
    """`--codec-server URL`, passed as a `CodecServer` or `None`."""
    return click.option(
        "--codec-server",
        "codec",
        metavar="URL",
        envvar="RETROSPAN_CODEC_SERVER",
        callback=_codec_server,
        help="Decode payloads with this codec server, as the Temporal UI does.",
    )


def _codec_server(_context: click.Context, _option: click.Parameter, url: str | None) -> Any:
    if url is None:
        return None
    from replayer.history import CodecError, CodecServer

    try:
        return CodecServer(url.removesuffix("/decode"))
    except CodecError as error:
        raise click.BadParameter(str(error)) from None
