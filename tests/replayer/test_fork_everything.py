"""A fork with nothing changed is the recording, whatever the run used."""

import pytest
from temporalio.client import WorkflowFailureError

from replayer.fork import ForkRequest, StopReason, fork_run
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
