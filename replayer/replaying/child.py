"""Jobs in child processes: a hard time limit, a memory limit, and nothing left behind.

A job is a function at the top of a module with one argument that can be pickled. Its child is a
fresh interpreter, which has none of the caller's state but its `sys.path` and current folder.
Children are leaders of process groups of their own, so that Ctrl-C reaches the caller alone, who
ends them; when the caller is gone, however it ended, they end themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from replayer.replaying._child_main import Answer, Task, read_message, write_message
from replayer.replaying.errors import ChildCrashed, ChildError, ChildOutOfMemory, ChildTimedOut

__all__ = ["DEFAULT_LIMITS", "Child", "Limits", "run_in_child"]

_GIB = 1 << 30
_GRACE_SECONDS = 10.0
"""Between the limit that a child ends itself at, and the one that it is ended at: its first job has
to be imported, too."""
_START_SECONDS = 60.0
_KEPT_TALK = 64 << 10
_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from replayer.replaying._child_main import main; main()"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may take."""

    seconds: float = 60.0
    """Until its child is ended; the start of the child is not counted."""
    memory_bytes: int = 2 * _GIB
    """Of the child's data; 0 for no limit. Where the system has no such limit there is none."""


DEFAULT_LIMITS = Limits()


def run_in_child[A, R](job: Callable[[A], R], argument: A, *, limits: Limits = DEFAULT_LIMITS) -> R:
    """Do a job in a child process of its own.

    Raises:
        ChildError: The child gave no answer: it took too long, too much memory, or crashed.
        BaseException: What the job raised; a note has its traceback.
    """
    child = Child(limits)
    try:
        return child.do(job, argument)
    finally:
        child.close()


class Child:
    """One child process, for one job after another; use it from one thread at a time."""

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        *,
        folder: Path | None = None,
        paths: Sequence[str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        """Start nothing yet.

        Args:
            limits: For each job.
            folder: Where the child runs; the current one by default.
            paths: Its `sys.path`; that of this process by default.
            flags: For its Python, such as `-B`.
        """
        self._limits = limits
        self._folder = folder
        self._paths = paths
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self._talk = bytearray()
        self._listener: threading.Thread | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def do[A, R](self, job: Callable[[A], R], argument: A) -> R:
        """Do a job; a child that does not live, or that died of the last job, is started.

        Raises:
            ChildError: The child gave no answer; it is gone.
            BaseException: What the job raised.
        """
        task = Task(job, argument, self._limits.seconds)
        process = self._running()
        self._talk.clear()
        answer = self._answer(process, pickle.dumps(task))
        if answer.is_last:
            self.end()
        if answer.error is not None:
            if answer.trace:
                answer.error.add_note(f"In the child process:\n{answer.trace}")
            raise answer.error
        value: R = answer.value
        return value

    def close(self) -> None:
        """End the child, whatever it does; it cannot be used any more. May be called from anywhere.

        Calling it again does nothing.
        """
        self._is_closed = True
        self.end()

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise ChildCrashed("the child process was closed")
            if self._process is not None and self._process.poll() is not None:
                self._bury(self._process)
                self._process = None
            if self._process is None:
                self._process = self._started()
            return self._process

    def _started(self) -> subprocess.Popen[bytes]:
        paths = json.dumps([str(Path(path).absolute()) for path in self._paths or sys.path])
        memory = str(self._limits.memory_bytes)
        process = subprocess.Popen(
            [sys.executable, *self._flags, "-c", _BOOTSTRAP, paths, memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            start_new_session=True,
        )
        self._talk.clear()
        self._listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
        self._listener.start()
        is_ready = False
        try:
            is_ready = self._message(process, _START_SECONDS) is not None
        finally:
            if not is_ready:
                self._bury(process)
        if not is_ready:
            raise ChildCrashed("its process does not start", self._said())
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while part := os.read(process.stderr.fileno(), _KEPT_TALK):
                self._talk += part
                del self._talk[:-_KEPT_TALK]

    def _answer(self, process: subprocess.Popen[bytes], message: bytes) -> Answer:
        threading.Thread(target=_send, args=(process, message), daemon=True).start()
        body = self._message(process, self._limits.seconds + _GRACE_SECONDS)
        if body is None:
            raise self._lost(process)
        answer: Answer = pickle.loads(body)
        return answer

    def _message(self, process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """The child's next message; `None` when it ended, or was ended after so many seconds."""
        watchdog = threading.Timer(seconds, _kill, (process,))
        watchdog.daemon = True
        watchdog.start()
        try:
            return read_message(cast("BinaryIO", process.stdout))
        except (OSError, ValueError):
            return None
        finally:
            watchdog.cancel()

    def _lost(self, process: subprocess.Popen[bytes]) -> ChildError:
        """Why the child ended without an answer."""
        self.end()
        code, talk = process.wait(), self._said()
        if code == -signal.SIGKILL or ("Timeout (" in talk and "most recent call first" in talk):
            return ChildTimedOut(f"took longer than {self._limits.seconds:g} s", talk)
        if "MemoryError" in talk or "memory allocation" in talk:
            limit = self._limits.memory_bytes / _GIB
            return ChildOutOfMemory(f"took more than {limit:.3g} GiB of memory", talk)
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return ChildCrashed(f"its process ended with {ended}", talk)

    def _said(self) -> str:
        return bytes(self._talk).decode(errors="replace")

    def end(self) -> None:
        """End the process; the next job starts another."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            self._bury(process)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and what it started, and close our ends of its pipes."""
        _kill(process)
        process.wait()
        if self._listener is not None:
            self._listener.join(_GRACE_SECONDS)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _send(process: subprocess.Popen[bytes], message: bytes) -> None:
    # In a thread: a child that died, or that does not read, must not hold the caller up.
    with contextlib.suppress(OSError, ValueError):
        write_message(cast("BinaryIO", process.stdin), message)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    # The group: what user code started in the child goes with it.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
