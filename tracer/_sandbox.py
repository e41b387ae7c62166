"""Runners that watch: how the tracer gets between Temporal's worker and workflow code.

The SDK's sandboxed runner is extended, not hidden: plugins that come after ours look for it and add
modules to its restrictions. Any other runner is wrapped by delegation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tracer._emitter import Emitter
from tracer._runner import TracingRunner, watched
from tracer.sharing import WITH_OPENTELEMETRY, runner_sharing

if TYPE_CHECKING:
    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails


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


def runner_watched_by(emitter: Emitter, runner: WorkflowRunner) -> WorkflowRunner:
    """The runner, with every instance that it makes watched."""
    shared = runner_sharing(runner, WITH_OPENTELEMETRY)
    if type(shared) is not SandboxedWorkflowRunner:
        return TracingRunner(runner, emitter)
    return TracingSandboxedRunner(shared.restrictions, shared.runner_class, emitter=emitter)
