"""One replay in this process, by the SDK's own Replayer, under the run's real ids.

Ids of child workflows and idempotency keys are often made from the workflow's id and the run id, so
that a replay under other ids finds differences that no worker would.

The Replayer has no time limit of its own, and some histories stop it for good: a marker that never
came, code that blocks and cannot be interrupted. So it runs in a thread; when nothing has moved for
some seconds the replay is `STUCK`, the thread is given up, and the process should be replaced. Use
`run_in_child` for whatever runs other people's code.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import RemoveFromCache
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, WithSerializationContext
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Plugin, Replayer, WorkflowRunner
from temporalio.workflow import NondeterminismError

from replayer.history import RunHistory
from replayer.replaying.profile import PLAIN, ReplayProfile
from replayer.replaying.watching import ReplayHook, WatchingRunner
from tracer.sharing import TRACER, runner_sharing

__all__ = ["QUIET_SECONDS", "ReplayOutcome", "ReplayStatus", "has_abandoned_replays", "replay"]

QUIET_SECONDS = 10.0
"""Five times the SDK's own limit for workflow code that does not yield."""

_TICK_SECONDS = 0.25

type RunnerWrapper = Callable[[WorkflowRunner], WorkflowRunner]


class ReplayStatus(StrEnum):
    """How a replay ended."""

    OK = "ok"
    """The code asks for what the history recorded, as far as the history goes."""
    FAILED = "failed"
    """The SDK refused: nondeterminism, or a workflow task that fails."""
    STUCK = "stuck"
    """Nothing moved any more."""


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """How a replay ended, in the SDK's words."""

    status: ReplayStatus
    failure: str = ""
    """What the SDK said, or what the replay was stuck at; empty when it is OK."""
    is_nondeterminism: bool = False
    """The SDK called it that."""
    stack: str = ""
    """Where Python was, as a traceback, when the failure is not the SDK's answer to the history."""


def replay(
    history: RunHistory,
    workflows: Sequence[type],
    profile: ReplayProfile = PLAIN,
    *,
    hook: ReplayHook | None = None,
    runner_wrapper: RunnerWrapper | None = None,
    quiet_seconds: float = QUIET_SECONDS,
) -> ReplayOutcome:
    """Replay a run from its history.

    Args:
        history: The run; may be open or truncated.
        workflows: Classes that may be its workflow.
        profile: What its worker was made with.
        hook: Sees each activation and its completion, in the thread that runs workflow code.
        runner_wrapper: Wraps the runner further, outside of what serves the hook.
        quiet_seconds: Without a movement for so long, the replay is stuck.
    """
    started = "workflow_task_started_event_attributes"
    if not any(event.WhichOneof("attributes") == started for event in history.events):
        # No worker has looked at it yet: nothing can be replayed, and the SDK would wait for ever.
        return ReplayOutcome(ReplayStatus.OK)
    progress = _Progress(hook or ReplayHook())
    plugin = _WatchPlugin(progress, _facts(history), profile.local_results, runner_wrapper)
    found: list[ReplayOutcome] = []

    def run() -> None:
        found.append(_replayed(history, workflows, profile, plugin))

    thread = threading.Thread(target=run, name="retrospan-replay", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_TICK_SECONDS)
        if thread.is_alive() and progress.quiet_for() > quiet_seconds:
            _abandoned.append(thread)
            return progress.stuck()
    return found[0]


def has_abandoned_replays() -> bool:
    """Whether a replay was given up here: its threads still run, the process should be replaced."""
    return bool(_abandoned)


_abandoned: list[threading.Thread] = []


def _replayed(
    history: RunHistory, workflows: Sequence[type], profile: ReplayProfile, plugin: _WatchPlugin
) -> ReplayOutcome:
    try:
        return asyncio.run(_replay(history, workflows, profile, plugin))
    except Exception as error:  # noqa: BLE001 - plugins and workflow modules are other people's
        text = f"{type(error).__name__}: {error}"
        if error.__cause__ is not None:
            text += f": {type(error.__cause__).__name__}: {error.__cause__}"
        stack = "".join(traceback.format_exception(error))
        return ReplayOutcome(ReplayStatus.FAILED, text, stack=stack)


async def _replay(
    history: RunHistory, workflows: Sequence[type], profile: ReplayProfile, plugin: _WatchPlugin
) -> ReplayOutcome:
    # A pool of our own: the default one is joined at exit, which a blocked thread would hold up.
    executor = ThreadPoolExecutor(thread_name_prefix="retrospan-workflow")
    arguments = profile.arguments()
    arguments["plugins"] = [*arguments["plugins"], plugin]
    try:
        replayer = Replayer(
            workflows=profile.with_own(workflows),
            workflow_task_executor=executor,
            namespace=history.key.namespace,
            runtime=_silent_runtime(),
            **arguments,
        )
        events = [_with_run_id(history.events[0], history.key.run_id), *history.events[1:]]
        recorded = WorkflowHistory(history.key.workflow_id, events)
        result = await replayer.replay_workflow(recorded, raise_on_replay_failure=False)
    finally:
        executor.shutdown(wait=False)
    failure = result.replay_failure
    if failure is None:
        return ReplayOutcome(ReplayStatus.OK)
    is_nondeterminism = isinstance(failure, NondeterminismError)
    return ReplayOutcome(ReplayStatus.FAILED, str(failure), is_nondeterminism)


