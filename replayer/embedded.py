"""Temporal servers for a while: found on this machine, started on loopback, always stopped.

`TemporalServer` is the real server (the development server of the `temporal` program);
`TimeSkippingServer` is the test server whose clock jumps over timers. Both are found in one order:
an address somebody gives (then nothing is started or stopped), the program on PATH, the one a wheel
installed, the SDK's own download.

What this module promises: the server is ready when the block is entered (it answered real calls),
and gone when our process is, however that ends, even by SIGKILL. It never prints, and it never
leaves a server behind: a forgotten one holds memory and answers the next test with old data.

Importing it is cheap: the Temporal SDK is loaded when a server is asked for.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replayer._embedded_find import DEV_SERVER, TIME_SKIPPING_SERVER, Source
from replayer._embedded_launch import Launch, TemporalStartError, running
from replayer._embedded_process import LOOPBACK
from replayer._embedded_ready import Expectation, NotReadyError, check

if TYPE_CHECKING:
    from temporalio.client import Client

__all__ = ["Source", "TemporalServer", "TemporalStartError", "TimeSkippingServer"]

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):[0-9]{1,5}")
_ADDRESS_DEADLINE_S = 10.0
_DATABASE_GRACE_S = 5.0
# The server otherwise asks its makers on the internet whether there is a newer one.
_NO_CALLS_HOME = ("--dynamic-config-value", "frontend.enableServerVersionCheck=false")


@dataclass(frozen=True, slots=True)
class TemporalServer:
    """A Temporal server that is ready to be used."""

    address: str
    """`HOST:PORT` of the frontend."""
    source: Source
    """Where the server came from."""
    namespace: str = "default"
    """The namespace that clients of `connect` use."""
    ui_address: str | None = None
    """URL of the web UI, None without one."""
    log_file: Path | None = None
    """What the server printed, None when somebody else runs it."""
    connect_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `Client.connect` that every client of this server gets."""

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        address: str | None = None,
        *,
        log_dir: Path,
        namespace: str = "default",
        ui: bool = False,
        search_attributes: Mapping[str, str] | None = None,
        db_file: Path | None = None,
        extra_args: Sequence[str] = (),
        connect_options: Mapping[str, Any] | None = None,
    ) -> AsyncIterator["TemporalServer"]:
        """Start a development server for the length of the block, or use the one at `address`.

        Args:
            address: `HOST:PORT` of a server that runs already. It is checked, and left alone.
            log_dir: Folder for the server's log; made when missing.
            namespace: A namespace that the server is to have.
            ui: Also serve the web UI.
            search_attributes: Search attributes to register: name to type, as in
                `{"CustomerId": "Keyword"}`.
            db_file: SQLite file that keeps the server's state; in memory without it.
            extra_args: Further arguments of `temporal server start-dev`.
            connect_options: Arguments of `Client.connect` for the check and for every client.

        Raises:
            TemporalStartError: No server was found, it did not start, or it lacks the namespace or
                a search attribute.
        """
        attributes, options = search_attributes or {}, connect_options or {}
        if address is not None:
            await _check_address(Expectation(address, namespace, attributes, options))
            yield cls(address, Source.ADDRESS, namespace, connect_options=options)
            return

        def command(executable: Path, port: int, ui_port: int) -> list[str]:
            return [
                *(str(executable), "server", "start-dev"),
                *("--ip", LOOPBACK, "--port", str(port), "--namespace", namespace),
                *(("--ui-port", str(ui_port)) if ui else ("--headless",)),
                *(("--db-filename", str(db_file)) if db_file else ()),
                *(f"--search-attribute={name}={kind}" for name, kind in attributes.items()),
                *_NO_CALLS_HOME,
                *extra_args,
            ]

        launch = Launch(
            DEV_SERVER,
            command,
            log=log_dir / "temporal.log",
            grace=0 if db_file is None else _DATABASE_GRACE_S,
            ui=ui,
            namespace=namespace,
            search_attributes=attributes,
            connect_options=options,
        )
        async with running(launch) as started:
            yield cls(
                started.address,
                started.source,
                namespace,
                f"http://{LOOPBACK}:{started.ui_port}" if ui else None,
                started.log_file,
                options,
            )

    async def connect(self, **kwargs: Any) -> "Client":
        """Connect a new client to the server.

        Args:
            **kwargs: Arguments of `Client.connect`; they win over the server's own.
        """
        return await _connect(
            self.address, {"namespace": self.namespace, **self.connect_options, **kwargs}
        )


@dataclass(frozen=True, slots=True)
class TimeSkippingServer:
    """A test server whose clock can jump; it lacks some features of the real one.

    Its clock runs normally until `skipping` or `sleep` moves it, for all workflows at once.
    The program listens on every network interface and has no option against it.
    """

    address: str
    """`HOST:PORT` of the frontend."""
    source: Source
    """Where the server came from."""
    log_file: Path | None = None
    """What the server printed, None when somebody else runs it."""

    @classmethod
    @asynccontextmanager
    async def start(
        cls, address: str | None = None, *, log_dir: Path
    ) -> AsyncIterator["TimeSkippingServer"]:
        """Start a test server for the length of the block, or use the one at `address`.

        Args:
            address: `HOST:PORT` of a test server that runs already. It is checked, and left alone.
            log_dir: Folder for the server's log; made when missing.

        Raises:
            TemporalStartError: No server was found, or it did not start.
        """
        if address is not None:
            await _check_address(Expectation(address))
            yield cls(address, Source.ADDRESS)
            return
        launch = Launch(
            TIME_SKIPPING_SERVER,
            lambda executable, port, _: [str(executable), str(port)],
            log=log_dir / "temporal-test-server.log",
            grace=0,
        )
        async with running(launch) as started:
            yield cls(started.address, started.source, started.log_file)

    async def connect(self, **kwargs: Any) -> "Client":
        """Connect a new client to the server.

        Args:
            **kwargs: Arguments of `Client.connect`.
        """
        return await _connect(self.address, kwargs)

    @asynccontextmanager
    async def skipping(self, client: "Client") -> AsyncIterator[None]:
        """Let the clock jump to the next timer whenever nothing runs, inside the block."""
        from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest

        await client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            yield
        finally:
            await client.test_service.lock_time_skipping(LockTimeSkippingRequest())

    async def sleep(self, client: "Client", duration: timedelta) -> None:
        """Move the clock forward, firing what falls due on the way."""
        from temporalio.api.testservice.v1 import SleepRequest

        request = SleepRequest()
        request.duration.FromTimedelta(duration)
        await client.test_service.unlock_time_skipping_with_sleep(request)


async def _connect(address: str, options: Mapping[str, Any]) -> "Client":
    from temporalio.client import Client

    return await Client.connect(address, **options)


async def _check_address(expected: Expectation) -> None:
    if not _ADDRESS.fullmatch(expected.address):
        raise TemporalStartError(
            f"{expected.address!r} is not the address of a server: expected HOST:PORT, such as "
            f"{LOOPBACK}:7233"
        )
    try:
        async with asyncio.timeout(_ADDRESS_DEADLINE_S):
            await check(expected)
    except TimeoutError as error:
        raise TemporalStartError(
            f"Temporal at {expected.address} did not answer within {_ADDRESS_DEADLINE_S:.0f} s; "
            "check the address, or leave it out to have a server started"
        ) from error
    except NotReadyError as error:
        raise TemporalStartError(
            f"Temporal cannot be used: {error}; check the address and what that server has, "
            "or leave the address out to have a server started"
        ) from error
