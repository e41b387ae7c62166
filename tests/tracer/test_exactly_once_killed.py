"""Workers that are killed at random: what is in the warehouse in the end, before and after."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError

from analytics.collect import Collector, IntakeLimits
from analytics.query import run_query
from tests.tracer.killable_worker import QUEUE, TASK_TIMEOUT, Survivor
from tests.tracer.telescope import family
from tracer.backfill import backfill, otlp_exporter
from tracer.identity import span_id
from tracer.model import Run, StepKind
from tracer.names import Attribute, SpanKind
from tracer.spans import attempt_span_id, spans_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 20
_OF_WORKERS_ONLY = frozenset({SpanKind.BRANCH, SpanKind.LIMIT})
"""Spans that no history tells of."""
SEED = 20261122
ROOT = Path(__file__).parent.parent.parent


@asynccontextmanager
async def worker(
    address: str, endpoint: str, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.tracer.killable_worker", address, endpoint, str(log)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def until_ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        if line == b"ready\n":
            return
    raise AssertionError("the worker did not start")


@dataclass(frozen=True)
class Tried:
    """An attempt that an activity logged."""

    run_id: str
    activity_id: str
    number: int
    is_local: bool

    @property
    def step(self) -> tuple[str, str]:
        return self.run_id, self.activity_id

    @property
    def span_id(self) -> str:
        kind = SpanKind.LOCAL if self.is_local else SpanKind.STEP
        step = span_id(self.run_id, kind, self.activity_id)
        return f"{attempt_span_id(self.run_id, step, self.activity_id, self.number):016x}"


def logged(log: Path) -> tuple[set[Tried], set[Tried]]:
    """Attempts that began, and those of them that never came to their end."""
    counts: Counter[tuple[str, Tried]] = Counter()
    for line in log.read_text().splitlines():
        what, run_id, activity_id, number, is_local = line.split()
        counts[what, Tried(run_id, activity_id, int(number), is_local == "True")] += 1
    began = {tried for what, tried in counts if what == "start"}
    return began, {tried for tried in began if not counts["end", tried]}


def stored(warehouse: Path) -> dict[str, dict[str, Any]]:
    rows = run_query(
        warehouse,
        "SELECT span_id, trace_id, parent_span_id, name, span_attributes FROM core.spans",
    ).rows
    found = {
        row[0]: dict(zip(("id", "trace", "parent", "name"), row, strict=False)) for row in rows
    }
    assert len(found) == len(rows), "a span is stored twice"
    for row in rows:
        found[row[0]]["attributes"] = json.loads(row[4])
    return found


def orphans(spans: dict[str, dict[str, Any]]) -> list[str]:
    return [s["name"] for s in spans.values() if s["parent"] and s["parent"] not in spans]


async def begin(client: Client) -> WorkflowHandle[Any, Any]:
    return await client.start_workflow(
        Survivor.run,
        args=[4, 3],
        id=f"survivor-{uuid.uuid4()}",
        task_queue=QUEUE,
        task_timeout=TASK_TIMEOUT,
    )


async def talk(handles: list[WorkflowHandle[Any, Any]], chance: random.Random) -> None:
    """Send signals and updates, whether a worker is there or not."""
    for number in range(10_000):
        handle = chance.choice(handles)
        # A run may have ended; an update may find no worker.
        with suppress(
            RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
        ):
            await handle.signal(Survivor.nudge)
            await handle.execute_update(
                Survivor.poke, number, rpc_timeout=timedelta(milliseconds=500)
            )
        await asyncio.sleep(chance.uniform(0.0, 0.2))


async def families(client: Client, handles: list[WorkflowHandle[Any, Any]]) -> list[Run]:
    first = [await family(client, h.id, h.first_execution_run_id or "") for h in handles]
    return [run for runs in first for run in runs]


async def play(address: str, endpoint: str, log: Path, client: Client) -> list[Run]:
    """Let workflows run while their worker is killed again and again; the models of the runs."""
    chance = random.Random(SEED)
    handles = [await begin(client) for _ in range(4)]
    talking = asyncio.create_task(talk(handles, chance))
    for _ in range(KILLS):
        async with worker(address, endpoint, log) as process:
            await until_ready(process)
            await asyncio.sleep(chance.uniform(0.0, 1.5))
            process.send_signal(signal.SIGKILL)
            await process.wait()
    talking.cancel()
    async with worker(address, endpoint, log) as process:
        await until_ready(process)
        for handle in handles:
            await handle.result()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    return await families(client, handles)


async def test_spans_of_workers_that_are_killed(
    temporal_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warehouse, log = tmp_path / "killed.duckdb", tmp_path / "attempts.log"
    log.touch()
    limits = IntakeLimits(batch_seconds=0.05)
    client = await Client.connect(temporal_address)
    with Collector(warehouse, limits=limits) as collector:
        runs = await play(temporal_address, collector.http_endpoint, log, client)
    before = stored(warehouse)
    with Collector(warehouse, limits=limits) as collector:
        exporter, resource = otlp_exporter(collector.http_endpoint, protocol="http/protobuf")
        done = backfill(runs, exporter, resource=resource)
        again = backfill(runs, exporter, resource=resource)
        exporter.shutdown()
    after = stored(warehouse)

    began, unfinished = logged(log)
    # A local activity that died with its workflow task is in no history: the task ran again.
    began = {tried for tried in began if not tried.is_local or tried.step in local_steps(runs)}
    unfinished &= began
    told = {f"{span.span_id:016x}" for run in runs for span in spans_of(run)}
    expected = told | {tried.span_id for tried in began}
    with capsys.disabled():
        print(
            f"\n{KILLS} kills: {len(runs)} runs, {len(expected)} spans, {len(began)} attempts,"
            f" {len(unfinished)} of them cut short\n"
            f"without backfill: {len(expected - before.keys())} missing,"
            f" {len(orphans(before))} orphans; backfill sent {done.spans}, twice\n"
            f"with backfill: {len(expected - after.keys())} missing, {len(orphans(after))} orphans,"
            f" {len(after.keys() - expected)} attempts that never reached their worker"
        )
    assert done == again
    assert expected - after.keys() == set()
    # An attempt that was on its way to a worker that died had no chance to log itself.
    for span in unlogged(after, expected):
        assert span["attributes"][Attribute.ATTEMPT_SOURCE] == "history"
    assert orphans(after) == []
    assert unfinished, "kills at other moments would show more"
    check_lost([after[tried.span_id]["attributes"] for tried in unfinished])


def local_steps(runs: list[Run]) -> set[tuple[str, str]]:
    steps = ((run.key.run_id, step) for run in runs for step in run.steps)
    return {(run_id, s.id) for run_id, s in steps if s.kind is StepKind.LOCAL_ACTIVITY}


def unlogged(spans: dict[str, dict[str, Any]], expected: set[str]) -> list[dict[str, Any]]:
    return [
        span
        for key, span in spans.items()
        if key not in expected and span["attributes"][Attribute.SPAN_KIND] not in _OF_WORKERS_ONLY
    ]


def check_lost(attempts: list[dict[str, Any]]) -> None:
    """Attempts that were cut short tell so, with the cause where a history has it."""
    for attributes in attempts:
        assert attributes[Attribute.ATTEMPT_SOURCE] == "history" or Attribute.OUTCOME in attributes
    lost = [a for a in attempts if a.get(Attribute.IS_LOST)]
    assert lost
    assert {a[Attribute.OUTCOME] for a in lost} == {"timed_out"}
    assert {a[Attribute.ERROR_TYPE] for a in lost} <= {"HEARTBEAT", "START_TO_CLOSE"}
