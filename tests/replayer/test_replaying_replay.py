"""Replays by the SDK, under the run's real ids, watched at the activation boundary."""

import dataclasses
import json
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker, WorkflowRunner

from replayer.check import VerdictStatus, check_replay
from replayer.history import RunHistory, from_server
from replayer.replaying import (
    PLAIN,
    Child,
    Limits,
    PackedHistory,
    ReplayHook,
    ReplayOutcome,
    ReplayProfile,
    ReplayStatus,
    WatchingRunner,
    replay,
    run_in_child,
)
from tests.replayer.replayed_workflows import (
    ACTIVITIES,
    QUEUE,
    Blocking,
    Broken,
    Dice,
    Impatient,
    Order,
    Registered,
    Reordered,
    Sleepless,
)
from tests.replayer.replaying_jobs import process_id


class Seen(ReplayHook):
    """Remembers what a hook is told."""

    def __init__(self) -> None:
        self.run_ids: list[str] = []
        self.namespaces: list[str] = []
        self.task_queues: list[str] = []
        self.jobs: list[str] = []
        self.commands: list[str] = []
        self.last: Any = None
        self.threads: set[int] = set()

    def created(self, details: Any, instance: Any) -> None:
        self.run_ids.append(details.info.run_id)
        self.namespaces.append(details.info.namespace)
        self.task_queues.append(details.info.task_queue)

    def activating(self, activation: Any) -> None:
        self.jobs += [job.WhichOneof("variant") for job in activation.jobs]
        self.threads.add(threading.get_ident())

    def activated(self, activation: Any, completion: Any) -> None:
        for command in completion.successful.commands:
            self.commands.append(command.WhichOneof("variant"))
            self.last = command

    def result(self) -> Any:
        """What the run returned."""
        return json.loads(self.last.complete_workflow_execution.result.data)


@asynccontextmanager
async def working(address: str, workflow: type) -> AsyncIterator[Client]:
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=[workflow], activities=ACTIVITIES):
        yield client


async def started(client: Client, workflow: type) -> WorkflowHandle[Any, Any]:
    name = workflow.__name__
    return await client.start_workflow(name, id=f"{name}-{uuid.uuid4()}", task_queue=QUEUE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def order(temporal_address: str) -> RunHistory:
    """A run of `Order`."""
    async with working(temporal_address, Order) as client:
        handle = await started(client, Order)
        await handle.result()
        return await from_server(client, handle.id)


def replay_packed(packed: PackedHistory) -> ReplayOutcome:
    return replay(packed.unpacked(), [Order])


def replay_blocking(packed: PackedHistory) -> ReplayOutcome:
    return replay(packed.unpacked(), [Blocking], PLAIN.unsandboxed(), quiet_seconds=3)


@pytest.mark.parametrize("profile", [PLAIN, PLAIN.unsandboxed()], ids=["sandboxed", "not"])
async def test_the_same_code_replays_under_the_real_ids(order: RunHistory, profile: Any) -> None:
    seen = Seen()
    outcome = replay(order, [Order], profile, hook=seen)
    assert outcome == ReplayOutcome(ReplayStatus.OK)
    assert seen.run_ids == [order.key.run_id]
    assert seen.namespaces == ["default"]
    assert seen.jobs[0] == "initialize_workflow"
    assert seen.commands == ["schedule_activity", "start_timer", "complete_workflow_execution"]
    assert threading.get_ident() not in seen.threads


async def test_other_code_fails_in_the_words_of_the_sdk(order: RunHistory) -> None:
    outcome = replay(order, [Reordered])
    assert outcome.status is ReplayStatus.FAILED
    assert outcome.is_nondeterminism
    assert "TMPRL1100" in outcome.failure


async def test_a_runner_can_be_wrapped_further(order: RunHistory) -> None:
    wrapped: list[WorkflowRunner] = []

    def wrap(runner: WorkflowRunner) -> WorkflowRunner:
        wrapped.append(runner)
        return runner

    replay(order, [Order], runner_wrapper=wrap)
    assert all(isinstance(runner, WatchingRunner) for runner in wrapped)
    assert len(wrapped) == 2


async def test_an_unregistered_workflow_is_said_so(order: RunHistory) -> None:
    outcome = replay(order, [Impatient])
    assert outcome.status is ReplayStatus.FAILED
    assert "Order is not registered" in outcome.failure


async def test_a_reset_run_replays_under_its_own_run_id(temporal_address: str) -> None:
    async with working(temporal_address, Dice) as client:
        handle = await started(client, Dice)
        await handle.result()
        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                workflow_task_finish_event_id=await second_task(handle),
                request_id=str(uuid.uuid4()),
            )
        )
        again = client.get_workflow_handle(handle.id, run_id=answer.run_id)
        thrown = await again.result()
        history = await from_server(client, handle.id, answer.run_id)
    seen = Seen()
    assert replay(history, [Dice], hook=seen).status is ReplayStatus.OK
    assert seen.run_ids == [answer.run_id]
    assert seen.task_queues == [QUEUE]
    # Random numbers are those of the run it was reset from up to there, and its own from there on.
    assert seen.result() == thrown
    recorded = history.events[0].workflow_execution_started_event_attributes
    assert recorded.original_execution_run_id != answer.run_id


