"""Why a tape ends where it ends, and that it always does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from replayer.history import RunHistory, from_server
from replayer.replaying import Limits, LoadError
from replayer.tape import Kind, Stop, StopKind, Tape, TapeError, open_tape, record
from tests.replayer import replayed_workflows
from tests.replayer.replayed_workflows import Order, Reordered
from tests.replayer.tape_workflows import TapedUnsandboxed, TapedWaiting
from tests.replayer.taping import history_of, lines, started, taped, told, working

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(temporal_address: str) -> AsyncIterator[Client]:
    async with (
        working(temporal_address) as client,
        Worker(
            client,
            task_queue=replayed_workflows.QUEUE,
            workflows=[Order],
            activities=replayed_workflows.ACTIVITIES,
        ),
    ):
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def order(client: Client) -> RunHistory:
    handle = await client.start_workflow(
        Order.run, id="an-order", task_queue=replayed_workflows.QUEUE
    )
    await handle.result()
    return await from_server(client, handle.id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(client: Client) -> RunHistory:
    handle = await started(client, TapedUnsandboxed, ["a", "bb"])
    await handle.execute_update("close", "enough")
    await handle.result()
    return await history_of(client, handle)


async def until(handle: WorkflowHandle[Any, Any], attribute: str) -> RunHistory:
    """The history up to the first event of a kind, and what came with it."""
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.HasField(attribute):  # type: ignore[arg-type]
            return await history_of(handle._client, handle)
    raise AssertionError(attribute)


@pytest.mark.parametrize(
    ("what", "attribute", "stop"),
    [
        (
            "timer",
            "timer_started_event_attributes",
            Stop(
                StopKind.WAITING,
                "waits for timer the day after (event 5), a signal or an update",
            ),
        ),
        (
            "activity",
            "activity_task_scheduled_event_attributes",
            Stop(StopKind.WAITING, "waits for activity weigh (event 5)"),
        ),
        (
            "signal",
            "workflow_task_completed_event_attributes",
            Stop(StopKind.WAITING, "waits for a signal or an update"),
        ),
        (
            "error",
            "workflow_task_failed_event_attributes",
            Stop(StopKind.FAILED, "RuntimeError: this code is wrong"),
        ),
    ],
)
async def test_an_open_run_gives_a_tape_up_to_where_it_is_stuck(
    client: Client, tmp_path: Path, what: str, attribute: str, stop: Stop
) -> None:
    handle = await started(client, TapedWaiting, what)
    history = await until(handle, attribute)
    await handle.terminate()
    recorded = taped(history, TapedWaiting, tmp_path)
    with recorded.open() as tape:
        assert tape.stop == stop
        run = [at for at in lines(tape) if tape.at(at).function == "TapedWaiting.run"]
        assert tape.state_at(run[-1]).stack[0].function == "TapedWaiting.run"
        if what == "error":
            kinds = [tape.at(at).kind for at in range(len(tape))]
            assert kinds.count(Kind.EXCEPTION) == kinds.count(Kind.UNWIND) == 1


async def test_a_run_that_was_terminated_says_so(client: Client, tmp_path: Path) -> None:
    handle = await started(client, TapedWaiting, "signal")
    await until(handle, "workflow_task_completed_event_attributes")
    await handle.terminate(reason="enough of it")
    history = await history_of(client, handle)
    assert taped(history, TapedWaiting, tmp_path).stop == Stop(
        StopKind.CLOSED, "terminated: enough of it"
    )


def shown(tape: Tape, end: int) -> list[tuple[Kind, str, int]]:
    places = map(tape.at, range(end))
    return [(place.kind, place.function, place.line) for place in places]


async def test_every_beginning_of_a_history_gives_the_beginning_of_the_tape(
    built: RunHistory, tmp_path: Path
) -> None:
    with taped(built, TapedUnsandboxed, tmp_path).open() as whole:
        for length in range(3, len(built.events)):
            cut = replace(built, events=built.events[:length])
            recorded = taped(cut, TapedUnsandboxed, tmp_path)
            assert recorded.stop.kind is StopKind.WAITING, length
            with recorded.open() as tape:
                # What the last activation brings differs: the history may go on within its task.
                count = tape.activation_count
                end = tape.activation(count - 1).first if count else 0
                assert shown(tape, end) == shown(whole, end)


async def test_what_a_cut_history_does_not_have_is_named(order: RunHistory, tmp_path: Path) -> None:
    stops = [
        taped(replace(order, events=order.events[:length]), Order, tmp_path).stop.text
        for length in range(3, len(order.events))
    ]
    assert stops[0] == "waits for activity charge (not in the history)"
    assert "waits for activity charge (event 5)" in stops
    assert "waits for timer 1 (not in the history)" in stops
    assert "waits for timer 1 (event 11), a signal or an update" in stops
    assert stops[-1].endswith("where the code ends the run")


async def test_other_code_than_the_run_had_is_told(order: RunHistory, tmp_path: Path) -> None:
    recorded = taped(order, Reordered, tmp_path)
    assert recorded.stop.kind is StopKind.NONDETERMINISM
    assert "TMPRL1100" in recorded.stop.text
    assert "\n" not in recorded.stop.text
    with recorded.open() as tape:
        assert lines(tape)


async def test_code_that_does_not_come_back_is_ended(order: RunHistory, tmp_path: Path) -> None:
    path = tmp_path / "sleepless.tape"
    stop = record(
        order, ["tests.replayer.replayed_workflows:Sleepless"], path, limits=Limits(seconds=3)
    )
    assert stop == Stop(StopKind.STUCK, "the recording took longer than 3 s")
    with open_tape(path) as tape:
        assert tape.stop == stop
        assert len(tape) > 1000
        assert tape.at(len(tape) - 1).function == "Sleepless.run"
        told(tape.state_at(len(tape) - 1))
    assert [file.name for file in tmp_path.iterdir()] == ["sleepless.tape"]


async def test_a_tape_that_is_full_ends(built: RunHistory, tmp_path: Path) -> None:
    recorded = taped(built, TapedUnsandboxed, tmp_path, most_positions=30)
    assert recorded.stop == Stop(StopKind.FULL, "the tape is full after 30 positions")
    with recorded.open() as tape:
        assert 30 <= len(tape) <= 32
        told(tape.state_at(len(tape) - 1))


async def test_a_tape_made_in_a_child_is_the_same(built: RunHistory, tmp_path: Path) -> None:
    path = tmp_path / "child.tape"
    stop = record(built, ["tests.replayer.tape_workflows"], path)
    here = taped(built, TapedUnsandboxed, tmp_path)
    assert stop == here.stop
    with open_tape(path) as child, here.open() as tape:
        assert child.head == tape.head
        assert len(child) == len(tape)
        for position in range(len(tape)):
            assert child.at(position) == tape.at(position)
            assert told(child.state_at(position)) == told(tape.state_at(position))
        assert child.branches() == tape.branches()


async def test_what_cannot_be_recorded_leaves_things_as_they_were(
    order: RunHistory, tmp_path: Path
) -> None:
    path = tmp_path / "precious.json"
    path.write_text("{}")
    spec = "tests.replayer.replayed_workflows:Order"
    with pytest.raises(TapeError, match="exists and is no tape"):
        record(order, [spec], path)
    tape = tmp_path / "good.tape"
    record(order, [spec], tape)
    before = tape.read_bytes()
    with pytest.raises(LoadError, match="no_such"):
        record(order, ["no_such:Thing"], tape)
    with pytest.raises(LoadError, match=r"is of workflow type 'Order'; the code given has Impat"):
        record(order, ["tests.replayer.replayed_workflows:Impatient"], tape)
    with pytest.raises(TapeError, match="cannot be written: there is no folder"):
        record(order, [spec], tmp_path / "nowhere" / "x.tape")
    assert path.read_text() == "{}"
    assert tape.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"precious.json", "good.tape"}
