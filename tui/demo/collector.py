"""`retrospan collect` as a process of its own, as people run it.

It must not share a process with the workers: while sandboxed workflow code runs, Temporal puts a
stand-in in the place of `sys.modules`, and DuckDB 2.0, which expects a dict there, aborts the whole
process when Arrow data is handed to it at that moment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tui.cli.diagnostics import CommandError
from tui.cli.exits import Exit

_STOP_SECONDS = 60.0
"""What was received is stored before the process ends."""


@dataclass(frozen=True, slots=True)
class CollectorProcess:
    """A collector that runs."""

    grpc_endpoint: str
    """`HOST:PORT` for OTLP over gRPC."""
    http_endpoint: str
    """URL for OTLP over HTTP."""


@contextmanager
def collecting(warehouse: Path, log: Path) -> Iterator[CollectorProcess]:
    """Collect into a warehouse for the length of the block; all is stored at its end.

    Raises:
        CommandError: It does not start.
    """
    command = [
        *(sys.executable, "-m", "tui", "collect", "--json", "--until-eof"),
        *("--warehouse", str(warehouse), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
    ]
    with (
        log.open("wb") as talk,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk
        ) as process,
    ):
        try:
            yield _endpoints(process, log)
        finally:
            _stop(process)


def _endpoints(process: subprocess.Popen[bytes], log: Path) -> CollectorProcess:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise CommandError(f"the collector did not start; see {log}", Exit.UNREACHABLE)
    told = json.loads(line)
    return CollectorProcess(told["grpc"], told["http"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End its stdin, which asks it to stop; its stdout is read so that it cannot block."""
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
