"""Modules that workflow code shares with what is around the sandbox."""

from __future__ import annotations

from typing import Final

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

__all__ = ["TRACER", "WITH_OPENTELEMETRY", "runner_sharing"]

TRACER: Final = ("tracer",)
"""What a replay shares: code that names its decisions then names them where somebody listens."""
WITH_OPENTELEMETRY: Final = ("opentelemetry", "tracer")
"""What a worker shares: loaded anew for each run they would be slow, and know nothing of the
providers."""


def runner_sharing(runner: WorkflowRunner, modules: tuple[str, ...]) -> WorkflowRunner:
    """The runner, sharing modules with workflow code if it is the SDK's own sandbox."""
    if type(runner) is not SandboxedWorkflowRunner:
        return runner
    restrictions = runner.restrictions.with_passthrough_modules(*modules)
    return SandboxedWorkflowRunner(restrictions=restrictions, runner_class=runner.runner_class)
