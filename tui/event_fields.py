"""Every recorded fact of one event, found by walking its protobuf message.

Walked by descriptor and not by event type: an event of a newer server shows all its fields without
a change here. Payloads and failures are handed out whole, because they have views of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from tui import figures
from tui.walk import Event

_HEADING = frozenset({"event_id", "event_time", "event_type"})
_NS = 1_000_000_000
_MAX_DEPTH = 40


class Fact(NamedTuple):
    """One field that was set."""

    path: str
    """Field names from the event's own part inwards: `retry_policy.maximum_attempts`."""
    value: str | Payload | Failure


def facts_of(event: Event) -> Iterator[Fact]:
    """Every field of the event that is set, except id, time and type.

    The part that is particular to its type comes first and without a prefix.
    """
    which = event.WhichOneof("attributes")
    if which is not None:
        yield from _fields(getattr(event, which), "", 0)
    for field, value in event.ListFields():
        if field.name not in _HEADING and field.name != which:
            yield from _field(field, value, field.name, 0)


def payloads_in(failure: Failure) -> Iterator[Fact]:
    """The payloads of a failure and of its causes: details, encrypted attributes."""
    for fact in _fields(failure, "", 0):
        if isinstance(fact.value, Payload):
            yield fact
        elif isinstance(fact.value, Failure):
            for inner in payloads_in(fact.value):
                yield Fact(f"{fact.path}.{inner.path}", inner.value)


def _fields(message: Message, prefix: str, depth: int) -> Iterator[Fact]:
    if depth > _MAX_DEPTH:
        return
    for field, value in message.ListFields():
        yield from _field(field, value, f"{prefix}{field.name}", depth)


def _field(field: FieldDescriptor, value: Any, path: str, depth: int) -> Iterator[Fact]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        item = field.message_type.fields_by_name["value"]
        for key in sorted(value):
            yield from _value(item, value[key], f"{path}[{key}]", depth)
    elif field.is_repeated:
        for index, element in enumerate(value):
            yield from _value(field, element, f"{path}[{index}]", depth)
    else:
        yield from _value(field, value, path, depth)


def _value(field: FieldDescriptor, value: Any, path: str, depth: int) -> Iterator[Fact]:
    match value:
        case Payload() | Failure():
            # `payloads[0]` of a `Payloads` says nothing that the name above it does not say.
            yield Fact(path.replace(".payloads[", "["), value)
        case Duration():
            yield Fact(path, figures.duration(value.seconds * _NS + value.nanos))
        case Timestamp():
            yield Fact(path, figures.iso(value.seconds * _NS + value.nanos) or "")
        case Message():
            yield from _fields(value, f"{path}.", depth + 1)
        case bytes():
            yield Fact(path, f"{figures.size(len(value))} {value[:16].hex()}")
        case _:
            yield Fact(path, _scalar(field, value))


def _scalar(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type is None:
        return str(value)
    known = field.enum_type.values_by_number.get(value)
    return known.name if known is not None else str(value)
