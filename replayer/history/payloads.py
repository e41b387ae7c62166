"""Payloads for people: where an event holds them, and what one says. Never for replay.

Nothing here raises on what a payload contains, and nothing guesses: an encoding that is unknown,
encrypted or stored elsewhere is shown as just that. Slots are found by the protobuf descriptors, so
that a payload in an event type of next year is not overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent

from replayer.large_json import json_value
from tracer.model.payloads import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

__all__ = ["DecodedPayload", "Found", "Visit", "decode", "iter_payloads", "payload_visit"]

type Found = list[tuple[str, int, Payload]]
"""Payloads with slot and index, as `iter_payloads` tells them."""
type Visit = Callable[[Any, str, int, Found], object]
"""Adds the payloads of a message to those found, given its slot and the depth of its failure."""

_REFERENCE_ENCODING = "json/external-storage-reference"
_REFERENCE_MESSAGE = "temporal.api.sdk.v1.ExternalStorageReference"
_REFERENCE_MARKER = "__temporal_external_storage_reference"
_KNOWN_JSON: Final = frozenset({"json/plain", "json/protobuf"})
# Fields that only wrap what is meant: a slot reads `header.traceparent`, not
# `header.fields.traceparent`.
_WRAPPERS = frozenset(
    "temporal.api.common.v1." + name
    for name in ("Header.fields", "Memo.fields", "SearchAttributes.indexed_fields")
)
_CONTROLS: Final = frozenset(map(chr, range(32))) - set("\t\n\r")
_FAILURE = "temporal.api.failure.v1.Failure"
_PAYLOAD = Payload.DESCRIPTOR.full_name
_PAYLOADS = "temporal.api.common.v1.Payloads"


@dataclass(frozen=True, slots=True)
class DecodedPayload:
    """What can be said about one payload."""

    encoding: str
    """`metadata.encoding` as recorded; empty when the payload has none."""
    json: Any
    """The value, for encodings that are JSON; None otherwise, and for JSON's `null`."""
    text: str | None
    """The data as text: JSON as recorded, or readable plain bytes. None for opaque bytes."""
    size: int
    """Bytes of the data; for a reference to external storage, those of what it stands for."""
    note: str | None
    """Why there is no plain value, or what to know about it; None for ordinary payloads."""


def decode(payload: Payload) -> DecodedPayload:
    """Show one payload, whatever it holds."""
    encoding = _metadata(payload, "encoding")
    data = payload.data
    size = len(data)
    if _is_reference(payload, encoding):
        return _reference(payload, encoding)
    if encoding == "binary/null":
        return DecodedPayload(encoding, None, "null", size, None)
    if encoding == "binary/plain":
        text = _readable(data)
        note = None if text is not None else "binary data"
        return DecodedPayload(encoding, None, text, size, note)
    if encoding.startswith("json/"):
        return _json(payload, encoding)
    return DecodedPayload(encoding, None, None, size, _opaque(payload, encoding))


def iter_payloads(event: HistoryEvent) -> Iterator[tuple[str, int, Payload]]:
    """Every payload of an event, with the slot it is in.

    Yields:
        `(slot, index, payload)`. Slots are field names within the event's attributes: `input`,
        `result`, `details.<key>` of a marker, `header.<key>`, `memo.<key>`,
        `search_attributes.<key>`, `failure.<depth>.details` with the depth in the chain of causes,
        `user_metadata.summary`. The index counts the payloads of a list.
    """
    found: Found = []
    if event.HasField("user_metadata"):
        _visits(event.user_metadata.DESCRIPTOR)(event.user_metadata, "user_metadata", 0, found)
    attributes = event.WhichOneof("attributes")
    if attributes is not None and (visit := payload_visit(attributes)) is not None:
        visit(getattr(event, attributes), "", 0, found)
    return iter(found)


@cache
def payload_visit(name: str) -> Visit | None:
    """The function that walks one field of an event, `None` if it can hold no payloads.

    For whoever reads the fields of very many events anyway; all others have `iter_payloads`.
    """
    message = HistoryEvent.DESCRIPTOR.fields_by_name[name].message_type
    return _visits(message) if message and _can_hold_payload(message) else None


def _json(payload: Payload, encoding: str) -> DecodedPayload:
    data = payload.data
    note = None if encoding in _KNOWN_JSON else "JSON in an encoding of its own"
    options = _metadata(payload, "encoding_options")
    if options:
        note = f"encoded further: {options}"
    elif message_type := _metadata(payload, "messageType"):
        note = f"protobuf {message_type}"
    try:
        return DecodedPayload(encoding, json_value(data), data.decode(), len(data), note)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or "not UTF-8"
        is_broken = not options and encoding in _KNOWN_JSON
        if is_broken:
            note = f"not valid JSON: {reason}"
            return DecodedPayload(encoding, None, _readable(data), len(data), note)
        note = note if options else _opaque(payload, encoding)
        return DecodedPayload(encoding, None, None, len(data), note)


