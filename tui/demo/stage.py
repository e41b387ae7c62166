"""Everything that a demo needs running: a collector, Temporal, the outside world, the workers.

Started in that order and stopped in reverse, whatever happens in between. The workers are those of
the examples, unchanged; the tracer comes in by one plugin on the client.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import trace
from temporalio.client import Client

import examples.cargo_release.worker
import examples.kyc_review.worker
import examples.support_triage.worker
from analytics.query import run_query
from analytics.writer import open_writer
from examples.cargo_release.customs_server import CustomsServer
from examples.cargo_release.scenarios import RULES
from examples.instrumentation import instrument_models, uninstrument_models
from examples.model_server import ModelServer
from replayer.embedded import TemporalServer
from tracer import Telemetry, TracerPlugin
from tui.cli.diagnostics import say
from tui.demo.collector import CollectorProcess, collecting
from tui.demo.elsewhere import exporting, runtime_of
from tui.demo.stored import histories

if TYPE_CHECKING:
    from examples.scenario import ScenarioResult
    from tui.demo import DemoOptions
    from tui.demo.place import Place

_PUBLISHED_SECONDS = 60.0
_LOG_LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs while the curtain is up."""

    place: Place
    client: Client
    server: TemporalServer
    collector: CollectorProcess
    telemetry: Telemetry
    plugin: TracerPlugin

    async def store(self, results: Sequence[ScenarioResult]) -> None:
        """Bring what these executions did into the warehouse. No worker may run any more."""
        say("Storing spans and histories …")
        items = [history async for history in histories(self.client, results)]
        self.plugin.flush()
        self.telemetry.shutdown()
        with open_writer(self.place.warehouse) as writer:
            writer.ingest(items)
        await self._published(len(items))

    async def _published(self, runs: int) -> None:
        """Wait until readers see as many runs: the collector publishes in its own time."""
        async with asyncio.timeout(_PUBLISHED_SECONDS):
            while self._seen() < runs:
                await asyncio.sleep(0.1)

    def _seen(self) -> int:
        [[count]] = run_query(self.place.warehouse, "SELECT count(*) FROM core.runs").rows
        return int(count)


@asynccontextmanager
async def on_stage(place: Place, options: DemoOptions) -> AsyncIterator[Stage]:
    """Start everything but the workers; stop it at the end.

    Raises:
        TemporalStartError: Temporal cannot be started.
        CommandError: The collector cannot be started.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_logged(place.logs / "workers.log"))
        collector = stack.enter_context(collecting(place.warehouse, place.logs / "collector.log"))
        telemetry, plugin = stack.enter_context(_telemetry(collector, options.otlp))
        say("Starting Temporal …")
        server = await stack.enter_async_context(
            TemporalServer.start(options.address, log_dir=place.logs, ui=options.keep)
        )
        client = await server.connect(plugins=[plugin], runtime=runtime_of(options.otlp))
        yield Stage(place, client, server, collector, telemetry, plugin)


@asynccontextmanager
async def working(stage: Stage) -> AsyncIterator[None]:
    """The workers of all examples, and the world that their activities call."""
    kyc, triage = examples.kyc_review.worker, examples.support_triage.worker
    cargo, client = examples.cargo_release.worker, stage.client
    with ExitStack() as outside:
        customs = outside.enter_context(CustomsServer(RULES))
        kyc_models = outside.enter_context(ModelServer(kyc.SCRIPT))
        triage_models = outside.enter_context(ModelServer(triage.SCRIPT))
        async with (
            kyc.worker(client, model_url=kyc_models.base_url),
            kyc.worker(
                client,
                model_url=kyc_models.base_url,
                workflow_class=kyc.FAULTY_WORKFLOW,
                task_queue=kyc.FAULTY_TASK_QUEUE,
            ),
            triage.worker(client, model_url=triage_models.base_url),
            cargo.worker(client, customs_url=customs.url),
        ):
            yield


async def stay(stage: Stage) -> None:
    """Keep Temporal and the collector running until Ctrl-C, and say where they are."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if stage.server.ui_address:
        say(f"Temporal UI   {stage.server.ui_address}")
    say(f"Temporal      {stage.server.address}")
    say(f"OTLP (gRPC)   {stage.collector.grpc_endpoint}")
    say("Press Ctrl-C to stop.")
    await stop.wait()


@contextmanager
def _telemetry(
    collector: CollectorProcess, otlp: str | None
) -> Iterator[tuple[Telemetry, TracerPlugin]]:
    telemetry = exporting(collector, otlp)
    # MCP clients know no provider but the global one.
    trace.set_tracer_provider(telemetry.tracer_provider)
    instrument_models(telemetry.tracer_provider, telemetry.meter_provider)
    plugin = TracerPlugin(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    try:
        yield telemetry, plugin
    finally:
        uninstrument_models()
        telemetry.shutdown()


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """Send all logging to a file: the failures of a demo are on purpose."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_LOG_LINE))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
