"""Rows of `core.events` and `core.payloads`: what a history says, event by event, unjudged.

What the events mean is the state machine's business (`analytics.run_rows`). Millions of events pass
through here, so a row is a tuple in the order of `EVENT_COLUMNS`, and which fields a type of event
has is looked up in its descriptor once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b, sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import orjson
from temporalio.api.history.v1 import HistoryEvent

from replayer.history.payloads import iter_payloads
from tracer.model import failure_from, time_of
from tracer.model.enums import EVENT_TYPE, RETRY_STATE, WORKFLOW_TASK_FAILED_CAUSE, name_of
from tracer.model.payloads import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.descriptor import FieldDescriptor
    from temporalio.api.common.v1 import Payload

    from replayer.history import RunHistory
    from tracer.identity import RunKey

__all__ = [
    "EVENT_COLUMNS",
    "PAYLOAD_COLUMNS",
    "EventRow",
    "PayloadRow",
    "event_hash",
    "history_rows",
    "key_columns",
    "utc",
]

type EventRow = tuple[Any, ...]
"""Values of `EVENT_COLUMNS`."""
type PayloadRow = tuple[Any, ...]
"""Values of `PAYLOAD_COLUMNS`."""

_SECRET_METADATA: Final = frozenset({"__internal_execution_token"})
"""Credentials that SDKs are known to leave in payload metadata in clear text."""

_TAIL: Final = frozenset({"WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED"})

_COMMON: Final = (
    "event_id",
    "event_time",
    "event_time_ns",
    "event_type",
    "task_id",
    "version",
    "event_hash",
    "is_provisional",
    "n_payloads",
    "payload_bytes",
)
"""What every event has."""

_PLAIN: Final = (
    "activity_id",
    "timer_id",
    "signal_name",
    "marker_name",
    "identity",
    "scheduled_event_id",
    "started_event_id",
    "initiated_event_id",
    "workflow_task_completed_event_id",
    "history_size_bytes",
    "attempt",
)
"""Columns that are attributes of the same name, in the types of events that have them."""

_OTHER: Final = (
    "activity_type",
    "update_id",
    "failure_type",
    "failure_message",
    "cause",
    "retry_state",
    "child_workflow_id",
    "child_run_id",
)

EVENT_COLUMNS: Final = (*_COMMON, *_PLAIN, *_OTHER)
"""Columns of `core.events` beside the run's key."""

PAYLOAD_COLUMNS: Final = (
    "event_id",
    "slot",
    "idx",
    "encoding",
    "metadata",
    "data",
    "n_bytes",
    "sha256",
)
"""Columns of `core.payloads` beside the run's key."""

_SPECIFIC: Final = {name: place for place, name in enumerate((*_PLAIN, *_OTHER))}
_NOTHING: Final[tuple[None, ...]] = (None,) * len(_SPECIFIC)


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


def history_rows(
    history: RunHistory, *, is_closed: bool
) -> tuple[list[EventRow], list[PayloadRow]]:
    """One row per event of a history, and one per payload."""
    events = history.events
    first_provisional = len(events) if is_closed else _first_provisional(events)
    newer_types = {u.event_id: u.name for u in history.unknown if u.enum == "EventType"}
    event_rows: list[EventRow] = []
    payload_rows: list[PayloadRow] = []
    for index, event in enumerate(events):
        event_id = event.event_id
        count, size = len(payload_rows), 0
        for slot, place, payload in iter_payloads(event):
            row = _payload_row(event_id, slot, place, payload)
            size += row[-2]
            payload_rows.append(row)
        at = time_of(event)
        number = event.event_type
        event_type = EVENT_TYPE.get(number) or name_of(EVENT_TYPE, number)
        if newer_types:
            event_type = newer_types.get(event_id) or event_type
        common = (
            event_id,
            utc(at),
            at,
            event_type or "UNSPECIFIED",
            event.task_id,
            event.version,
            event_hash(event),
            index >= first_provisional,
            len(payload_rows) - count,
            size,
        )
        event_rows.append((*common, *_specific(event)))
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


