"""Protobuf JSON in bulk: the events of a whole document, read by compiled code.

`protobuf-py` reads protobuf JSON in Rust, in a third of the time of `replayer.history.protojson`,
but takes a fifth of a second to get ready and reads only what is spelled as the standard says. What
it cannot read is not judged here: `protojson` knows every spelling, and says what is wrong.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import protobuf_ext  # noqa: F401 - without its compiled half, protobuf-py is the slower reader
from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError
from protobuf import message_from_json_value
from protobuf.wkt import FileDescriptorSet
from temporalio.api.history.v1 import History

from replayer.history import scalars
from replayer.history.errors import Malformed

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FileDescriptor
    from protobuf import Message
    from temporalio.api.history.v1 import HistoryEvent

__all__ = ["plain_events"]

_ATTRIBUTES: Final = b'EventAttributes"'
_KEY: Final = b'"encoding"'
_VALUE: Final = re.compile(rb'\s*:\s*"([^"]*)"')


def plain_events(events: list[Any], document: bytes) -> list[HistoryEvent] | None:
    """The events of a document; None when not all of them are spelled as the standard says.

    They are equal to what `event_from_json` makes of each.

    Args:
        events: As a reader of JSON gives them that bounds how deep they are nested: protobuf-py's
            own does not, and a document of brackets ends the process.
        document: What they were read from, and nothing else.
    """
    if not all(map(_is_recorded, _encodings(document))):
        return None
    try:
        history = message_from_json_value(_HISTORY, {"events": events})
        found = list(History.FromString(history.to_binary()).events)
    # Other spellings and types; names that are newer than the SDK; too deep.
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError, DecodeError):
        return None
    # Of an event with two kinds of attributes it would give the last.
    return found if document.count(_ATTRIBUTES) == len(found) else None


def _encodings(document: bytes) -> set[bytes]:
    """What payloads say of their encoding, as it is written."""
    found: set[bytes] = set()
    place = -1
    # A pattern that begins with the key would take three times as long to find it.
    while (place := document.find(_KEY, place + 1)) >= 0:
        if value := _VALUE.match(document, place + len(_KEY)):
            found.add(value[1])
    return found


@lru_cache(maxsize=256)
def _is_recorded(encoding: bytes) -> bool:
    """Whether the `encoding` of a payload is what was recorded, and not decoded already."""
    try:
        return scalars.is_encoding(scalars.octets(encoding.decode(), scalars.Notes()))
    except (Malformed, UnicodeDecodeError):
        return False


def _history_type() -> type[Message]:
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    _add_file(files, History.DESCRIPTOR.file)
    described = descriptor_pb2.FileDescriptorSet(file=files.values())
    registry = FileDescriptorSet.from_binary(described.SerializeToString()).to_registry()
    message = registry.message(History.DESCRIPTOR.full_name)
    assert message is not None, "its file was added"
    return message.type


def _add_file(files: dict[str, descriptor_pb2.FileDescriptorProto], file: FileDescriptor) -> None:
    """Add a file after those that it imports."""
    if file.name in files:
        return
    for imported in file.dependencies:
        _add_file(files, imported)
    files[file.name] = copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    for message in copy.message_type:
        _name_fields(message, file.message_types_by_name[message.name])


def _name_fields(copy: descriptor_pb2.DescriptorProto, message: Descriptor) -> None:
    """Descriptors are compiled into Python without the names that fields have in JSON."""
    for field in copy.field:
        field.json_name = message.fields_by_name[field.name].json_name
    for nested in copy.nested_type:
        _name_fields(nested, message.nested_types_by_name[nested.name])


_HISTORY: Final = _history_type()
