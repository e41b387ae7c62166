"""What runs in a child process: jobs come in on stdin, answers go out on what was stdout.

Whatever user code prints goes to stderr, so that it cannot be taken for an answer. The child ends
itself when its parent is gone, and when a job takes too long: `faulthandler` does that from a
thread that needs no interpreter, after it has written every stack to stderr. The parent has the
same limit with some grace, as a second net.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, BinaryIO

__all__ = ["Answer", "Task", "main", "read_message", "write_message"]

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Task:
    """One job for a child."""

    job: Callable[[Any], Any]
    argument: Any
    seconds: float
    """Its time limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job."""

    value: Any = None
    error: BaseException | None = None
    trace: str = ""
    """Of the error."""
    is_last: bool = False
    """The child ends after this answer: something of the job still runs in it."""


def main() -> None:
    """Do the jobs that come in, one after the other, until the parent closes stdin."""
    answers = _take_stdout()
    _limit_memory(int(sys.argv[2]))
    # What the SDK logs about a replay that fails is in its answer, too.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    write_message(answers, b"ready")
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    threading.Thread(target=_read_tasks, args=(tasks,), daemon=True).start()
    while (task := tasks.get()) is not None:
        faulthandler.dump_traceback_later(task.seconds, exit=True)
        answer = _answer(task)
        faulthandler.cancel_dump_traceback_later()
        _write_answer(answers, answer)
        if answer.is_last:
            break
    # Threads of the SDK's runtime make an orderly exit of the interpreter abort at times.
    os._exit(0)


def read_message(stream: BinaryIO) -> bytes | None:
    """The next message, `None` at the end of the stream."""
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(head)
    body = stream.read(length)
    return body if len(body) == length else None


def write_message(stream: BinaryIO, body: bytes) -> None:
    """Write a message whole."""
    stream.write(len(body).to_bytes(_LENGTH_BYTES) + body)
    stream.flush()


def _take_stdout() -> BinaryIO:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _limit_memory(limit: int) -> None:
    if not limit or sys.platform == "win32":
        return
    import resource

    # Data, not address space: the SDK's runtime reserves far more addresses than it ever uses.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _read_tasks(tasks: SimpleQueue[Task | None]) -> None:
    stream = os.fdopen(os.dup(0), "rb")
    while (message := read_message(stream)) is not None:
        try:
            tasks.put(pickle.loads(message))
        except Exception as error:  # noqa: BLE001 - the job's module does not import
            tasks.put(Task(_raise, error, 60))
    # Nobody waits for the answer any more, whatever the job is doing.
    os._exit(0)


def _raise(error: BaseException) -> None:
    raise error


def _answer(task: Task) -> Answer:
    try:
        value = task.job(task.argument)
        pickle.dumps(value)
        return Answer(value, is_last=_must_end())
    except BaseException as error:  # noqa: BLE001 - also SystemExit of user code is the job's end
        return Answer(None, error, traceback.format_exc(), is_last=_must_end())


def _must_end() -> bool:
    replaying = sys.modules.get("replayer.replaying.running")
    return replaying is not None and bool(replaying.has_abandoned_replays())


def _write_answer(answers: BinaryIO, answer: Answer) -> None:
    try:
        body = pickle.dumps(answer)
        pickle.loads(body)
    except Exception:  # noqa: BLE001 - whatever an exception's own code raises
        # Errors of user code need not survive the way: their text does.
        error = RuntimeError(f"{type(answer.error).__name__}: {answer.error}")
        body = pickle.dumps(Answer(None, error, answer.trace, answer.is_last))
    write_message(answers, body)
