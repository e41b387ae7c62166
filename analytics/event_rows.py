"""Rows of `core.events` and `core.payloads`: what a history says, event by event, unjudged.

What the events mean is the state machine's business (`analytics.run_rows`).
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Any, Final

import orjson
from temporalio.api.history.v1 import HistoryEvent

from replayer.history.payloads import iter_payloads
from tracer.model import failure_from, time_of
from tracer.model.enums import EVENT_TYPE, RETRY_STATE, WORKFLOW_TASK_FAILED_CAUSE, name_of
from tracer.model.payloads import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload

    from analytics.tables import Row
    from replayer.history import RunHistory
    from tracer.identity import RunKey

__all__ = ["event_hash", "history_rows", "key_columns", "utc"]

_SECRET_METADATA: Final = frozenset({"__internal_execution_token"})
"""Credentials that SDKs are known to leave in payload metadata in clear text."""

_TAIL: Final = frozenset({"WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"})

_TEXTS: Final = (
    "activity_id",
    "timer_id",
    "signal_name",
    "marker_name",
    "identity",
)
_NUMBERS: Final = (
    "scheduled_event_id",
    "started_event_id",
    "initiated_event_id",
    "workflow_task_completed_event_id",
    "history_size_bytes",
    "attempt",
)


def key_columns(key: RunKey) -> dict[str, object]:
    """The columns that name the run."""
    return {"namespace": key.namespace, "workflow_id": key.workflow_id, "run_id": key.run_id}


def utc(nanoseconds: int | None) -> int | None:
    """Microseconds for a `TIMESTAMP` column. Times that DuckDB cannot hold become `None`."""
    if nanoseconds is None or not 0 < nanoseconds < 2**63:
        return None
    return nanoseconds // 1000


def event_hash(event: HistoryEvent) -> int:
    """64 bits of the event's content: equal for the same event, read from whichever format."""
    data = event.SerializeToString(deterministic=True)
    return int.from_bytes(blake2b(data, digest_size=8).digest())


def history_rows(history: RunHistory, *, is_closed: bool) -> tuple[list[Row], list[Row]]:
    """One row per event of a history, and one per payload."""
    events = history.events
    first_provisional = len(events) if is_closed else _first_provisional(events)
    newer_types = {u.event_id: u.name for u in history.unknown if u.enum == "EventType"}
    run = key_columns(history.key)
    event_rows: list[Row] = []
    payload_rows: list[Row] = []
    for index, event in enumerate(events):
        payloads = [run | _payload_row(event, *found) for found in iter_payloads(event)]
        row = run | _event_row(event, payloads)
        row["is_provisional"] = index >= first_provisional
        if event.event_id in newer_types:
            row["event_type"] = newer_types[event.event_id]
        event_rows.append(row)
        payload_rows.extend(payloads)
    return event_rows, payload_rows


def _first_provisional(events: Sequence[HistoryEvent]) -> int:
    """Where the open workflow task at the end of an open history begins.

    A server shows tasks there that it has not recorded for good: a retried one, or one for an
    update that may be rejected. Their ids are given to other events if those come first.
    """
    index = len(events)
    while index and name_of(EVENT_TYPE, events[index - 1].event_type) in _TAIL:
        index -= 1
    return index


def _event_row(event: HistoryEvent, payloads: Sequence[Row]) -> dict[str, object]:
    which = event.WhichOneof("attributes")
    attributes: Any = getattr(event, which) if which else None
    has = _fields(which)
    failure = failure_from(attributes.failure) if "failure" in has else None
    at = time_of(event)
    row: dict[str, object] = {
        "event_id": event.event_id,
        "event_time": utc(at),
        "event_time_ns": at,
        "event_type": name_of(EVENT_TYPE, event.event_type) or "UNSPECIFIED",
        "task_id": event.task_id,
        "version": event.version,
        "activity_type": attributes.activity_type.name or None if "activity_type" in has else None,
        "update_id": _update_id(attributes, has),
        "failure_type": (failure.root.type or None) if failure else None,
        "failure_message": (failure.root.message or None) if failure else None,
        "cause": _cause(attributes, has),
        "retry_state": (
            name_of(RETRY_STATE, attributes.retry_state) or None if "retry_state" in has else None
        ),
        "n_payloads": len(payloads),
        "payload_bytes": sum(row["n_bytes"] for row in payloads),
        "event_hash": event_hash(event),
    }
    row["child_workflow_id"], row["child_run_id"] = _other_workflow(attributes, has)
    for name in _TEXTS:
        row[name] = getattr(attributes, name) or None if name in has else None
    for name in _NUMBERS:
        row[name] = getattr(attributes, name) or None if name in has else None
    return row


@cache
def _fields(which: str | None) -> frozenset[str]:
    if which is None:
        return frozenset()
    message = HistoryEvent.DESCRIPTOR.fields_by_name[which].message_type
    return frozenset(message.fields_by_name.keys()) if message else frozenset()


def _cause(attributes: Any, has: frozenset[str]) -> str | None:
    if "cause" not in has:
        return None
    if attributes.DESCRIPTOR.name == "WorkflowTaskFailedEventAttributes":
        return name_of(WORKFLOW_TASK_FAILED_CAUSE, attributes.cause) or None
    if isinstance(attributes.cause, str):
        return attributes.cause or None
    enum = attributes.DESCRIPTOR.fields_by_name["cause"].enum_type
    value = enum.values_by_number.get(attributes.cause) if enum else None
    return value.name.split("_CAUSE_", 1)[-1] if value and value.number else None


def _other_workflow(attributes: Any, has: frozenset[str]) -> tuple[str | None, str | None]:
    if "workflow_execution" in has:
        other = attributes.workflow_execution
        return other.workflow_id or None, other.run_id or None
    if "workflow_id" in has and "parent_close_policy" in has:
        return attributes.workflow_id or None, None
    return None, None


def _update_id(attributes: Any, has: frozenset[str]) -> str | None:
    if "protocol_instance_id" in has:
        return attributes.protocol_instance_id or None
    if "meta" in has:
        return attributes.meta.update_id or None
    return None


def _payload_row(event: HistoryEvent, slot: str, index: int, payload: Payload) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "slot": slot,
        "idx": index,
        "encoding": _text(payload.metadata.get("encoding")) or None,
        "metadata": _metadata(payload.metadata),
        "data": payload.data,
        "n_bytes": size_of(payload),
        "sha256": sha256(payload.data).digest(),
    }


def _metadata(metadata: Any) -> str:
    shown = {
        name: "[redacted]" if name in _SECRET_METADATA else _text(value)
        for name, value in metadata.items()
    }
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode()


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