def _facts(history: RunHistory) -> dict[str, Any]:
    """What the SDK would tell workflow code otherwise."""
    facts: dict[str, Any] = {"run_id": history.key.run_id}
    started = history.events[0].workflow_execution_started_event_attributes
    if started.task_queue.name:
        # Activities and children without a task queue of their own get the run's.
        facts["task_queue"] = started.task_queue.name
    return facts


def _with_run_id(first: HistoryEvent, run_id: str) -> HistoryEvent:
    """The first event with a run id: the SDK refuses histories of servers that recorded none."""
    if first.workflow_execution_started_event_attributes.original_execution_run_id:
        # Of a reset run it is another run's, and has to stay: random numbers are seeded with it.
        return first
    copy = HistoryEvent()
    copy.CopyFrom(first)
    copy.workflow_execution_started_event_attributes.original_execution_run_id = run_id
    return copy


@functools.cache
def _silent_runtime() -> Runtime:
    """A runtime that does not log: the default one prints to stdout, which is for data."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


def _wants_contexts(converter: DataConverter) -> bool:
    """Whether a codec, or a store of payloads elsewhere, goes by whose a payload is.

    Payload and failure converters do, too, but are asked within the workflow.
    """
    if getattr(converter, "external_storage", None) is not None:
        return True
    return isinstance(converter.payload_codec, WithSerializationContext)


class _WatchPlugin(Plugin):
    """Wraps the runners last, when the plugins of the profile have chosen theirs."""

    def __init__(
        self,
        hook: ReplayHook,
        facts: Mapping[str, Any],
        local_results: Mapping[str, Any],
        wrapper: RunnerWrapper | None,
    ) -> None:
        self._hook = hook
        self._facts = facts
        self._local_results = local_results
        self._wrapper = wrapper

    def configure_replayer(self, config: Any) -> Any:
        self._hook.configured(config)
        for name in ("workflow_runner", "unsandboxed_workflow_runner"):
            shared = runner_sharing(config[name], TRACER)
            runner: WorkflowRunner = WatchingRunner(
                shared,
                self._hook,
                self._facts,
                self._local_results,
                wants_contexts=_wants_contexts(config["data_converter"]),
            )
            config[name] = self._wrapper(runner) if self._wrapper is not None else runner
        return config

    def run_replayer(
        self, replayer: Any, histories: Any, next: Callable[..., Any]
    ) -> AbstractAsyncContextManager[Any]:
        context: AbstractAsyncContextManager[Any] = next(replayer, histories)
        return context

    def configure_worker(self, config: Any) -> Any:
        return config

    async def run_worker(self, worker: Any, next: Callable[..., Any]) -> None:
        await next(worker)


class _Progress(ReplayHook):
    """Passes everything on to a hook, and knows when something last moved, and where."""

    def __init__(self, hook: ReplayHook) -> None:
        self._hook = hook
        self._moved_at = time.monotonic()
        self._running_thread: int | None = None
        self._evicted_for: RemoveFromCache | None = None

    def quiet_for(self) -> float:
        """Seconds since something moved."""
        return time.monotonic() - self._moved_at

    def stuck(self) -> ReplayOutcome:
        """Say where it is stuck."""
        thread = self._running_thread
        frame = None if thread is None else sys._current_frames().get(thread)
        stack = "" if frame is None else "".join(traceback.format_stack(frame))
        eviction = self._evicted_for
        if eviction is not None and eviction.message:
            # The SDK has its answer, and only cannot get rid of the workflow's thread.
            is_nondeterminism = eviction.reason == RemoveFromCache.NONDETERMINISM
            return ReplayOutcome(
                ReplayStatus.FAILED, eviction.message, is_nondeterminism, stack=stack
            )
        said = "the replay waits for something that the history does not have"
        if stack:
            said = "workflow code does not yield, and cannot be interrupted"
        return ReplayOutcome(ReplayStatus.STUCK, said, stack=stack)

    def configured(self, arguments: Mapping[str, Any]) -> None:
        self._hook.configured(arguments)

    def created(self, details: Any, instance: Any) -> None:
        self._moved_at = time.monotonic()
        self._hook.created(details, instance)

    def activating(self, activation: Any) -> None:
        eviction = _eviction_of(activation)
        if eviction is None:
            self._moved_at = time.monotonic()
            self._running_thread = threading.get_ident()
        elif self._evicted_for is None:
            # Only the first: the SDK tries again for ever, which is no movement.
            self._evicted_for = eviction
            self._moved_at = time.monotonic()
        self._hook.activating(activation)

    def activated(self, activation: Any, completion: Any) -> None:
        self._hook.activated(activation, completion)
        self._ran(activation)

    def broken(self, activation: Any, error: BaseException) -> None:
        self._hook.broken(activation, error)
        self._ran(activation)

    def _ran(self, activation: Any) -> None:
        if _eviction_of(activation) is None:
            self._running_thread = None
            self._moved_at = time.monotonic()


def _eviction_of(activation: Any) -> RemoveFromCache | None:
    for job in activation.jobs:
        if job.HasField("remove_from_cache"):
            eviction: RemoveFromCache = job.remove_from_cache
            return eviction
    return None
