"""The embedded servers, on the real programs: ready when entered, gone when left."""

import asyncio
import contextlib
import re
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from replayer import _embedded_launch
from replayer._embedded_process import LOOPBACK, free_port
from replayer.embedded import Source, TemporalServer, TemporalStartError, TimeSkippingServer

QUEUE = "embedded-test"


@workflow.defn(sandboxed=False)
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return f"hello {name}"


@workflow.defn(sandboxed=False)
class OneDay:
    @workflow.run
    async def run(self) -> float:
        before = workflow.now()
        await workflow.sleep(timedelta(days=1))
        return (workflow.now() - before).total_seconds()


async def greet(client: Client, workflow_id: str = "greeting") -> str:
    async with Worker(client, task_queue=QUEUE, workflows=[Greeting]):
        return await client.execute_workflow(
            Greeting.run, "world", id=workflow_id, task_queue=QUEUE
        )


def process_of(log_file: Path | None) -> int:
    """The server's process id, which its log says."""
    assert log_file is not None
    match = re.search(r"supervisor: process (\d+): ", log_file.read_text())
    assert match is not None
    return int(match[1])


def is_running(process: int) -> bool:
    """Whether a process runs; one that ended and was not yet reaped does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    """A port that no server can have and where nobody answers."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        yield int(holder.getsockname()[1])


