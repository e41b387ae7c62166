"""What workflow code asks for is the same with and without the tracer, but for headers."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.worker import Replayer, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.tracer import example_stage
from tests.tracer.feature_server import prepare
from tests.tracer.feature_workflows import QUEUE, WORKFLOWS, Features
from tests.tracer.telescope import working
from tracer import TracerPlugin
from tracer._emitter import Emitter
from tracer._runner import TracingRunner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PARTS = [
    "activities",
    "locals",
    "local_cancel",
    "local_backoff",
    "timers",
    "children",
    "child_cancels",
    "activity_cancels",
    "external",
    "nexus",
    "patches",
    "open_ends",
]


class _Recorder(WorkflowRunner):
    """A runner that keeps what its instances answer."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self.answers: list[bytes] = []

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: Any) -> Any:
        return _RecordedInstance(self._runner.create_instance(det), self.answers)


class _RecordedInstance:
    def __init__(self, instance: Any, answers: list[bytes]) -> None:
        self._instance = instance
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instance, name)

    def activate(self, act: Any) -> Any:
        completion = self._instance.activate(act)
        self._answers.append(_without_headers(completion))
        return completion


def _without_headers(completion: Any) -> bytes:
    answer = type(completion)()
    answer.CopyFrom(completion)
    for command in answer.successful.commands:
        attributes = getattr(command, command.WhichOneof("variant"))
        for field in ("headers", "nexus_header"):
            if field in attributes.DESCRIPTOR.fields_by_name:
                attributes.ClearField(field)
    return cast("bytes", answer.SerializeToString(deterministic=True))


async def answers(history: WorkflowHistory, workflows: list[type], *, traced: bool) -> list[bytes]:
    """What the code answers to each activation of a replay."""
    runner: WorkflowRunner = SandboxedWorkflowRunner()
    emitter = Emitter(TracerProvider(shutdown_on_exit=False))
    if traced:
        runner = TracingRunner(runner, emitter)
    recorder = _Recorder(runner)
    await Replayer(workflows=workflows, workflow_runner=recorder).replay_workflow(history)
    assert emitter.guard.errors == []
    return recorder.answers


async def recorded(client: Client, part: str) -> WorkflowHistory:
    handle = await client.start_workflow(
        Features.run, [part], id=f"stream-{uuid.uuid4()}", task_queue=QUEUE
    )
    with contextlib.suppress(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 60)
    return await handle.fetch_history()


@pytest_asyncio.fixture(params=[True, False], ids=["recorded traced", "recorded plain"])
async def client(temporal_address: str, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    await prepare(temporal_address)
    provider = TracerProvider(shutdown_on_exit=False)
    plugin = TracerPlugin(tracer_provider=provider) if request.param else None
    async with working(temporal_address, plugin) as client:
        yield client


async def test_commands_are_the_same_with_and_without_the_tracer(client: Client) -> None:
    for history in await asyncio.gather(*(recorded(client, part) for part in PARTS)):
        plain = await answers(history, WORKFLOWS, traced=False)
        traced = await answers(history, WORKFLOWS, traced=True)
        assert len(plain) > 2
        assert traced == plain


async def test_histories_of_the_examples_replay_with_the_tracer(temporal_address: str) -> None:
    """They were recorded by workers that knew nothing of it."""
    client = await Client.connect(temporal_address)
    async with example_stage.working(client):
        for name in example_stage.EXAMPLES:
            for result in await example_stage.play(client, name):
                handle = client.get_workflow_handle(result.workflow_id, run_id=result.run_id)
                history = await handle.fetch_history()
                if result.status == "RUNNING":
                    continue  # Stuck: its last task fails whoever replays it.
                plain = await answers(history, example_stage.WORKFLOWS, traced=False)
                traced = await answers(history, example_stage.WORKFLOWS, traced=True)
                assert traced == plain


async def test_a_tracer_may_come_and_go_while_a_run_is_open(temporal_address: str) -> None:
    """Without a cache, each worker replays what the other one did."""
    provider = TracerProvider(shutdown_on_exit=False)
    await prepare(temporal_address)
    plain = await Client.connect(temporal_address)
    handle = await plain.start_workflow(
        Features.run,
        ["activities", "approval", "timers", "approval", "patches"],
        id=f"relay-{uuid.uuid4()}",
        task_queue=QUEUE,
    )
    for plugin in (None, TracerPlugin(tracer_provider=provider), None):
        async with working(temporal_address, plugin, max_cached_workflows=0):
            assert await handle.execute_update(Features.work, "x") == "x"
    async with working(temporal_address, TracerPlugin(tracer_provider=provider)):
        await handle.execute_update(Features.approve, "ada")
        await asyncio.wait_for(handle.result(), 60)
    causes = [
        event.workflow_task_failed_event_attributes.failure.message
        for event in (await handle.fetch_history()).events
        if event.HasField("workflow_task_failed_event_attributes")
    ]
    assert causes == []