def _reference(payload: Payload, encoding: str) -> DecodedPayload:
    try:
        reference = json_value(payload.data)
    except ValueError:
        reference = None
    fields = reference if isinstance(reference, dict) else {}
    driver = fields.get("driver_name", fields.get("driverName"))
    note = f"stored outside the history by {driver}" if driver else "stored outside the history"
    text = _readable(payload.data)
    return DecodedPayload(encoding, reference, text, size_of(payload), note)


def _is_reference(payload: Payload, encoding: str) -> bool:
    return (
        encoding == _REFERENCE_ENCODING
        or payload.metadata.get(_REFERENCE_MARKER) == b"true"
        or (encoding == "json/protobuf" and _metadata(payload, "messageType") == _REFERENCE_MESSAGE)
    )


def _opaque(payload: Payload, encoding: str) -> str:
    if not encoding:
        return "no encoding is recorded"
    if "encrypt" in encoding:
        return "encrypted"
    if message_type := _metadata(payload, "messageType"):
        return f"protobuf {message_type}"
    return "unknown encoding; a codec may be able to decode it"


def _metadata(payload: Payload, key: str) -> str:
    return payload.metadata.get(key, b"").decode("utf-8", "replace")


def _readable(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if any(control in text for control in _CONTROLS) else text


@cache
def _visits(descriptor: Descriptor) -> Visit:
    """The function that walks one message type; visits only the fields that can hold payloads."""
    fields = [
        (field.name, _is_repeated(field), _visit_field(descriptor, field))
        for field in descriptor.fields
        if _can_hold_payload(field.message_type)
    ]
    is_failure = descriptor.full_name == _FAILURE

    def visit(message: Any, slot: str, depth: int, found: Found) -> None:
        here = f"{slot}.{depth}" if is_failure else slot
        for name, is_repeated, visit_field in fields:
            if is_repeated or message.HasField(name):
                visit_field(getattr(message, name), here, depth, found)

    return visit


def _visit_field(parent: Descriptor, field: FieldDescriptor) -> Visit:
    if parent.full_name == _FAILURE and field.name == "cause":
        return _visit_cause
    is_wrapper = f"{parent.full_name}.{field.name}" in _WRAPPERS
    # `failure.0.details` says all that `failure.0.application_failure_info.details` does.
    is_silent = is_wrapper or field.name.endswith("_failure_info")
    name = "" if is_silent else field.name
    message = field.message_type
    assert message is not None, "only fields that can hold payloads are visited"
    if message.GetOptions().map_entry:
        return _map_visit(name, _value_visit(message.fields_by_name["value"].message_type))
    return (
        _list_visit(name, _value_visit(message))
        if field.is_repeated
        else _value_visit(message, name)
    )


def _visit_cause(value: Any, slot: str, depth: int, found: Found) -> None:
    _visits(value.DESCRIPTOR)(value, slot.rpartition(".")[0], depth + 1, found)


def _value_visit(message: Descriptor | None, name: str = "") -> Visit:
    """The function that walks one value of a field; the field's name, if any, becomes its slot."""
    assert message is not None, "only messages can hold payloads"
    if message.full_name == _PAYLOAD:
        return lambda value, slot, _depth, found: found.append((_joined(slot, name), 0, value))
    if message.full_name == _PAYLOADS:
        return _payloads_visit(name)
    if message.full_name == _FAILURE:
        return lambda value, slot, _, found: _visits(message)(value, _joined(slot, name), 0, found)
    return lambda value, slot, depth, found: _visits(message)(
        value, _joined(slot, name), depth, found
    )


def _payloads_visit(name: str) -> Visit:
    def visit_payloads(value: Any, slot: str, _depth: int, found: Found) -> None:
        here = _joined(slot, name)
        # A slice is a list; going through the field itself takes four times as long.
        for index, payload in enumerate(value.payloads[:]):
            found.append((here, index, payload))

    return visit_payloads


def _map_visit(name: str, visit: Visit) -> Visit:
    def visit_map(values: Any, slot: str, depth: int, found: Found) -> None:
        for key in sorted(values):
            visit(values[key], _joined(_joined(slot, name), key), depth, found)

    return visit_map


def _list_visit(name: str, visit: Visit) -> Visit:
    def visit_list(values: Any, slot: str, depth: int, found: Found) -> None:
        for index, value in enumerate(values):
            visit(value, f"{_joined(slot, name)}.{index}", depth, found)

    return visit_list


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def _joined(slot: str, name: str) -> str:
    return f"{slot}.{name}" if slot and name else slot or name


def _can_hold_payload(message: Descriptor | None, seen: frozenset[str] = frozenset()) -> bool:
    if message is None or message.full_name in seen:
        return False
    if message.full_name == _PAYLOAD:
        return True
    deeper = seen | {message.full_name}
    return any(_can_hold_payload(field.message_type, deeper) for field in message.fields)