def choose_first(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Make the first choice of a port `port`; the next ones are real."""
    choices = iter([port])
    monkeypatch.setattr(_embedded_launch, "free_port", lambda: next(choices, None) or free_port())


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    async with TemporalServer.start(log_dir=tmp_path / "running") as server:
        yield server


@needs_proc
async def test_a_workflow_runs_and_the_server_is_gone_afterwards(tmp_path: Path) -> None:
    async with TemporalServer.start(log_dir=tmp_path) as server:
        assert await greet(await server.connect()) == "hello world"
        assert server.address.startswith(f"{LOOPBACK}:")
        assert server.source in {Source.PATH, Source.WHEEL}
        assert server.ui_address is None
        process = process_of(server.log_file)
        assert is_running(process)
    assert not is_running(process)
    assert server.log_file is not None
    assert "ended with code" in server.log_file.read_text()


@needs_proc
async def test_the_server_is_gone_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with TemporalServer.start(log_dir=tmp_path) as server:
            raise ZeroDivisionError
    assert not is_running(process_of(server.log_file))


@needs_proc
async def test_the_server_is_gone_after_a_cancellation(tmp_path: Path) -> None:
    ready: asyncio.Future[TemporalServer] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with TemporalServer.start(log_dir=tmp_path) as server:
            ready.set_result(server)
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    server = await ready
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(process_of(server.log_file))


@needs_proc
async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def start() -> None:
        async with TemporalServer.start(log_dir=tmp_path):
            raise AssertionError("it was to be cancelled first")

    task = asyncio.create_task(start())
    log = tmp_path / "temporal.log"
    while not (log.exists() and "\n" in log.read_text()):
        await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(process_of(log))


async def test_the_namespace_and_search_attributes_are_there_at_once(tmp_path: Path) -> None:
    attributes = {"CustomerId": "Keyword", "Amount": "Double"}
    async with (
        TemporalServer.start(
            log_dir=tmp_path, namespace="cargo", search_attributes=attributes
        ) as server,
        # A second user of the same server finds all of it, so nothing is raised here.
        TemporalServer.start(
            server.address, log_dir=tmp_path, namespace="cargo", search_attributes=attributes
        ),
    ):
        client = await server.connect()
        assert client.namespace == "cargo"
        assert await greet(client) == "hello world"


async def test_the_ui_answers_when_it_was_asked_for(tmp_path: Path) -> None:
    async with TemporalServer.start(log_dir=tmp_path, ui=True) as server:
        address = server.ui_address
        assert address is not None
        assert address.startswith(f"http://{LOOPBACK}:")
        assert await asyncio.to_thread(status_of, address) == 200


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as response:
        return int(response.status)


async def test_a_database_file_outlives_the_server(tmp_path: Path) -> None:
    file = tmp_path / "temporal.db"
    async with TemporalServer.start(log_dir=tmp_path, db_file=file) as server:
        await greet(await server.connect(), "kept")
    async with TemporalServer.start(log_dir=tmp_path, db_file=file) as server:
        client = await server.connect()
        assert await client.get_workflow_handle("kept").result() == "hello world"


async def test_a_second_server_keeps_the_first_ones_log(tmp_path: Path) -> None:
    async with TimeSkippingServer.start(log_dir=tmp_path) as first:
        pass
    async with TimeSkippingServer.start(log_dir=tmp_path) as second:
        pass
    assert first.log_file is not None
    assert first.log_file.exists()
    assert first.log_file != second.log_file


async def test_another_port_is_taken_when_the_first_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with taken_port() as port:
        choose_first(monkeypatch, port)
        async with TemporalServer.start(log_dir=tmp_path) as server:
            assert server.address != f"{LOOPBACK}:{port}"
            assert await greet(await server.connect()) == "hello world"
    assert "address already in use" in (tmp_path / "temporal.log").read_text()


async def test_the_test_server_changes_a_lost_port_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with taken_port() as port:
        choose_first(monkeypatch, port)
        async with TimeSkippingServer.start(log_dir=tmp_path) as server:
            assert server.address != f"{LOOPBACK}:{port}"
    assert "Address already in use" in (tmp_path / "temporal-test-server.log").read_text()


async def test_another_temporal_on_our_port_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with TimeSkippingServer.start(log_dir=tmp_path) as first:
        choose_first(monkeypatch, int(first.address.rpartition(":")[2]))
        async with TimeSkippingServer.start(log_dir=tmp_path) as second:
            assert second.address != first.address


async def test_it_gives_up_when_every_port_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with taken_port() as port:
        monkeypatch.setattr(_embedded_launch, "free_port", lambda: port)
        with pytest.raises(TemporalStartError, match="were taken by others") as caught:
            async with TemporalServer.start(log_dir=tmp_path):
                pass
    assert "\n" not in str(caught.value)


async def test_an_address_is_used_and_left_alone(running: TemporalServer, tmp_path: Path) -> None:
    log_dir = tmp_path / "unused"
    async with TemporalServer.start(running.address, log_dir=log_dir) as server:
        assert (server.address, server.source) == (running.address, Source.ADDRESS)
        assert await greet(await server.connect()) == "hello world"
    assert server.log_file is None
    assert not log_dir.exists()
    client = await running.connect()
    assert await client.get_workflow_handle("greeting").result() == "hello world"


async def test_an_address_without_the_namespace_is_refused(
    running: TemporalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TemporalStartError, match="has no namespace 'absent'"):
        async with TemporalServer.start(running.address, log_dir=tmp_path, namespace="absent"):
            pass


async def test_an_address_without_a_search_attribute_is_refused(
    running: TemporalServer, tmp_path: Path
) -> None:
    wanted = {"Absent": "Keyword"}
    with pytest.raises(TemporalStartError, match="has no search attribute Absent"):
        async with TemporalServer.start(
            running.address, log_dir=tmp_path, search_attributes=wanted
        ):
            pass


async def test_an_address_where_nobody_answers_is_refused(tmp_path: Path) -> None:
    with taken_port() as port:
        pass
    with pytest.raises(TemporalStartError, match=rf"{port} does not answer \(Connection") as caught:
        async with TemporalServer.start(f"{LOOPBACK}:{port}", log_dir=tmp_path):
            pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "127.0.0.1", "http://127.0.0.1:7233", "127.0.0.1:1\n", "a b:1", ":1"],
)
async def test_what_is_not_an_address_is_refused(tmp_path: Path, address: str) -> None:
    for kind in (TemporalServer, TimeSkippingServer):
        with pytest.raises(TemporalStartError, match="expected HOST:PORT") as caught:
            async with kind.start(address, log_dir=tmp_path):
                pass
        assert "\n" not in str(caught.value)


async def test_an_impossible_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemporalStartError, match="99999 does not answer"):
        async with TemporalServer.start(f"{LOOPBACK}:99999", log_dir=tmp_path):
            pass


async def test_a_timer_of_a_day_fires_at_once_when_time_is_skipped(tmp_path: Path) -> None:
    async with TimeSkippingServer.start(log_dir=tmp_path) as server:
        client = await server.connect()
        async with Worker(client, task_queue=QUEUE, workflows=[OneDay]), asyncio.timeout(10):
            handle = await client.start_workflow(OneDay.run, id="one-day", task_queue=QUEUE)
            async with server.skipping(client):
                slept = await handle.result()
    assert slept >= 86_400


async def test_the_clock_moves_as_far_as_it_is_told(tmp_path: Path) -> None:
    async with TimeSkippingServer.start(log_dir=tmp_path) as server:
        client = await server.connect()
        async with Worker(client, task_queue=QUEUE, workflows=[OneDay]), asyncio.timeout(10):
            handle = await client.start_workflow(OneDay.run, id="one-day", task_queue=QUEUE)
            await server.sleep(client, timedelta(hours=23))
            assert (await handle.describe()).close_time is None
            await server.sleep(client, timedelta(hours=2))
            assert await handle.result() >= 86_400


@needs_proc
async def test_the_test_server_is_gone_afterwards(tmp_path: Path) -> None:
    async with TimeSkippingServer.start(log_dir=tmp_path) as server:
        process = process_of(server.log_file)
        assert is_running(process)
    assert not is_running(process)


async def test_a_test_server_at_an_address_is_left_alone(tmp_path: Path) -> None:
    async with TimeSkippingServer.start(log_dir=tmp_path) as running:
        async with TimeSkippingServer.start(running.address, log_dir=tmp_path) as server:
            assert server.source is Source.ADDRESS
        await running.connect()
