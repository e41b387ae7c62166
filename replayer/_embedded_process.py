"""One server process of ours: its ports, its log, its end.

Every server is started through the supervisor, so nothing here has to be reached for the server to
end; `stop` only makes it happen now and waits for it. The log is a file and never our own stdout,
which belongs to the data of whoever uses us.
"""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LOOPBACK = "127.0.0.1"
STOP_DEADLINE_S = 10.0
_SUPERVISOR = Path(__file__).with_name("_embedded_supervisor.py")
_LOG_TAIL_LINES = 3
_LOG_TAIL_BYTES = 4096
_BIND_FAILURE = re.compile(
    r"address already in use|failed to bind|only one usage of each socket address", re.IGNORECASE
)
_NOT_PRINTABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[^\x20-\x7e\n]")


def free_port() -> int:
    """Choose a loopback port that nobody else will be given for about a minute.

    A connection is made over it and closed from the listening side first. That leaves the port in
    TIME_WAIT: the system hands it to no one who asks for any free port, while a server that asks
    for this very port (with SO_REUSEADDR, as Go and Java do) gets it.
    """
    with socket.socket() as listener:
        if os.name == "posix":  # without it, Linux refuses a port in TIME_WAIT even to the server
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, 0))
        listener.listen(1)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            accepted.close()
        return int(listener.getsockname()[1])


async def accepts_connections(port: int) -> bool:
    """Tell whether someone listens on a loopback port."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server under supervision."""

    supervisor: subprocess.Popen[bytes]
    """The supervisor; its standard input is the pipe that keeps the server alive."""
    log_file: Path
    """What the server and the supervisor printed."""

    @classmethod
    def start(cls, command: Sequence[str], *, log: Path, grace: float) -> "ServerProcess":
        """Start a server.

        Args:
            command: The program and its arguments.
            log: The file for its output; a number is added when it exists, so none is lost.
            grace: Seconds that the server gets to end by itself before it is killed.

        Raises:
            OSError: The log cannot be created, or Python cannot be run.
        """
        with _create_log(log) as log_stream:
            supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=log_stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(supervisor, Path(log_stream.name))

    def exit_code(self) -> int | None:
        """Return the exit code of a server that ended, None while it runs."""
        return self.supervisor.poll()

    def failed_to_bind(self) -> bool:
        """Tell whether the log says that a port was taken; the test server stays up after that."""
        return _BIND_FAILURE.search(self._log_text()) is not None

    def last_lines(self) -> str:
        """Return the end of what the server said, on one line and without control characters."""
        lines = (line.strip() for line in self._log_text()[-_LOG_TAIL_BYTES:].splitlines())
        said = [line for line in lines if line and not line.startswith("supervisor: process")]
        return _NOT_PRINTABLE.sub("", " | ".join(said[-_LOG_TAIL_LINES:]))

    def _log_text(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    async def stop(self) -> None:
        """End the server and wait until it is gone. Does nothing the second time."""
        self._let_go()
        try:
            await asyncio.to_thread(self.supervisor.wait, STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()

    def _let_go(self) -> None:
        # This alone ends the server, and no cancellation can come between.
        pipe = self.supervisor.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):  # the supervisor is gone already
            pipe.write(b"\n")
            pipe.flush()
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def _create_log(wanted: Path) -> IO[bytes]:
    wanted.parent.mkdir(parents=True, exist_ok=True)
    path, number = wanted, 1
    while True:
        try:
            return path.open("xb")
        except FileExistsError:
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-{number}")