@dataclass(frozen=True, slots=True)
class _Reader:
    """How the columns of one type of event are read from its attributes."""

    plain: tuple[int, ...]
    """Places of the columns that are attributes."""
    values: Callable[[Any], tuple[Any, ...]]
    """The values of those attributes."""
    other: tuple[Callable[[Any], dict[str, str | None]], ...]
    """Each gives some more columns."""


def _specific(event: HistoryEvent) -> Sequence[Any]:
    which = event.WhichOneof("attributes")
    if which is None:
        return _NOTHING
    reader = _reader(which)
    attributes = getattr(event, which)
    row: list[Any] = [*_NOTHING]
    for place, value in zip(reader.plain, reader.values(attributes), strict=True):
        row[place] = value or None
    for read in reader.other:
        for name, text in read(attributes).items():
            row[_SPECIFIC[name]] = text
    return row


@cache
def _reader(which: str) -> _Reader:
    message = HistoryEvent.DESCRIPTOR.fields_by_name[which].message_type
    fields = message.fields_by_name if message else {}
    names = [name for name in _PLAIN if name in fields]
    return _Reader(
        tuple(_SPECIFIC[name] for name in names), _values_of(names), tuple(_others(fields))
    )


def _values_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    getters = [attrgetter(name) for name in names]
    return lambda attributes: tuple(get(attributes) for get in getters)


def _others(
    fields: Mapping[str, FieldDescriptor],
) -> list[Callable[[Any], dict[str, str | None]]]:
    readers: list[Callable[[Any], dict[str, str | None]]] = []
    if "activity_type" in fields:
        readers.append(lambda a: {"activity_type": a.activity_type.name or None})
    if "protocol_instance_id" in fields:
        readers.append(lambda a: {"update_id": a.protocol_instance_id or None})
    elif "meta" in fields:
        readers.append(lambda a: {"update_id": a.meta.update_id or None})
    if "failure" in fields:
        readers.append(_failure)
    if "cause" in fields:
        readers.append(_cause(fields["cause"]))
    if "retry_state" in fields:
        readers.append(lambda a: {"retry_state": name_of(RETRY_STATE, a.retry_state) or None})
    if "workflow_execution" in fields:
        readers.append(_other_workflow)
    elif "workflow_id" in fields and "parent_close_policy" in fields:
        readers.append(lambda a: {"child_workflow_id": a.workflow_id or None})
    return readers


def _failure(attributes: Any) -> dict[str, str | None]:
    failure = failure_from(attributes.failure)
    if failure is None:
        return {}
    root = failure.root
    return {"failure_type": root.type or None, "failure_message": root.message or None}


def _cause(field: FieldDescriptor) -> Callable[[Any], dict[str, str | None]]:
    enum = field.enum_type
    if enum is None:
        return lambda a: {"cause": a.cause or None if isinstance(a.cause, str) else None}
    if enum.name == "WorkflowTaskFailedCause":
        return lambda a: {"cause": name_of(WORKFLOW_TASK_FAILED_CAUSE, a.cause) or None}
    names = {
        number: value.name.split("_CAUSE_", 1)[-1]
        for number, value in enum.values_by_number.items()
        if number
    }
    return lambda a: {"cause": names.get(a.cause)}


def _other_workflow(attributes: Any) -> dict[str, str | None]:
    other = attributes.workflow_execution
    return {"child_workflow_id": other.workflow_id or None, "child_run_id": other.run_id or None}


def _payload_row(event_id: int, slot: str, index: int, payload: Payload) -> PayloadRow:
    metadata, data = payload.metadata, payload.data
    encoding = metadata.get("encoding")
    shown = (
        _only_encoding(encoding)
        if encoding is not None and len(metadata) == 1
        else (_text(encoding) or None, _metadata(metadata))
    )
    return (event_id, slot, index, *shown, data, size_of(payload), sha256(data).digest())


@lru_cache(maxsize=256)
def _only_encoding(encoding: bytes) -> tuple[str | None, str]:
    """The columns of metadata that say nothing else, as those of most payloads."""
    return _text(encoding) or None, _metadata({"encoding": encoding})


def _metadata(metadata: Mapping[str, bytes]) -> str:
    shown = {
        name: "[redacted]" if name in _SECRET_METADATA else _text(value)
        for name, value in metadata.items()
    }
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode()


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
