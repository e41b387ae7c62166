"""Protobuf JSON of one history event → `HistoryEvent`, in one pass over compiled descriptors.

`WorkflowHistory.from_json` walks each event a dozen times to repair enums and then lets protobuf
look up every field by name; here both happen once, from tables that are built from the installed
SDK's descriptors on import. Unknown fields are ignored, as protobuf JSON asks of
readers of newer files. Every error says where in the event it is.

Payloads get one check more than protobuf has: one that was decoded before it was exported has
lost the recorded bytes, and must not be mistaken for base64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from temporalio.api.history.v1 import HistoryEvent

from replayer.history import scalars
from replayer.history.enums import enum_converter
from replayer.history.errors import Malformed, shown
from replayer.history.limits import MAX_MESSAGE_DEPTH, MAX_PAYLOAD_BYTES, MIB
from replayer.history.scalars import Notes

if TYPE_CHECKING:
    from collections.abc import Callable

    type Convert = Callable[[Any, Notes], Any]

__all__ = ["event_from_json"]

_INTEGER_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: scalars.INT32,
    FieldDescriptor.CPPTYPE_INT64: scalars.INT64,
    FieldDescriptor.CPPTYPE_UINT32: scalars.UINT32,
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_PAYLOAD = "temporal.api.common.v1.Payload"
_PAYLOADS = "temporal.api.common.v1.Payloads"
_FAILURE = "temporal.api.failure.v1.Failure"
_SHORT_DIGITS = 10
"""Nine digits fit every integer type."""
_COMPILED: dict[str, Convert] = {
    "google.protobuf.Timestamp": scalars.timestamp,
    "google.protobuf.Duration": scalars.duration,
}


def event_from_json(event: dict[str, Any]) -> tuple[HistoryEvent, list[tuple[str, str]]]:
    """Convert one event.

    Returns:
        The event, and the (enum, name) pairs of values that the installed SDK does not know.

    Raises:
        Malformed: A value does not fit its field; says which and what was expected.
    """
    notes = Notes()
    fields = _EVENT(event, notes)
    try:
        return HistoryEvent(**fields), notes.unknown
    except (ValueError, TypeError, OverflowError) as error:
        raise Malformed(f"does not fit protobuf: {error}") from None


def _message(descriptor: Descriptor) -> Convert:
    """The converter of a message type: JSON object → keyword arguments of the message class.

    Submessages stay dicts until the whole event is built, which protobuf then does in C.
    """
    if descriptor.full_name not in _COMPILED:
        fields: dict[str, tuple[str, Convert]] = {}
        convert = _checked(descriptor, _plain_message(descriptor, fields))
        # Known before its fields are: the cause of a failure is a failure.
        _COMPILED[descriptor.full_name] = convert
        for field in descriptor.fields:
            fields[field.json_name] = fields[field.name] = (field.name, _field(field))
    return _COMPILED[descriptor.full_name]


def _plain_message(descriptor: Descriptor, fields: dict[str, tuple[str, Convert]]) -> Convert:
    choices = [
        (oneof.name, frozenset(field.name for field in oneof.fields))
        for oneof in descriptor.oneofs
        if len(oneof.fields) > 1
    ]
    text = scalars.text

    def convert(value: Any, notes: Notes) -> dict[str, Any]:
        if type(value) is not dict:
            raise Malformed(f"is {shown(value)}, expected an object")
        result: dict[str, Any] = {}
        for name, item in value.items():
            if item is None or name not in fields:
                continue
            field_name, convert_item = fields[name]
            # Half of all values are texts: a call for each is a tenth of the time.
            if convert_item is text and type(item) is str:
                result[field_name] = item
                continue
            try:
                result[field_name] = convert_item(item, notes)
            except Malformed as error:
                raise error.inside(name)  # noqa: B904 - the same error, with its place
        for oneof, members in choices:
            if len(result) > 1 and len(members & result.keys()) > 1:
                names = " and ".join(sorted(members & result.keys()))
                raise Malformed(f"has {names}, expected one {oneof}")
        return result

    return convert


def _checked(descriptor: Descriptor, convert: Convert) -> Convert:
    if descriptor.full_name == _PAYLOAD:
        return _payload(convert)
    if descriptor.full_name == _PAYLOADS:
        return _payloads(convert)
    if descriptor.full_name == _FAILURE:
        return _bounded(convert)
    return convert


def _field(field: FieldDescriptor) -> Convert:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return _map(_value(message.fields_by_name["value"]))
    return _list(_value(field)) if field.is_repeated else _value(field)


def _value(field: FieldDescriptor) -> Convert:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.enum_type is not None:
        return enum_converter(field.enum_type)
    if field.cpp_type in _INTEGER_BOUNDS:
        return _integer(_INTEGER_BOUNDS[field.cpp_type])
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return scalars.boolean
    if field.type == FieldDescriptor.TYPE_BYTES:
        return scalars.octets
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return scalars.text
    return scalars.floating


def _integer(bounds: tuple[int, int]) -> Convert:
    integer = scalars.integer

    def convert(value: Any, _notes: Notes) -> int:
        # Most are written as short digits, which need none of the checks.
        if (
            type(value) is str
            and len(value) < _SHORT_DIGITS
            and value.isascii()
            and value.isdigit()
        ):
            return int(value)
        return integer(value, bounds)

    return convert


def _list(convert_item: Convert) -> Convert:
    def convert(value: Any, notes: Notes) -> list[Any]:
        if type(value) is not list:
            raise Malformed(f"is {shown(value)}, expected a list")
        result = []
        for index, item in enumerate(value):
            try:
                result.append(convert_item(item, notes))
            except Malformed as error:
                raise error.inside(index)  # noqa: B904 - the same error, with its place
        return result

    return convert


def _map(convert_item: Convert) -> Convert:
    def convert(value: Any, notes: Notes) -> dict[str, Any]:
        if type(value) is not dict:
            raise Malformed(f"is {shown(value)}, expected an object")
        result = {}
        for key, item in value.items():
            try:
                result[key] = convert_item(item, notes)
            except Malformed as error:
                raise error.inside(key)  # noqa: B904 - the same error, with its place
        return result

    return convert


def _bounded(convert_failure: Convert) -> Convert:
    def convert(value: Any, notes: Notes) -> Any:
        if notes.depth >= MAX_MESSAGE_DEPTH:
            raise Malformed(f"is nested deeper than {MAX_MESSAGE_DEPTH} failures")
        notes.depth += 1
        try:
            return convert_failure(value, notes)
        finally:
            notes.depth -= 1

    return convert


def _payloads(convert_object: Convert) -> Convert:
    def convert(value: Any, notes: Notes) -> Any:
        if type(value) is not dict or type(value.get("payloads", [])) not in (list, type(None)):
            raise _decoded(value)
        return convert_object(value, notes)

    return convert


def _payload(convert_object: Convert) -> Convert:
    def convert(value: Any, notes: Notes) -> Any:
        if type(value) is not dict or not _looks_encoded(value):
            raise _decoded(value)
        payload = convert_object(value, notes)
        encoding = payload.get("metadata", {}).get("encoding", b"")
        if not scalars.is_encoding(encoding):
            raise _decoded(value["metadata"]["encoding"])
        if len(payload.get("data", b"")) > MAX_PAYLOAD_BYTES:
            size, limit = len(payload["data"]) / MIB, MAX_PAYLOAD_BYTES // MIB
            raise Malformed(f"holds {size:.1f} MiB, expected at most {limit} MiB in one payload")
        return payload

    return convert


def _looks_encoded(value: dict[str, Any]) -> bool:
    data, metadata = value.get("data"), value.get("metadata")
    if value and data is None and metadata is None:
        return not value.keys() - {"data", "metadata", "externalPayloads", "external_payloads"}
    has_text = data is None or type(data) is str
    return has_text and (metadata is None or type(metadata) is dict)


def _decoded(value: object) -> Malformed:
    return Malformed(
        f"is an already decoded payload ({shown(value)}), so the recorded bytes are lost; "
        'download the history as "Encoded" or export it with `temporal workflow show -o json`'
    )


# Compiled on import, a few milliseconds: threads must never see a half-filled table.
_EVENT = _message(HistoryEvent.DESCRIPTOR)