async def second_task(handle: WorkflowHandle[Any, Any]) -> int:
    tasks = [
        event.event_id
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return tasks[1]


async def test_an_open_run_replays_as_far_as_it_goes(temporal_address: str) -> None:
    async with working(temporal_address, Impatient) as client:
        handle = await started(client, Impatient)
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("timer_started_event_attributes"):
                break
        history = await from_server(client, handle.id)
        await handle.terminate()
    assert replay(history, [Impatient]).status is ReplayStatus.OK


async def test_a_run_that_no_worker_has_looked_at_replays(order: RunHistory) -> None:
    for length in (1, 2):
        young = dataclasses.replace(order, events=order.events[:length])
        assert replay(young, [Order]).status is ReplayStatus.OK


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registered(temporal_address: str) -> RunHistory:
    """A run of `Registered`."""
    async with working(temporal_address, Registered) as client:
        handle = await started(client, Registered)
        await handle.result()
        return await from_server(client, handle.id)


def within_first_task(history: RunHistory) -> RunHistory:
    """As a history is while its first workflow task runs, or when that task has failed."""
    return dataclasses.replace(history, events=history.events[:3])


async def test_a_task_that_waits_for_a_local_activity_replays(registered: RunHistory) -> None:
    seen = Seen()
    outcome = replay(within_first_task(registered), [Registered], hook=seen, quiet_seconds=3)
    assert outcome == ReplayOutcome(ReplayStatus.OK)
    assert seen.commands == ["schedule_local_activity"]
    assert seen.jobs[:-1] == ["initialize_workflow"]


async def test_local_activities_with_known_results_let_it_go_on(registered: RunHistory) -> None:
    seen = Seen()
    profile = ReplayProfile(local_results={"charge": "charged"})
    outcome = replay(within_first_task(registered), [Registered], profile, hook=seen)
    assert outcome == ReplayOutcome(ReplayStatus.OK)
    assert seen.commands == ["schedule_local_activity", "schedule_local_activity", "start_timer"]


async def test_recorded_local_activities_give_what_they_gave(registered: RunHistory) -> None:
    seen = Seen()
    profile = ReplayProfile(local_results={"charge": "never"})
    assert replay(registered, [Registered], profile, hook=seen).status is ReplayStatus.OK
    assert seen.result() == "charged 7, charged 8"


async def test_a_task_fails_where_it_failed_after_its_local_activities(
    registered: RunHistory,
) -> None:
    profile = ReplayProfile(local_results={"charge": "charged"})
    stuck = within_first_task(registered)
    verdict = check_replay(stuck, [Broken], profile)
    assert verdict.status is VerdictStatus.FAILED
    assert verdict.explanation is not None
    assert verdict.explanation.sdk == "RuntimeError: not ready"
    assert check_replay(stuck, [Registered], profile).status is VerdictStatus.OK
    assert check_replay(stuck, [Broken]).status is VerdictStatus.OK


async def test_workflows_of_a_profile_are_registered(order: RunHistory) -> None:
    profile = ReplayProfile(workflows=(Order,))
    assert replay(order, [Impatient], profile).status is ReplayStatus.OK


async def test_a_history_passes_to_a_child(order: RunHistory) -> None:
    packed = PackedHistory.of(order)
    assert packed.unpacked().events == order.events
    assert run_in_child(replay_packed, packed).status is ReplayStatus.OK


async def test_code_that_blocks_is_a_deadlock_and_shows_where(order: RunHistory) -> None:
    packed = PackedHistory.of(order)
    child = Child(Limits(seconds=30))
    try:
        first = child.do(process_id, None)
        outcome = child.do(replay_blocking, packed)
        assert outcome.status is ReplayStatus.FAILED
        assert "TMPRL1101" in outcome.failure
        assert "replayed_workflows.py" in outcome.stack
        # The blocked thread is gone with its process.
        assert child.do(process_id, None) != first
    finally:
        child.close()


async def test_code_that_spins_is_a_deadlock(order: RunHistory) -> None:
    outcome = replay(order, [Sleepless], PLAIN.unsandboxed())
    assert outcome.status is ReplayStatus.FAILED
    assert "TMPRL1101" in outcome.failure


async def test_a_history_of_an_old_server_without_a_run_id(order: RunHistory) -> None:
    packed = PackedHistory.of(order).unpacked()
    packed.events[0].workflow_execution_started_event_attributes.original_execution_run_id = ""
    assert replay(packed, [Order]).status is ReplayStatus.OK
    started = packed.events[0].workflow_execution_started_event_attributes
    assert started.original_execution_run_id == ""


def test_the_wrapper_takes_whatever_the_sdk_passes() -> None:
    # A new argument of the Replayer that a profile cannot carry shows here.
    known = set(Replayer.__init__.__kwdefaults__ or {}) | {"workflows"}
    ours = {
        "workflows",
        "workflow_task_executor",
        "namespace",
        "runtime",
        *PLAIN.arguments(),
    }
    left_out = {"build_id", "identity", "debug_mode", "disable_safe_workflow_eviction"}
    assert known == ours | left_out
