"""Histories read again from the bytes that a warehouse or a spool kept of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replayer.history import KeySource, Origin, Rejected, RunHistory, read_bytes

__all__ = ["restored"]


def restored(raw: bytes, key: dict[str, str], about: dict[str, Any]) -> RunHistory:
    """A history from its raw bytes, with the key and origin that it had.

    Raises:
        ValueError: The bytes are not one history.
    """
    origin = Origin(**about["origin"])
    results = read_bytes(raw, uri=origin.uri, **key)
    if len(results) != 1 or isinstance(results[0], Rejected):
        raise ValueError(f"{origin.uri} is not one history")
    return replace(results[0], key_source=KeySource(about["key_source"]), origin=origin)
