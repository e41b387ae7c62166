"""What an eviction tells of the workflow task before it.

The SDK's core takes a run out of the cache when the task's answer was refused, and says why. That
is how a worker learns of what it cannot see in workflow code: nondeterminism, which the core finds,
a deadlock, after which the worker gives up on the code, and an answer that the server did not take.
"""

from __future__ import annotations

import re
from typing import Final

from tracer.model.failures import task_failure_kind
from tracer.model.words import Failure, Outcome, TaskFailureKind, WorkflowTask

NONDETERMINISM: Final = 3
LANG_FAIL: Final = 4
TASK_NOT_FOUND: Final = 6
UNHANDLED_COMMAND: Final = 7
FATAL: Final = 8
EXECUTION_ENDING: Final = 10
"""Of `RemoveFromCache.EvictionReason` in the SDK core's protocol, as are those above."""

REFUSED: Final = frozenset({NONDETERMINISM, LANG_FAIL, TASK_NOT_FOUND, UNHANDLED_COMMAND, FATAL})
"""Reasons that say that the last task does not count."""

_CAUSES = {
    NONDETERMINISM: "NON_DETERMINISTIC_ERROR",
    LANG_FAIL: "WORKFLOW_WORKER_UNHANDLED_FAILURE",
    UNHANDLED_COMMAND: "UNHANDLED_COMMAND",
    FATAL: "",
}
_REPORT_REFUSED = "Error reporting WFT to server"
"""With this message a fatal eviction is the server's answer; others are trouble of the worker."""

_PAYLOAD_LIMIT = 2 * 1024 * 1024

# The failure comes as Rust prints it for debugging; its own message is the first one in there.
_MESSAGE = re.compile(r'\bmessage: "((?:[^"\\]|\\.)*)"', re.DOTALL)
_TYPE = re.compile(r'\br#type: "((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def failed_task(
    reason: int, message: str, task_id: int, largest_payload: int, at: int
) -> WorkflowTask | None:
    """The workflow task whose failure an eviction tells, or `None` if it tells of none.

    Args:
        reason: Of the eviction.
        message: Of the eviction.
        task_id: How the worker knows the run's last task.
        largest_payload: Bytes of the largest payload in the task's answer.
        at: The present, in nanoseconds.
    """
    cause = _CAUSES.get(reason)
    if cause is None or (reason == FATAL and not message.startswith(_REPORT_REFUSED)):
        return None
    failure = _failure(message) if reason in (NONDETERMINISM, LANG_FAIL) else None
    task = WorkflowTask(at, started_at=at, started_event_id=task_id, closed_at=at)
    task.outcome, task.cause, task.failure = Outcome.FAILED, cause, failure
    task.failure_kind = task_failure_kind(cause, failure)
    if reason == FATAL and largest_payload > _PAYLOAD_LIMIT:
        task.failure_kind = TaskFailureKind.PAYLOAD_SIZE
    return task


def _failure(message: str) -> Failure:
    text, error_type = _MESSAGE.search(message), _TYPE.search(message)
    return Failure(
        "application",
        _unescaped(error_type[1]) if error_type else "",
        _unescaped(text[1]) if text else message,
    )


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return _ESCAPED.get(match[2], match[2])

    return _ESCAPE.sub(character, text)
