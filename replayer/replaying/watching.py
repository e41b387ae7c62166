"""Watching a replay at the activation boundary, on the host side of the sandbox.

A hook sees the instance that is made, and each activation with the completion that answers it, in
the thread that runs the workflow code. It must not change what it sees. Both classes wrap by
delegation, so that methods which a new SDK adds keep working.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from temporalio.worker import WorkflowRunner

from replayer.replaying._onward import OnwardInstance

if TYPE_CHECKING:
    from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

__all__ = ["ReplayHook", "WatchingInstance", "WatchingRunner"]


_prepared: set[tuple[type, type]] = set()
"""Runners and the workflow classes that they were found to run, in this process."""


class ReplayHook:
    """Sees a replay; this one ignores all of it, so that others need only what they use.

    An exception of a hook fails the activation, and with it the replay.
    """

    def configured(self, arguments: Mapping[str, Any]) -> None:
        """The Replayer's arguments are final: those of the profile, as its plugins changed them."""

    def created(self, details: WorkflowInstanceDetails, instance: WorkflowInstance) -> None:
        """An instance was made for the run; once per replay, before its first activation."""

    def activating(self, activation: Any) -> None:
        """The workflow code is about to run.

        Args:
            activation: `WorkflowActivation`; an eviction at the end is one, too.
        """

    def activated(self, activation: Any, completion: Any) -> None:
        """The workflow code has run.

        Args:
            activation: `WorkflowActivation`.
            completion: `WorkflowActivationCompletion`, with the commands or the failure.
        """

    def broken(self, activation: Any, error: BaseException) -> None:
        """The activation raised instead of giving a completion."""


class WatchingRunner(WorkflowRunner):
    """Any workflow runner, with the instances that it makes watched."""

    def __init__(
        self,
        runner: WorkflowRunner,
        hook: ReplayHook,
        facts: Mapping[str, Any],
        local_results: Mapping[str, Any],
        *,
        wants_contexts: bool,
    ) -> None:
        """Wrap a runner.

        Args:
            runner: What makes the instances.
            hook: Who sees them.
            facts: Fields of `workflow.Info` that the SDK does not know on a replay: it tells code
                the run that a reset run was reset from, and a task queue of its own.
            local_results: What local activities give after the end of the history, by their type.
            wants_contexts: Whether payloads are read differently by whose they are.
        """
        self._runner = runner
        self._hook = hook
        self._facts = facts
        self._local_results = local_results
        self._wants_contexts = wants_contexts

    def prepare_workflow(self, defn: Any) -> None:
        """Pass on, once for each class: it imports the class's modules into a sandbox to try it.

        The SDK prepares every class for every replay, which costs more than most replays do.
        """
        known = (type(self._runner), defn.cls)
        if known not in _prepared:
            self._runner.prepare_workflow(defn)
            _prepared.add(known)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """Pass on."""
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance of the wrapped runner, watched."""
        info = dataclasses.replace(det.info, **self._facts)
        details = dataclasses.replace(det, info=info)
        instance = self._runner.create_instance(details)
        self._hook.created(details, instance)
        if not self._wants_contexts:
            instance = cast("WorkflowInstance", ContextFreeInstance(instance))
        watched = WatchingInstance(instance, self._hook)
        return cast("WorkflowInstance", OnwardInstance(watched, self._local_results))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


class ContextFreeInstance:
    """A workflow instance that is not asked whose a payload is, where nobody goes by the answer.

    The SDK asks for every payload several times over, each time through the sandbox: that is half
    of what a replay costs.
    """

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._store_context: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def get_serialization_context(self, _command: Any) -> None:
        """None."""

    def get_external_store_context(self, command: Any) -> Any:
        """The same for every command."""
        if self._store_context is None:
            inner: Any = self._instance
            self._store_context = inner.get_external_store_context(command)
        return self._store_context


class WatchingInstance:
    """A workflow instance whose activations a hook sees."""

    def __init__(self, instance: WorkflowInstance, hook: ReplayHook) -> None:
        self._instance = instance
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        """Let the workflow code run, and show what came in and out."""
        self._hook.activating(act)
        try:
            completion = self._instance.activate(act)
        except BaseException as error:
            self._hook.broken(act, error)
            raise
        self._hook.activated(act, completion)
        return completion
