"""What branch capture adds to a worker: on the examples, and on an activation of 10,000 decisions.

A worker process without tracer runs the scenarios of all examples on a real server, and tells its
CPU time: that is what a step costs. It keeps the activations that came in. Then the very same
activations are given to new workflow instances again and again, under the plugin's own runner with
branch capture and without it, in turns: live runs differ by more than what is to be measured. CPU
time is that of the process, all threads, spans ended and batched included.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

if TYPE_CHECKING:
    from temporalio.client import Client

_ROOT = Path(__file__).parent.parent
_QUEUE = "decisions"
type Spent = tuple[float, float, int]
"""CPU milliseconds of all threads, those on the thread of the activations, branch spans."""

_ANSWERS = ("resolve_", "fire_timer")
"""What jobs that answer a step begin with."""


_DECIDES = """
from temporalio import workflow

@workflow.defn(sandboxed=False)
class Decides:
    @workflow.run
    async def run(self, rounds: int) -> int:
        total = 0
        for i in range(rounds):
""" + "".join(
    f"            if i & {1 + place % 7}:\n                total += {place}\n"
    for place in range(100)
)
"""Ten thousand decisions at a hundred places in one activation, if `rounds` is 100."""


def _decides(folder: Path) -> type:
    (folder / "decides.py").write_text(_DECIDES + "        return total\n")
    sys.path.insert(0, str(folder))
    workflow: type = importlib.import_module("decides").Decides
    return workflow


@dataclass(slots=True)
class Recorded:
    """One workflow instance: how it was made, and what it was given."""

    runner: WorkflowRunner
    details: Any
    activations: list[Any] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Steps that were answered."""
        jobs = (job for act in self.activations for job in act.jobs)
        return sum((job.WhichOneof("variant") or "").startswith(_ANSWERS) for job in jobs)

    def copies(self) -> list[Any]:
        """The activations, to be consumed."""
        copies = [type(act)() for act in self.activations]
        for copy, act in zip(copies, self.activations, strict=True):
            copy.CopyFrom(act)
        return copies


class Recorder(WorkflowRunner):
    """A runner that keeps what its instances were given."""

    def __init__(self, runner: WorkflowRunner, kept: list[Recorded]) -> None:
        self._runner = runner
        self._kept = kept

    def prepare_workflow(self, defn: Any) -> None:
        """Pass on."""
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """Pass on."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: Any) -> Any:
        """An instance whose activations are kept."""
        recorded = Recorded(self._runner, det)
        self._kept.append(recorded)
        return _Recording(self._runner.create_instance(det), recorded)


class _Recording:
    def __init__(self, instance: Any, recorded: Recorded) -> None:
        self._instance = instance
        self._recorded = recorded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        self._recorded.activations.append(act)
        return self._instance.activate(act)


@asynccontextmanager
async def _workers(
    client: Client, urls: dict[str, str], decides: type, options: Any
) -> AsyncIterator[None]:
    from examples.cargo_release import worker as cargo
    from examples.kyc_review import worker as kyc
    from examples.support_triage import worker as triage

    async with AsyncExitStack() as stack:
        for worker in (
            kyc.worker(client, model_url=urls["kyc"], **options),
            triage.worker(client, model_url=urls["triage"], **options),
            cargo.worker(client, customs_url=urls["cargo"], **options),
            Worker(client, task_queue=_QUEUE, workflows=[decides], **options),
        ):
            await stack.enter_async_context(worker)
        yield


async def work(address: str, urls: dict[str, str], rounds: int) -> None:
    """The worker process: tells its CPU time whenever it gets a line, at the end its figures."""
    from temporalio.client import Client

    # Scenarios fail on purpose.
    logging.disable()
    kept: list[Recorded] = []
    options = {
        "workflow_runner": Recorder(SandboxedWorkflowRunner(), kept),
        "unsandboxed_workflow_runner": Recorder(UnsandboxedWorkflowRunner(), kept),
    }
    client = await Client.connect(address)
    with tempfile.TemporaryDirectory() as folder:
        async with _workers(client, urls, _decides(Path(folder)), options):
            _tell("ready")
            while (await asyncio.to_thread(sys.stdin.readline)).strip():
                _tell(_cpu_seconds())
        runs = [run for run in kept if run.activations]
        figures = await asyncio.to_thread(_compare, runs, rounds)
    _tell(json.dumps(figures))


def _tell(what: object) -> None:
    print(f"={what}", flush=True)


async def _told(lines: asyncio.StreamReader) -> str:
    """The next thing that the worker process tells; the SDK's core logs there, too."""
    while not (line := await lines.readline()).startswith(b"="):
        if not line:
            raise RuntimeError("the worker process ended before its time")
    return line[1:].decode()


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _compare(runs: list[Recorded], rounds: int) -> dict[str, Any]:
    """Milliseconds for everything that was kept, without branch capture and with it."""
    decides = [run for run in runs if run.details.info.workflow_type == "Decides"][:1]
    examples = [run for run in runs if run.details.info.workflow_type != "Decides"]
    return {
        "steps": sum(run.steps for run in examples),
        "examples": _arms(examples, rounds),
        "decides": _arms(decides, rounds),
    }


def _arms(runs: list[Recorded], rounds: int) -> dict[str, list[Spent]]:
    from tracer import BranchSettings

    arms: dict[str, list[Spent]] = {"without": [], "with": []}
    for _ in range(rounds):
        for arm, branches in (("without", None), ("with", BranchSettings())):
            # The first time the interpreter adapts the code to being watched, or not.
            _play(runs, branches)
            arms[arm].append(_play(runs, branches))
    return arms


