"""The tracer without plugins: for programs whose framework makes the client or worker for them."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tracer._branching import DEFAULT_BRANCHES
from tracer._emitter import Chains, emitter_with
from tracer._guard import Guard
from tracer._interceptors import EmittingInterceptor
from tracer._sandbox import runner_watched_by
from tracer._tenant import TenantSource
from tracer.branches import BranchSettings
from tracer.limits import DEFAULT_LIMITS, Limits
from tracer.redaction.content import ContentPolicy


class TracerInterceptor(EmittingInterceptor):
    """What `TracerPlugin` does, in the two parts that it consists of.

        tracing = TracerInterceptor()
        client = await Client.connect("localhost:7233", interceptors=[tracing])
        worker = Worker(client, ..., workflow_runner=tracing_runner(tracing))

    Register it on the client only; workers inherit it. Without the runner there are the spans of
    clients and of attempts, and none of runs and steps.
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
        """Create the interceptor. The arguments are those of `TracerPlugin`.

        Raises:
            ValueError: `chains` is neither `"linked"` nor `"nested"`.
        """
        super().__init__(
            emitter_with(tracer_provider, meter_provider, tenant, content, chains, branches, limits)
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
        """Hand all finished spans to the provider's processors; whether that came in time.

        Call it after the worker has stopped, before the provider is shut down.
        """
        return self._emitter.flush(timeout_seconds)


def tracing_runner(
    tracing: TracerInterceptor, runner: WorkflowRunner | None = None
) -> WorkflowRunner:
    """The workflow runner of a worker whose runs and steps shall be traced.

    Give it to no `Replayer`: what it replays would be told as if it happened.

    Args:
        tracing: The interceptor that the worker's client has.
        runner: The runner to watch; the SDK's sandboxed one if left out. Workers with workflows
            that are not sandboxed need
            `unsandboxed_workflow_runner=tracing_runner(tracing, UnsandboxedWorkflowRunner())` too.
    """
    return runner_watched_by(tracing._emitter, runner or SandboxedWorkflowRunner())
