"""`retrospan collect`: an OTLP receiver in front of a warehouse, until somebody stops it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from analytics.collect import Collector
from tui import figures
from tui.cli.diagnostics import say, warn
from tui.cli.exits import Exit
from tui.cli.options import json_option, warehouse_option
from tui.cli.tables import write_json


@click.command("collect")
@warehouse_option()
@click.option(
    "--grpc",
    "grpc",
    metavar="HOST:PORT",
    default="127.0.0.1:4317",
    show_default=True,
    help="Receive OTLP over gRPC here; port 0 takes a free one.",
)
@click.option(
    "--http",
    "http",
    metavar="HOST:PORT",
    default="127.0.0.1:4318",
    show_default=True,
    help="Receive OTLP over HTTP here; port 0 takes a free one.",
)
@click.option(
    "--until-eof",
    is_flag=True,
    help="Also stop when stdin ends, as it does when the program that started this one dies.",
)
@json_option()
def command(warehouse: Path, grpc: str, http: str, until_eof: bool, as_json: bool) -> int:
    """Receive spans and metrics over OTLP and store them, until Ctrl-C or SIGTERM.

    What was received is stored before the command ends. There is no sign-in: whoever reaches the
    address can write. Meanwhile other commands may import into the same warehouse. With --json the
    first line has the endpoints, the last one what was received.
    """
    host, grpc_port = _host_and_port(grpc, "--grpc")
    http_host, http_port = _host_and_port(http, "--http")
    if host != http_host:
        raise click.UsageError("--grpc and --http must name the same host")
    with _stop_signals() as stopped:
        if until_eof:
            threading.Thread(target=_stop_at_eof, args=(stopped,), daemon=True).start()
        collector = Collector(warehouse, host=host, grpc_port=grpc_port, http_port=http_port)
        with collector:
            _tell_endpoints(collector, warehouse, as_json=as_json)
            stopped.wait()
            say("storing what was received…")
    counters = collector.counters
    if as_json:
        write_json(asdict(counters))
    say(
        f"{figures.counted(counters.spans_stored, 'span')} stored of {counters.spans_received:,}, "
        f"{counters.spans_repeated:,} known already, {counters.spans_rejected:,} refused"
    )
    if counters.rows_lost or counters.write_errors:
        warn(f"{counters.rows_lost:,} rows were lost, {counters.write_errors:,} writes failed")
        return Exit.FOUND
    return Exit.OK


def _stop_at_eof(stopped: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    stopped.set()


def _tell_endpoints(collector: Collector, warehouse: Path, *, as_json: bool) -> None:
    if as_json:
        write_json({"grpc": collector.grpc_endpoint, "http": collector.http_endpoint})
        sys.stdout.flush()
    say(
        f"collecting into {warehouse}: OTLP/gRPC at {collector.grpc_endpoint}, "
        f"OTLP/HTTP at {collector.http_endpoint}; Ctrl-C stops"
    )


def _host_and_port(text: str, option: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise click.UsageError(f"{option} {text!r}: expected HOST:PORT, such as 127.0.0.1:4317")
    return host, int(port)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one ends the process at once."""
    stopped = threading.Event()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        restore()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        restore()