def _play(runs: list[Recorded], branches: Any) -> Spent:
    """What the runs' activations cost with the tracer."""
    from opentelemetry.sdk.metrics import MeterProvider

    from tracer import TracerPlugin
    from tracer._sandbox import runner_watched_by
    from tracer.branches import process_watch

    provider, counted = _discarding()
    plugin = TracerPlugin(
        tracer_provider=provider, meter_provider=MeterProvider(), branches=branches
    )
    runners = {id(run.runner): runner_watched_by(plugin._emitter, run.runner) for run in runs}
    if branches is not None:
        for run in runs:
            process_watch().include(run.details.defn.cls)
    instances = asyncio.run(_instances(runs, runners))
    played = [(i, run.copies()) for i, run in zip(instances, runs, strict=True)]
    before, before_here = _cpu_seconds(), time.thread_time()
    for instance, activations in played:
        for act in activations:
            instance.activate(act)
    here = time.thread_time() - before_here
    plugin.flush()
    spent = _cpu_seconds() - before
    provider.shutdown()
    return spent * 1000, here * 1000, counted.total()


def _discarding() -> tuple[Any, Counter[str]]:
    """A provider whose spans go nowhere, and the branches among them."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )

    counted: Counter[str] = Counter()

    class Discard(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            counted.update(span.name for span in spans if span.name.startswith("branch "))
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Discard(), max_queue_size=100_000))
    return provider, counted


async def _instances(runs: list[Recorded], runners: dict[int, WorkflowRunner]) -> list[Any]:
    # The SDK makes them on its event loop, and runs them on threads without one.
    return [runners[id(run.runner)].create_instance(run.details) for run in runs]


@asynccontextmanager
async def _servers() -> AsyncIterator[dict[str, str]]:
    from examples.cargo_release import scenarios as cargo
    from examples.cargo_release.customs_server import CustomsServer
    from examples.kyc_review import worker as kyc
    from examples.model_server import ModelServer
    from examples.support_triage import worker as triage

    with (
        CustomsServer(cargo.RULES) as customs,
        ModelServer(kyc.SCRIPT) as kyc_models,
        ModelServer(triage.SCRIPT) as triage_models,
    ):
        yield {
            "cargo": customs.url,
            "kyc": kyc_models.base_url,
            "triage": triage_models.base_url,
        }


async def _load(client: Client) -> None:
    from examples.cargo_release import scenarios as cargo
    from examples.cargo_release import worker as cargo_worker
    from examples.kyc_review import scenarios as kyc
    from examples.kyc_review import worker as kyc_worker
    from examples.support_triage import scenarios as triage
    from examples.support_triage import worker as triage_worker

    prefix = str(uuid.uuid4())
    every = (
        (kyc.SCENARIOS, kyc_worker.TASK_QUEUE),
        (triage.SCENARIOS, triage_worker.TASK_QUEUE),
        (cargo.SCENARIOS, cargo_worker.TASK_QUEUE),
    )
    await asyncio.gather(
        *(
            scenario.run(client, prefix, task_queue=queue)
            for scenarios, queue in every
            for scenario in scenarios
        )
    )


async def main(rounds: int) -> None:
    """Start a server and print the table."""
    from temporalio.client import Client

    from replayer.embedded import TemporalServer

    with tempfile.TemporaryDirectory() as logs:
        async with TemporalServer.start(log_dir=Path(logs)) as server, _servers() as urls:
            client = await Client.connect(server.address)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "benchmarks.branches_live", "--rounds", str(rounds)),
                *("--worker", server.address, "--urls", json.dumps(urls)),
                cwd=_ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=2**24,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            await _told(process.stdout)
            process.stdin.write(b"tell\n")
            before = float(await _told(process.stdout))
            await _load(client)
            process.stdin.write(b"tell\n")
            spent = (float(await _told(process.stdout)) - before) * 1000
            await client.execute_workflow(
                "Decides", 100, id=f"decides-{uuid.uuid4()}", task_queue=_QUEUE
            )
            process.stdin.write(b"\n")
            figures = json.loads(await _told(process.stdout))
            await process.wait()
    _show(figures, spent, rounds)


def _show(figures: dict[str, Any], spent: float, rounds: int) -> None:
    steps = figures["steps"]
    examples, _, branches = _added(figures["examples"])
    decides, here, told = _added(figures["decides"])
    print(f"Python {sys.version.split()[0]}, medians of {rounds} interleaved rounds")
    print(f"examples, {steps} steps, {branches:.0f} branches told")
    print(f"  worker without tracer, CPU per step       {spent / steps:8.3f} ms")
    print(f"  branch capture adds, CPU per step         {examples / steps:8.3f} ms")
    print(f"  share                                     {100 * examples / spent:8.1f} %")
    print(f"one activation, 10,000 decisions, {told:.0f} of them told")
    print(f"  branch capture adds to the activation     {here:8.3f} ms")
    print(f"  and with their spans, on all threads      {decides:8.3f} ms")


def _added(arms: dict[str, list[Spent]]) -> tuple[float, ...]:
    pairs = zip(arms["with"], arms["without"], strict=True)
    rounds = [[a - b for a, b in zip(*pair, strict=True)] for pair in pairs]
    return tuple(statistics.median(values) for values in zip(*rounds, strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--urls", default="{}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        asyncio.run(work(arguments.worker, json.loads(arguments.urls), arguments.rounds))
    else:
        asyncio.run(main(arguments.rounds))
    # The SDK's threads may still log into a closing interpreter.
    time.sleep(0.5)
