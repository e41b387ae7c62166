"""Reading JSON of any size while other threads get their turns.

orjson reads a text in one call, and no other thread runs until it is done: a screen stands still
for as long as ten megabytes take. A large text is therefore read by the standard library, which
is given functions of Python to call for objects and numbers; between two of those calls others
run. What is accepted, and what becomes of it, is what orjson makes of it, but that it reads values
to a depth of 1,024 only.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson

_AT_ONCE: Final = 256 * 1024
"""Bytes that take a few milliseconds."""
_HALF_CHARACTER: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""Halves of characters: orjson wants both, the standard library does not mind."""
_DIGITS: Final = 19
"""Of the largest whole number that has no sign and surely fits, and one."""


def json_value(data: bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: It is no JSON; one of orjson's, which has the reason as `msg`.
    """
    if len(data) <= _AT_ONCE or _HALF_CHARACTER.search(data) is not None:
        return orjson.loads(data)
    try:
        return json.loads(
            data.decode(),
            object_hook=_whole,
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_refused,
        )
    except (ValueError, RecursionError):
        return orjson.loads(data)  # It says in its own words what is wrong.


# Threads take turns where a function of Python begins: a builtin would not do in its place.
def _whole(value: dict[str, Any]) -> dict[str, Any]:
    return value


def _whole_number(text: str) -> float:
    # What has more digits than fit into 64 bits, orjson makes a fraction of.
    number: float = int(text) if len(text) < _DIGITS else orjson.loads(text)
    return number


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _refused(name: str) -> None:
    raise ValueError(name)
