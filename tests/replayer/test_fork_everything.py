"""A fork with nothing changed is the recording, whatever the run used."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from replayer.fork import Forker, ForkRequest, StopReason, fork_run
from replayer.history import RunHistory, read_bytes
from replayer.replaying import ReplayStatus, replay
from tests.replayer.fork_lab import differences, history_of, model_of, start, worker
from tests.replayer.forked_workflows import Everything
from tracer.model import StepKind

pytestmark = pytest.mark.slow

CODE = ("tests.replayer.forked_workflows",)


async def recorded_everything(address: str) -> RunHistory:
    async with worker(address) as client:
        bell = await start(client, "Sleeper")
        handle = await start(client, "Everything", bell.id)
        await handle.signal("tell", "early")
        await handle.execute_update("ask", "a question")
        await handle.signal("tell", "go")
        await handle.result()
        await bell.terminate()
        return await history_of(client, handle)


async def test_a_fork_with_nothing_changed_is_the_recording(temporal_address: str) -> None:
    recording = await recorded_everything(temporal_address)
    kinds = {step.kind for step in model_of(recording).steps}
    assert kinds >= set(StepKind) - {StepKind.NEXUS_OPERATION, StepKind.CANCEL_EXTERNAL}
    fork = await fork_run(recording, ForkRequest(CODE))
    assert fork.report.stopped is StopReason.CLOSED, fork.report
    assert fork.report.parted_at == ""
    assert differences(fork.history, recording) == []
    # The stored history tells by itself which run it is, and replays with the same code.
    [again] = read_bytes(fork.history.raw, uri="stored.json")
    assert isinstance(again, RunHistory)
    assert again.key.run_id == fork.history.key.run_id != recording.key.run_id
    outcome = replay(again, [Everything])
    assert outcome.status is ReplayStatus.OK, outcome.failure


@pytest.mark.parametrize("moment", ["at once", "in the same task", "in another task"])
async def test_a_child_that_is_canceled_while_it_starts(temporal_address: str, moment: str) -> None:
    # Whether a child has started by then is up to the server.
    async with worker(temporal_address) as client:
        handles = [await start(client, "Fickle", moment) for _ in range(3)]
        for handle in handles:
            await handle.result()
        recordings = [await history_of(client, handle) for handle in handles]
    async with Forker() as forker:
        for recording in recordings:
            fork = await forker.fork(recording, ForkRequest(CODE))
            assert fork.report.parted_at == ""
            assert fork.report.stopped is StopReason.CLOSED
            assert differences(fork.history, recording) == []


@pytest.mark.parametrize("told", [False, True])
async def test_a_run_that_is_canceled_while_its_child_starts(
    temporal_address: str, told: bool
) -> None:
    async with worker(temporal_address) as client:
        handle = await start(client, "Fickle", "when told")
        if told:
            await child_started(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        recording = await history_of(client, handle)
    fork = await fork_run(recording, ForkRequest(CODE))
    assert fork.report.parted_at == ""
    assert differences(fork.history, recording) == []


async def child_started(handle: WorkflowHandle[Any, Any]) -> None:
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.HasField("child_workflow_execution_started_event_attributes"):
            return


async def test_how_the_recording_ended_is_reproduced(temporal_address: str) -> None:
    async with worker(temporal_address) as client:
        terminated = await start(client, "Sleeper")
        canceled = await start(client, "Sleeper")
        running = await start(client, "Sleeper")
        for handle in (terminated, canceled, running):
            await handle.signal("ring", "up")
        await canceled.cancel()
        with pytest.raises(WorkflowFailureError):
            await canceled.result()
        await terminated.terminate("enough")
        histories = [await history_of(client, h) for h in (terminated, canceled, running)]
        await running.terminate()
    for history in histories:
        fork = await fork_run(history, ForkRequest(CODE))
        assert differences(fork.history, history) == []
        assert model_of(fork.history).close_reason == model_of(history).close_reason
