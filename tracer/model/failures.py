"""Failures: from Temporal's message to words, to classes, to one fingerprint for each trouble."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

from tracer.model.enums import (
    CHILD_START_FAILED_CAUSE,
    EXTERNAL_FAILED_CAUSE,
    RETRY_STATE,
    TIMEOUT_TYPE,
    name_of,
)
from tracer.model.words import Failure, Outcome, TaskFailureKind

_BENIGN = 1
"""`temporal.api.enums.v1.APPLICATION_ERROR_CATEGORY_BENIGN`."""

_MAX_CHAIN = 50
"""Deeper chains exist only in crafted files; Python's own recursion must never be at risk."""

_KINDS = {
    "application_failure_info": "application",
    "timeout_failure_info": "timeout",
    "canceled_failure_info": "canceled",
    "terminated_failure_info": "terminated",
    "server_failure_info": "server",
    "reset_workflow_failure_info": "reset",
    "activity_failure_info": "activity",
    "child_workflow_execution_failure_info": "child_workflow",
    "nexus_operation_execution_failure_info": "nexus_operation",
    "nexus_handler_failure_info": "nexus_handler",
}


def failure_from(message: Any) -> Failure | None:
    """Read a `temporal.api.failure.v1.Failure`; `None` where the field was not set.

    A chain longer than 50 links is cut there.
    """
    if message is None or not message.ByteSize():
        return None
    links = [message]
    while links[-1].HasField("cause") and len(links) < _MAX_CHAIN:
        links.append(links[-1].cause)
    failure: Failure | None = None
    for link in reversed(links):
        failure = _link(link, failure)
    return failure


def _link(message: Any, cause: Failure | None) -> Failure:
    which = message.WhichOneof("failure_info")
    info = getattr(message, which) if which else None
    application = info if which == "application_failure_info" else None
    return Failure(
        kind=_KINDS.get(which or "", "unknown"),
        type=_type(which, info),
        message=message.message,
        stack_trace=message.stack_trace,
        source=message.source,
        non_retryable=bool(getattr(info, "non_retryable", False)),
        benign=application is not None and application.category == _BENIGN,
        encoded=message.HasField("encoded_attributes"),
        activity_type=message.activity_failure_info.activity_type.name,
        retry_state=name_of(RETRY_STATE, getattr(info, "retry_state", 0)),
        cause=cause,
    )


def _type(which: str | None, info: Any) -> str:
    match which:
        case "application_failure_info" | "nexus_handler_failure_info":
            return str(info.type)
        case "timeout_failure_info":
            return name_of(TIMEOUT_TYPE, info.timeout_type)
        case "child_workflow_execution_failure_info":
            return str(info.workflow_type.name)
        case "nexus_operation_execution_failure_info":
            return f"{info.service}/{info.operation}"
        case _:
            return ""


def child_start_failure(cause: int) -> Failure:
    """Why a child workflow did not start, from the server's cause; the SDK's has its numbers."""
    return Failure("child_start", name_of(CHILD_START_FAILED_CAUSE, cause), "")


def external_failure(cause: int, message: str = "") -> Failure:
    """Why a signal or cancel request did not reach another workflow, from the server's cause.

    Before 1.31 the SDK tells a worker the cause in words only.
    """
    if not cause and "not found" in message:
        cause = 2 if "namespace" in message.lower() else 1
    return Failure("external", name_of(EXTERNAL_FAILED_CAUSE, cause), "")


def child_failure(outcome: Outcome, failure: Failure | None) -> Failure | None:
    """How a child workflow failed; of a timeout and a termination a history tells no more."""
    match outcome:
        case Outcome.TIMED_OUT:
            return Failure("timeout", "START_TO_CLOSE", "Child workflow timed out")
        case Outcome.TERMINATED:
            return Failure("terminated", "", "Child workflow was terminated")
        case _:
            return failure


UUID = r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
"""A UUID; letters in either case."""
ADDRESS = r"\b0x[0-9a-f]+\b"
"""An address in memory, as `repr` writes it; letters in either case."""

_MASKS = (
    # Order matters: a UUID or a path is recognised before the digits in it are.
    (re.compile(UUID, re.IGNORECASE), "<uuid>"),
    (re.compile(ADDRESS, re.IGNORECASE), "<address>"),
    (re.compile(r"\b[0-9a-f]{16,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+(?:\.\d+)*"), "<n>"),
)
_FINGERPRINT_INPUT = 2_000
"""Characters of a message that count; enough for a sentence, and bounds the work on a dump."""


def masked(message: str) -> str:
    """The message with UUIDs, addresses, long hex strings and numbers replaced by their kind."""
    text = message[:_FINGERPRINT_INPUT]
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return " ".join(text.split())


def fingerprint(failure: Failure) -> str:
    """A stable name, 12 hex digits, for all failures that differ only in ids and numbers.

    It is made from the root cause: the same fault is the same fault whichever step passed it on.
    """
    root = failure.root
    text = f"{root.kind}\n{root.type}\n{masked(root.message)}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


_TASK_FAILURE_SIGNS = (
    # The SDK core marks its own errors with these codes; the texts are the SDKs' own.
    ("TMPRL1100", TaskFailureKind.NONDETERMINISM),
    ("TMPRL1101", TaskFailureKind.DEADLOCK),
    ("TMPRL1103", TaskFailureKind.PAYLOAD_SIZE),
    ("RestrictedWorkflowAccessError", TaskFailureKind.SANDBOX),
    ("is not registered on this worker", TaskFailureKind.UNREGISTERED),
)
_TASK_FAILURE_CAUSES = {
    "NON_DETERMINISTIC_ERROR": TaskFailureKind.NONDETERMINISM,
    "PAYLOADS_TOO_LARGE": TaskFailureKind.PAYLOAD_SIZE,
    "GRPC_MESSAGE_TOO_LARGE": TaskFailureKind.PAYLOAD_SIZE,
    "REQUEST_TOO_LARGE": TaskFailureKind.PAYLOAD_SIZE,
    "RESET_WORKFLOW": TaskFailureKind.RESET,
    "WORKFLOW_WORKER_UNHANDLED_FAILURE": TaskFailureKind.USER_EXCEPTION,
}


def task_failure_kind(cause: str, failure: Failure | None) -> TaskFailureKind:
    """Classify a failed workflow task from Temporal's cause and the failure's own text."""
    if cause == "RESET_WORKFLOW":
        return TaskFailureKind.RESET
    for link in failure.chain if failure else ():
        text = f"{link.type} {link.message}"
        for sign, kind in _TASK_FAILURE_SIGNS:
            if sign in text:
                return kind
    return _TASK_FAILURE_CAUSES.get(cause, TaskFailureKind.SERVER)
