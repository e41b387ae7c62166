"""The plugin: one line on the client, and every worker made from it is traced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from temporalio.plugin import SimplePlugin
from temporalio.worker import ReplayerConfig, WorkerConfig

from tracer._branching import DEFAULT_BRANCHES
from tracer._emitter import Chains, emitter_with
from tracer._guard import Guard
from tracer._interceptors import EmittingInterceptor
from tracer._sandbox import runner_watched_by
from tracer._tenant import TenantSource
from tracer.branches import BranchSettings
from tracer.limits import DEFAULT_LIMITS, Limits
from tracer.redaction.content import ContentPolicy
from tracer.sharing import WITH_OPENTELEMETRY, runner_sharing


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
        tenant: TenantSource | None = TenantSource(),  # noqa: B008 - a constant
        content: ContentPolicy = ContentPolicy(),  # noqa: B008 - a constant
        chains: Chains = "linked",
        branches: BranchSettings | None = DEFAULT_BRANCHES,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Create the plugin.

        Args:
            tracer_provider: Where spans go; the global provider if left out.
            meter_provider: Where metrics go; the global provider if left out.
            tenant: Where to look for whom a run is for; `None` leaves it out.
            content: Whose payloads are shown on spans. By default nobody's.
            chains: A run that continues another one has a trace of its own, linked to that of the
                other. `"nested"` puts it under the other, in one trace.
            branches: How much to capture of what workflow code decides; `None` captures nothing
                but what the code names with `decision`.
            limits: What to measure payloads, histories and activations against, if the server has
                other limits than Temporal's defaults.

        Raises:
            ValueError: `chains` is something else.
        """
        self._emitter = emitter_with(
            tracer_provider, meter_provider, tenant, content, chains, branches, limits
        )
        super().__init__(
            "retrospan.TracerPlugin",
            interceptors=[EmittingInterceptor(self._emitter)],
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
        self._emitter.workers.add(config)
        for name in ("workflow_runner", "unsandboxed_workflow_runner"):
            config[name] = runner_watched_by(self._emitter, config[name])
        return config

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Watch nothing of a replay.

        One of a history that is still open ends with `is_replaying` false: anything that watched
        it would report old steps as new ones.
        """
        runner = config.get("workflow_runner")
        if runner is not None:
            config["workflow_runner"] = runner_sharing(runner, WITH_OPENTELEMETRY)
        return config

    @asynccontextmanager
    async def _flushed(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self._emitter.memory.settled()
            self._emitter.flush()
