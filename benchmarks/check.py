"""Checks of many runs: one child process and two, on the same histories.

Recorded on a local server: one run of each shipment of the cargo example, replayed under many ids.
The two are measured alternately and compared by their medians; the start of the children is part
of it, as it is for a user.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import examples.cargo_release.worker as cargo
from examples.cargo_release.customs_server import CustomsServer
from examples.cargo_release.scenarios import RULES, SCENARIOS
from replayer.check import CheckOptions, VerdictStatus, check_many
from replayer.embedded import TemporalServer
from replayer.history import RunHistory, from_server
from tracer.identity import RunKey

RUNS = 500
ROUNDS = 3
GOAL = 1.6


async def recorded() -> list[RunHistory]:
    """The runs of one scenario."""
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == "all-released"]
    with TemporaryDirectory() as logs, CustomsServer(RULES) as customs:
        async with TemporalServer.start(log_dir=Path(logs)) as server:
            client = await server.connect()
            async with cargo.worker(client, customs_url=customs.url):
                await scenario.run(client, "check", task_queue=cargo.TASK_QUEUE)
            return [
                await from_server(client, execution.id, execution.run_id)
                async for execution in client.list_workflows()
            ]


def copies(histories: Sequence[RunHistory]) -> list[RunHistory]:
    """As many runs as are checked, each with an id of its own."""
    chosen = (histories[number % len(histories)] for number in range(RUNS))
    # The ids of child workflows are made from the workflow's id: only the run id may change.
    return [
        replace(history, key=RunKey("default", history.key.workflow_id, f"run-{number}"))
        for number, history in enumerate(chosen)
    ]


def seconds(runs: Sequence[RunHistory], jobs: int) -> float:
    """The time that a check of all of them takes."""
    started = time.perf_counter()
    options = CheckOptions(("examples.cargo_release.workflow",))
    verdicts = list(check_many(runs, options, jobs=jobs))
    took = time.perf_counter() - started
    assert [verdict.status for verdict in verdicts] == [VerdictStatus.OK] * len(runs)
    return took


def main() -> None:
    """Print the table."""
    runs = copies(asyncio.run(recorded()))
    measured: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for jobs, times in measured.items():
            times.append(seconds(runs, jobs))
    events = sum(len(run.events) for run in runs)
    print(f"{len(runs)} runs, {events:,} events; median of {ROUNDS} rounds")
    print(f"{'children':>8}  {'seconds':>8}  {'runs/s':>8}")
    for jobs, times in measured.items():
        middle = statistics.median(times)
        print(f"{jobs:>8}  {middle:>8.2f}  {len(runs) / middle:>8.1f}")
    ratio = statistics.median(measured[1]) / statistics.median(measured[2])
    print(f"two are {ratio:.2f} times as fast as one (goal: {GOAL})")


if __name__ == "__main__":
    main()
