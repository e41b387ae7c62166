"""Protobuf files: one raw `History`, or a Cloud export of many.

Neither has a magic number, and protobuf parses almost anything as something, so the shape is told
by nesting: a `History` starts with an event (tag 0x0A) that starts with its id (0x08), an export
with item, history, event and then the id. Exports are read item by item from the wire, so a
damaged item does not take the others with it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from temporalio.api.history.v1 import History, HistoryEvent

from replayer.history.errors import HistoryError
from replayer.history.limits import MAX_DOCUMENT_BYTES, MAX_PAYLOAD_BYTES, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ProtoShape", "Record", "events_of", "history_of_item", "proto_shape", "records"]

_FIELD_1, _FIELD_2, _EVENT_ID = 0x0A, 0x12, 0x08
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_EXPORT_NESTING = 3


class ProtoShape(Enum):
    """What a protobuf file is."""

    HISTORY = "protobuf"
    EXPORT = "cloud-export"


@dataclass(frozen=True, slots=True)
class Record:
    """One length-delimited field of a message."""

    field: int
    """Its field number."""
    offset: int
    """Where it starts in the message."""
    data: bytes
    """Its content."""


def proto_shape(head: bytes) -> tuple[ProtoShape | None, bool]:
    """What the first bytes of a file are, and whether that is certain.

    Certain is what ends in an event id: no text has a byte 0x08 there.
    """
    nesting, end = 0, 0
    while head[end : end + 1] == bytes([_FIELD_1]):
        nesting += 1
        end += 1
        while end < len(head) and head[end] & 0x80:
            end += 1
        end += 1
    is_certain = head[end : end + 1] == bytes([_EVENT_ID])
    if nesting == 0:
        return (ProtoShape.EXPORT if head[:1] == bytes([_FIELD_2]) else None), False
    if nesting == 1:
        return ProtoShape.HISTORY, is_certain
    return ProtoShape.EXPORT, is_certain and nesting == _EXPORT_NESTING


def events_of(raw: bytes, uri: str) -> list[HistoryEvent]:
    """The events of a serialized `History`.

    Raises:
        HistoryError: Names the first event that is damaged, and where, or that is too large.
    """
    try:
        events = list(History.FromString(raw).events)
    except DecodeError as error:
        raise HistoryError(uri, _damage(raw, str(error))) from None
    # Sizes are summed up by walking the events: only a large history can hold a large one.
    for event in events if len(raw) > MAX_PAYLOAD_BYTES else ():
        if event.ByteSize() > MAX_PAYLOAD_BYTES:
            size, limit = event.ByteSize() / MIB, MAX_PAYLOAD_BYTES // MIB
            reason = f"event {event.event_id} holds {size:.1f} MiB, expected at most {limit} MiB"
            raise HistoryError(uri, reason)
    return events


def history_of_item(item: bytes, uri: str) -> bytes:
    """The serialized `History` of one exported workflow execution."""
    inner = records(io.BufferedReader(io.BytesIO(item)), uri)
    # A repeated submessage means its parts merged, and merged histories are their bytes joined.
    return b"".join(record.data for record in inner if record.field == 1)


def records(stream: io.BufferedReader, uri: str) -> Iterator[Record]:
    """The length-delimited fields of the message in a stream, one at a time.

    Raises:
        HistoryError: The message ends early, or is not protobuf; names the offset.
    """
    offset = 0
    while stream.peek(1):
        start = offset
        tag, size = _varint(stream, uri, offset)
        offset += size
        kind = tag & 7
        if kind == _LENGTH:
            length, size = _varint(stream, uri, offset)
            offset += size
            yield Record(tag >> 3, start, _exactly(stream, length, uri, offset))
            offset += length
        elif kind == _VARINT:
            offset += _varint(stream, uri, offset)[1]
        elif kind in (_FIXED64, _FIXED32):
            offset += len(_exactly(stream, 8 if kind == _FIXED64 else 4, uri, offset))
        else:
            raise HistoryError(uri, f"is not protobuf: no field starts at byte {start}")


def _exactly(stream: io.BufferedReader, length: int, uri: str, offset: int) -> bytes:
    if length > MAX_DOCUMENT_BYTES:
        limit = MAX_DOCUMENT_BYTES // MIB
        reason = f"byte {offset} starts a record of {length} bytes, expected at most {limit} MiB"
        raise HistoryError(uri, reason)
    data = stream.read(length)
    if len(data) < length:
        reason = f"is truncated: the record at byte {offset} has {len(data)} of {length} bytes"
        raise HistoryError(uri, reason)
    return data


def _varint(stream: io.BufferedReader, uri: str, offset: int) -> tuple[int, int]:
    value = 0
    for count in range(_MAX_VARINT_BYTES):
        byte = stream.read(1)
        if not byte:
            raise HistoryError(uri, f"is truncated at byte {offset + count}")
        value |= (byte[0] & 0x7F) << (7 * count)
        if byte[0] < 0x80:
            return value, count + 1
    raise HistoryError(uri, f"is not protobuf: no number at byte {offset}")


def _damage(raw: bytes, error: str) -> str:
    """Which event of a history that does not parse is the first to be damaged."""
    last = 0
    try:
        for record in records(io.BufferedReader(io.BytesIO(raw)), ""):
            last = HistoryEvent.FromString(record.data).event_id
    except DecodeError:
        return f"is damaged at byte {record.offset}: expected an event after event {last}"
    except HistoryError as found:
        return f"{found.reason}; the last whole event is {last}"
    return f"is not a protobuf history: {error}"
