"""Prompts, answers, arguments and results: their size always, the text only where it is wanted.

What a model is told and what it says is personal data and trade secrets. A span gets numbers; the
text itself needs `capture_content=True` at the call.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

MAX_CONTENT_BYTES: Final = 64 * 1024
"""Longer content is left out, not cut: half a JSON text is none, and exporters drop large spans."""


def json_text(value: object) -> str | None:
    """The value as JSON text, a text as it is; `None` if it cannot be written."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return None


def size_of(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def fits(text: str) -> bool:
    """Whether a span may carry it."""
    return size_of(text) <= MAX_CONTENT_BYTES


def as_messages(messages: object) -> list[object]:
    """Messages as the convention writes them: a role and parts."""
    if isinstance(messages, str):
        messages = {"role": "user", "content": messages}
    if isinstance(messages, Sequence) and not isinstance(messages, (bytes, bytearray)):
        return [_message(item) for item in messages]
    return [_message(messages)]


def _message(message: object) -> object:
    if not isinstance(message, Mapping) or "parts" in message:
        return message
    content = message.get("content")
    if not isinstance(content, str):
        return message
    rest = {key: value for key, value in message.items() if key != "content"}
    return rest | {"parts": [{"type": "text", "content": content}]}


def _plain(value: object) -> Any:
    """An object as JSON has it; of an unknown one only its type: its text may say too much."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", warnings=False)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return f"<{type(value).__qualname__}>"
