"""Every spelling of an enum value, derived from the protobuf descriptors.

Three spellings are in the field: `EVENT_TYPE_TIMER_STARTED` (protobuf JSON), `TimerStarted`
(exports of older servers, of `tctl` and of the UI) and the bare number. They are compared without
case and underscores, so no table is kept by hand and a new enum needs no new code.

A well-formed name that is newer than the installed SDK is not an error: it is noted and read as 0,
as the SDK does. Anything else is an error, so that a damaged file is not taken for a new one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from replayer.history.errors import Malformed, shown
from replayer.history.scalars import INT32, Notes, integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import EnumDescriptor

__all__ = ["EVENT_TYPE", "enum_converter", "says_unknown", "screaming_prefix"]

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}", re.ASCII)
EVENT_TYPE = "EventType"
"""The name of the enum of event types."""


def screaming_prefix(descriptor: EnumDescriptor) -> str:
    """What every value of the enum starts with: `RetryState` → `RETRY_STATE_`."""
    return _WORD_START.sub("_", descriptor.name).upper() + "_"


def enum_converter(descriptor: EnumDescriptor) -> Callable[[Any, Notes], int]:
    """A function that turns any spelling of this enum's values into the number."""
    prefix = screaming_prefix(descriptor)
    numbers: dict[str, int] = {}
    for value in descriptor.values:
        numbers[value.name] = value.number
        numbers[_key(value.name)] = value.number
        numbers[_key(value.name.removeprefix(prefix))] = value.number
    # An event type of a newer server may be spelled in any way; other enums only with the prefix,
    # because short names were written by servers that are older than every SDK in use.
    any_spelling = descriptor.name == EVENT_TYPE

    def convert(value: Any, notes: Notes) -> int:
        if type(value) is not str:
            return integer(value, INT32)
        number = numbers.get(value)
        if number is None:
            number = numbers.get(_key(value))
        if number is not None:
            return number
        is_name = _IDENTIFIER.fullmatch(value) is not None
        if not is_name or not (any_spelling or value.startswith(prefix)):
            raise Malformed(f"is {shown(value)}, expected a {descriptor.name} ({prefix}…)")
        notes.unknown.append((descriptor.name, value))
        return 0

    return convert


def says_unknown(name: str) -> bool:
    """Whether an event type is a placeholder that a tool wrote for a type it did not know."""
    return _key(name).removeprefix("eventtype").startswith("unknown")


def _key(name: str) -> str:
    return name.replace("_", "").lower()
