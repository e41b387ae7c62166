"""The little that the model itself reads inside payloads: texts that SDKs write for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tracer.model.words import Payload

_MAX_STORED = 1 << 40
"""Bytes that one payload may claim to have elsewhere. Nobody checks the claim, and sums of sizes
have to stay within 64 bits."""

_PLAIN_TEXT = re.compile(rb'"([ !#-\[\]-~]*)"')
"""A JSON string that means what it says: printable ASCII, nothing escaped. Most are."""


def payloads_of(message: Any) -> tuple[Payload, ...]:
    """The payloads of a `Payloads` message; empty where the field was not set."""
    # A slice is made in one go; whoever iterates asks for one after the other until it fails.
    return tuple(message.payloads[:])


def json_of(payload: Payload) -> Any:
    """The value of a `json/plain` payload, `None` for every other encoding and for bad JSON."""
    return _parsed(payload.data) if _is_json(payload) else None


def text_of(payload: Payload) -> str:
    """The text of a `json/plain` string payload; empty if it is encrypted or something else."""
    if not _is_json(payload):
        return ""
    data = payload.data
    # A quarter of what the parser takes, for each step of a run.
    if plain := _PLAIN_TEXT.fullmatch(data):
        return plain[1].decode("ascii")
    value = _parsed(data)
    return value if isinstance(value, str) else ""


def _is_json(payload: Payload) -> bool:
    encoding: bytes | None = payload.metadata.get("encoding")
    return encoding == b"json/plain"


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def size_of_all(payloads: Iterable[Payload]) -> int:
    """Bytes of the data of all of them."""
    return sum(map(size_of, payloads))


def size_of(payload: Payload) -> int:
    """Bytes of the payload's data, wherever it is stored.

    Large data may live in an object store: the payload is then a reference that tells the true
    size in `external_payloads`.
    """
    stored = getattr(payload, "external_payloads", ())
    external = sum(item.size_bytes for item in stored) if stored else 0
    return external if 0 < external <= _MAX_STORED else len(payload.data)
