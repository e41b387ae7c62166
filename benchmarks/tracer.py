"""What tracing costs a worker: CPU time per step, plain, with Temporal's own tracers, with ours.

Each kind of worker has a process of its own on one server. In every round each of them runs the
same workflows, in another order each time: single runs differ by a millisecond per step on a shared
machine, so only medians of many interleaved rounds mean anything. CPU time is that of the whole
process, user and system, all threads: the SDK's core, the workflow code, the tracer, the batch
processor. Spans go to an exporter that throws them away, the same for all.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio import activity, workflow

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from temporalio.client import Client

_KINDS = {
    "plain": "plain worker",
    "legacy": "TracingInterceptor",
    "official": "OpenTelemetryPlugin(add_temporal_spans=True)",
    "ours": "TracerPlugin",
}
_ROOT = Path(__file__).parent.parent


@activity.defn
async def step(text: str) -> str:
    """As little work as there can be."""
    return text


@workflow.defn
class Steps:
    """Steps one after the other: one workflow task each."""

    @workflow.run
    async def run(self, count: int) -> None:
        """Run them."""
        for number in range(count):
            await workflow.execute_activity(
                step, f"step {number}", start_to_close_timeout=timedelta(seconds=30)
            )


def tracing(kind: str) -> dict[str, Any]:
    """What `Client.connect` gets."""
    from opentelemetry import trace
    from opentelemetry.sdk.metrics import MeterProvider
    from temporalio.contrib.opentelemetry import (
        OpenTelemetryPlugin,
        TracingInterceptor,
        create_tracer_provider,
    )

    if kind == "plain":
        return {}
    if kind == "ours":
        from tracer import TracerPlugin

        return {
            "plugins": [TracerPlugin(tracer_provider=_discarding(), meter_provider=MeterProvider())]
        }
    if kind == "legacy":
        trace.set_tracer_provider(_discarding())
        return {"interceptors": [TracingInterceptor()]}
    provider = create_tracer_provider()
    _discard(provider)
    trace.set_tracer_provider(provider)
    return {"plugins": [OpenTelemetryPlugin(add_temporal_spans=True)]}


def _discarding() -> TracerProvider:
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    _discard(provider)
    return provider


def _discard(provider: Any) -> None:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    class Discard(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider.add_span_processor(BatchSpanProcessor(Discard(), max_queue_size=100_000))


async def work(kind: str, address: str) -> None:
    """The worker process: tells its CPU time whenever it gets a line."""
    from temporalio.client import Client
    from temporalio.worker import Worker

    client = await Client.connect(address, **tracing(kind))
    async with Worker(client, task_queue=kind, workflows=[Steps], activities=[step]):
        print("ready", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(_cpu_seconds(), flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@dataclass(frozen=True, slots=True)
class Load:
    """What each worker does in each round."""

    workflows: int
    steps: int

    async def run(self, client: Client, queue: str) -> None:
        """Run the workflows side by side."""
        await asyncio.gather(
            *(
                client.execute_workflow(
                    Steps.run, self.steps, id=f"{queue}-{uuid.uuid4()}", task_queue=queue
                )
                for _ in range(self.workflows)
            )
        )


class Subject:
    """A worker process, as the benchmark sees it."""

    def __init__(self, kind: str, process: asyncio.subprocess.Process, client: Client) -> None:
        self.kind = kind
        self._process = process
        self._client = client
        self.costs: list[float] = []
        """CPU milliseconds per step, one for each round."""

    @classmethod
    async def start(cls, kind: str, address: str, client: Client) -> Subject:
        """Start one and wait until it polls."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.tracer", "--worker", kind, "--address", address),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        while (line := await process.stdout.readline()) != b"ready\n":
            if not line:
                raise RuntimeError(f"the {kind} worker ended before it began")
        return cls(kind, process, client)

    async def measure(self, load: Load) -> None:
        """Run the load once."""
        before = await self._cpu()
        await load.run(self._client, self.kind)
        # What tracers put off belongs to them.
        await asyncio.sleep(0.3)
        spent = await self._cpu() - before
        self.costs.append(spent * 1000 / (load.workflows * load.steps))

    async def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _cpu(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        return float(await self._process.stdout.readline())


async def compare(address: str, rounds: int, load: Load) -> list[Subject]:
    """Measure all kinds in many interleaved rounds."""
    from opentelemetry.sdk.trace import TracerProvider
    from temporalio.client import Client
    from temporalio.contrib.opentelemetry import TracingInterceptor

    # All workers get the same headers: those that Temporal's own clients send.
    tracer = TracerProvider().get_tracer("benchmark")
    client = await Client.connect(address, interceptors=[TracingInterceptor(tracer)])
    subjects = [await Subject.start(kind, address, client) for kind in _KINDS]
    for subject in subjects:
        await load.run(client, subject.kind)
    order = random.Random(1)
    for _ in range(rounds):
        for subject in order.sample(subjects, len(subjects)):
            await subject.measure(load)
    for subject in subjects:
        await subject.stop()
    return subjects


def show(subjects: list[Subject], rounds: int, load: Load) -> None:
    """Print the table."""
    plain = next(subject.costs for subject in subjects if subject.kind == "plain")
    print(f"{rounds} rounds of {load.workflows} workflows with {load.steps} steps, interleaved")
    print(f"{'CPU ms per step':46} {'median':>7} {'fastest':>8} {'slowest':>8} {'added':>7}")
    for subject in subjects:
        # Round by round, so that what slows the machine down slows both down.
        added = [cost - base for cost, base in zip(subject.costs, plain, strict=True)]
        print(
            f"{_KINDS[subject.kind]:46} {statistics.median(subject.costs):7.2f}"
            f" {min(subject.costs):8.2f} {max(subject.costs):8.2f}"
            f" {statistics.median(added):+7.2f}"
        )


async def main(rounds: int, load: Load) -> None:
    """Start a server and print the table."""
    from replayer.embedded import TemporalServer

    with tempfile.TemporaryDirectory() as logs:
        async with TemporalServer.start(log_dir=Path(logs)) as server:
            subjects = await compare(server.address, rounds, load)
    show(subjects, rounds, load)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workflows", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--worker", choices=list(_KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        asyncio.run(work(options.worker, options.address))
    else:
        asyncio.run(main(options.rounds, Load(options.workflows, options.steps)))
    # The SDK's threads may still log into a closing interpreter.
    time.sleep(0.5)
