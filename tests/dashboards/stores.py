"""Metrics stores for tests: real programs on loopback, stopped afterwards.

They are found in `.stores/bin`, where `make stores` puts them, in the folder that
`RETROSPAN_STORES` names, or on PATH. A test that finds none is skipped.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_UNPACKED = Path(__file__).parents[2] / ".stores" / "bin"


def program(name: str) -> str:
    """The path of a store's program; without it, the test is skipped."""
    folders = (os.environ.get("RETROSPAN_STORES"), str(_UNPACKED), os.environ.get("PATH"))
    found = shutil.which(name, path=os.pathsep.join(filter(None, folders)))
    if found is None:
        pytest.skip(f"no {name} in .stores/bin (`make stores`), RETROSPAN_STORES or PATH")
    return found


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[httpx.Client]:
    """A running VictoriaMetrics that takes OTLP and names metrics as Prometheus does."""
    address = f"127.0.0.1:{free_port()}"
    arguments = [
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr={address}",
        "-opentelemetry.usePrometheusNaming",
        "-search.latencyOffset=0s",
        "-retentionPeriod=100y",
        "-search.disableCache",
    ]
    with serving("victoria-metrics", arguments, folder, f"http://{address}", "/health") as client:
        yield client


@contextmanager
def serving(
    name: str, arguments: Sequence[str], folder: Path, url: str, health: str
) -> Iterator[httpx.Client]:
    """A program that serves HTTP, once it says that it is ready."""
    log = folder / f"{name}.log"
    with log.open("wb") as talk:
        process = subprocess.Popen(
            [program(name), *arguments], stdout=talk, stderr=subprocess.STDOUT
        )
        try:
            with httpx.Client(base_url=url, timeout=30) as client:
                _await_ready(client, process, health, log)
                yield client
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def instant(store: httpx.Client, promql: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series that a query finds now; those without a number left out."""
    # A little ahead: what was written in this very moment counts.
    asked = {"query": promql, "time": str(time.time() + 1), "nocache": "1"}
    response = store.post("/api/v1/query", data=asked)
    body = response.json()
    assert body["status"] == "success", body
    return [
        (series["metric"], float(series["value"][1]))
        for series in body["data"]["result"]
        if series["value"][1] != "NaN"
    ]


def _await_ready(
    client: httpx.Client, process: subprocess.Popen[bytes], health: str, log: Path
) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get(health).is_success:
                return
        except httpx.TransportError:
            # Not listening yet, and it has no other way to say when it will.
            time.sleep(0.05)
    pytest.fail(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-2000:]}")
