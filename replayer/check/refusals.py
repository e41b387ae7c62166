"""What the SDK says when it refuses, read as far as it can be.

A refusal comes as a debug dump of the SDK's core, in which the message and the traceback are quoted
strings. A failure that workflow code caused is better read from the completion of its activation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from replayer.check.issuing import Place, frames_of_text
from replayer.check.model import ChangeKind

__all__ = ["Refusal", "refusal_of_failure", "refusal_of_text"]

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_MESSAGE = re.compile(rf"message: {_QUOTED}")
_TRACE = re.compile(rf"stack_trace: {_QUOTED}")
_EVENT = re.compile(r"HistoryEvent\(id: (\d+)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_SHORT = 400

_KINDS = (
    (ChangeKind.DEADLOCK, ("TMPRL1101", "Potential deadlock detected")),
    (ChangeKind.UNREGISTERED, ("is not registered on this worker",)),
    (
        ChangeKind.SANDBOX,
        ("RestrictedWorkflowAccessError", "from inside a workflow", "Failed validating workflow"),
    ),
    (
        ChangeKind.PAYLOAD,
        (
            "TMPRL1103",
            "Failed decoding arguments",
            "Failed decoding",
            "Failed converting",
            "Failed encoding",
            "Unknown payload encoding",
            "Cannot deserialize",
            "missing 1 required positional argument",
            "takes 1 positional argument but",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the SDK would not go on."""

    message: str
    kind: ChangeKind | None
    """`None` for nondeterminism, and for what nobody foresaw."""
    stack: tuple[Place, ...] = ()
    """Where the code was, outermost first."""
    event_id: int | None = None
    """The event that the SDK names."""


def refusal_of_text(text: str) -> Refusal:
    """Read what the Replayer said."""
    found = _MESSAGE.search(text)
    message = _unquoted(found[1]) if found else text
    trace = _TRACE.search(text)
    event = _EVENT.search(message)
    return Refusal(
        _short(message),
        _kind_of(text),
        # The SDK's traceback of a deadlock has the innermost place first.
        tuple(reversed(frames_of_text(_unquoted(trace[1])))) if trace else (),
        int(event[1]) if event else None,
    )


def refusal_of_failure(failure: Any) -> Refusal:
    """Read the failure of an activation."""
    messages, traces = [], []
    each = failure
    while True:
        kind = each.application_failure_info.type
        messages.append(f"{kind}: {each.message}" if kind else each.message)
        traces.append(each.stack_trace)
        if not each.HasField("cause"):
            break
        each = each.cause
    said = " / ".join(messages)
    return Refusal(
        _short(said),
        _kind_of(said) or ChangeKind.EXCEPTION,
        frames_of_text(traces[0]) or frames_of_text(traces[-1]),
    )


def _kind_of(text: str) -> ChangeKind | None:
    for kind, words in _KINDS:
        if any(word in text for word in words):
            return kind
    return None


def _short(message: str) -> str:
    message = " ".join(message.split())
    return message if len(message) <= _SHORT else f"{message[:_SHORT]}…"


def _unquoted(text: str) -> str:
    """Undo the escapes of a debug dump."""
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
