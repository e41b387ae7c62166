"""The plugin: one line on the client, and every worker made from it is traced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from temporalio.plugin import SimplePlugin
from temporalio.worker import ReplayerConfig, WorkerConfig

from tracer._emitter import Emitter
from tracer._guard import Guard
from tracer._interceptors import TracerInterceptor
from tracer._runner import TracingRunner


class TracerPlugin(SimplePlugin):
    """Traces every run, step and attempt of a Temporal client's workers.

    Register it on the client only; workers inherit it:

        client = await Client.connect("localhost:7233", plugins=[TracerPlugin()])

    Workflow code needs no change. A `Replayer` with this plugin emits nothing.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Create the plugin.

        Args:
            tracer_provider: Where spans go; the global provider if left out.
            meter_provider: Where metrics go; the global provider if left out.
        """
        self._emitter = Emitter(tracer_provider, meter_provider)
        super().__init__(
            "retrospan.TracerPlugin",
            interceptors=[TracerInterceptor(self._emitter)],
            run_context=self._flushed,
        )

    @property
    def guard(self) -> Guard:
        """The tracer's own errors, for health checks and tests."""
        return self._emitter.guard

    @property
    def dropped_spans(self) -> int:
        """Spans lost because processors could not keep up."""
        return self._emitter.dropped

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Hand all finished spans to the provider's processors; whether that came in time."""
        return self._emitter.flush(timeout_seconds)

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """See base class."""
        config = super().configure_worker(config)
        config["workflow_runner"] = TracingRunner(config["workflow_runner"], self._emitter)
        config["unsandboxed_workflow_runner"] = TracingRunner(
            config["unsandboxed_workflow_runner"], self._emitter
        )
        return config

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Leave the replayer alone.

        A replay of a history that is still open ends with `is_replaying` false: anything that
        watched it would report old steps as new ones.
        """
        return config

    @asynccontextmanager
    async def _flushed(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._emitter.flush()
