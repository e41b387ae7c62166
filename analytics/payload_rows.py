"""Rows of `core.payloads`: where an event holds them, their metadata as text, data and digest."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from analytics.columns import Block
from tracer.model.payloads import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replayer.history.payloads import Found

__all__ = ["PayloadRows"]

_SECRET_METADATA: Final = frozenset({"__internal_execution_token"})
"""Credentials that SDKs are known to leave in payload metadata in clear text."""

_COLUMNS: Final = (
    "event_id",
    "slot",
    "idx",
    "encoding",
    "metadata",
    "data",
    "n_bytes",
    "sha256",
)
"""In the order of `PayloadRows.add`."""


class PayloadRows:
    """The payloads of many histories."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def add(self, event_id: int, found: Found) -> int:
        """The payloads of an event; their bytes."""
        size = 0
        for slot, index, payload in found:
            data, metadata = payload.data, payload.metadata
            encoding = metadata.get("encoding")
            if encoding is not None and len(metadata) == 1:
                name, text = _only_encoding(encoding)
            else:
                name, text = _text(encoding) or None, _metadata(metadata)
            # Reading the data once more, as `size_of` does, would copy it.
            is_elsewhere = getattr(payload, "external_payloads", None)
            n_bytes = size_of(payload) if is_elsewhere else len(data)
            size += n_bytes
            digest = sha256(data).digest()
            self._rows.append((event_id, slot, index, name, text, data, n_bytes, digest))
        return size

    def block(self, counts: Sequence[int]) -> Block:
        """All rows.

        Args:
            counts: How many payloads each history has.
        """
        values = zip(*self._rows, strict=True) if self._rows else ((),) * len(_COLUMNS)
        return Block(dict(zip(_COLUMNS, values, strict=True)), counts)


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
