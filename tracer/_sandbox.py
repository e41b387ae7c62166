"""Runners that watch: how the tracer gets between Temporal's worker and workflow code.

The SDK's sandboxed runner is extended, not hidden: plugins that come after ours look for it and add
modules to its restrictions. Any other runner is wrapped by delegation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tracer._emitter import Emitter
from tracer._runner import TracingRunner, watched

if TYPE_CHECKING:
    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

PASSED_THROUGH: Final = ("opentelemetry", "tracer")
"""Modules that workflow code shares with the worker: loaded anew for each run they would be slow,
and know nothing of the providers."""


@dataclass(frozen=True)
class TracingSandboxedRunner(SandboxedWorkflowRunner):
    """The SDK's sandboxed runner, with every instance that it makes watched."""

    emitter: Emitter = field(kw_only=True)

    def prepare_workflow(self, defn: Any) -> None:
        """Read the workflow's code, and what the base class does."""
        self.emitter.branching.include(defn)
        super().prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of the base class, watched."""
        return watched(super().create_instance(det), det, self.emitter)


def runner_sharing(runner: WorkflowRunner) -> WorkflowRunner:
    """The runner, sharing the tracer's modules with workflow code if it is the SDK's sandbox."""
    if type(runner) is not SandboxedWorkflowRunner:
        return runner
    restrictions = runner.restrictions.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions, runner_class=runner.runner_class)


def runner_watched_by(emitter: Emitter, runner: WorkflowRunner) -> WorkflowRunner:
    """The runner, with every instance that it makes watched."""
    shared = runner_sharing(runner)
    if type(shared) is not SandboxedWorkflowRunner:
        return TracingRunner(runner, emitter)
    return TracingSandboxedRunner(shared.restrictions, shared.runner_class, emitter=emitter)
