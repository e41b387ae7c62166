"""Messages of a conversation, found in the payloads of model calls.

Requests and results of the usual libraries are known by their shape: lists of mappings with a role
and something said, the `choices` or `output` of a result, content in blocks. What has none of these
shapes is no conversation, and is shown as data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tui.pieces import Line, Piece, Tone
from tui.text import clip, fold, safe_text

_SAYS: Final = frozenset({"content", "message", "tool_calls", "arguments", "output", "parts"})
"""One of these makes a mapping with a role, or of a known type, a message."""
_TEXTS: Final = ("text", "input_text", "output_text", "summary_text", "refusal")
_BAR: Final = "▌ "
_DEEPEST: Final = 4
_MOST_TEXT: Final = 20_000
"""Characters of a message that are laid out; the full screen shows all as text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, or one call of a tool within it."""

    role: str
    text: str
    is_call: bool = False
    """Something asks for a tool, or a tool answers."""


def messages_of(value: Any) -> list[Message]:
    """The conversation that a decoded payload holds; empty if it is none."""
    return list(_found(value, _DEEPEST))


def has_messages(value: Any) -> bool:
    """Whether a decoded payload holds a conversation."""
    return next(_found(value, _DEEPEST), None) is not None


def message_lines(messages: Sequence[Message], width: int) -> Iterator[Line]:
    """A conversation to read, folded to a width; a bar keeps the rows of a message together."""
    width = max(8, width - len(_BAR))
    for number, message in enumerate(messages):
        if number:
            yield ()
        tone = Tone.WARN if message.is_call else _ROLES.get(message.role, Tone.NOTE)
        yield Piece(_BAR, tone), Piece(clip(safe_text(message.role), width).rstrip(), tone)
        text = message.text[:_MOST_TEXT]
        if len(text) < len(message.text):
            text += f"\n… {len(message.text) - len(text):,} more characters"
        for line in safe_text(text, multiline=True).expandtabs(4).split("\n"):
            for row in fold(line, width):
                yield Piece(_BAR, tone), Piece(row)


_ROLES: Final = {"assistant": Tone.GOOD, "system": Tone.DIM, "developer": Tone.DIM}


def _found(value: Any, depth: int) -> Iterator[Message]:
    if depth < 0:
        return
    if isinstance(value, list):
        for each in value:
            # What is no message is passed over quickly: there may be a hundred thousand.
            if isinstance(each, dict) and not _SAYS.isdisjoint(each):
                yield from _message(each, depth)
        return
    if not isinstance(value, Mapping):
        return
    if isinstance(value.get("instructions"), str):
        yield Message("system", value["instructions"])
    if "role" in value:
        yield from _message(value, depth)
        return
    for inner in value.values():
        if isinstance(inner, list):
            yield from _found(inner, depth - 1)


def _message(value: Mapping[str, Any], depth: int) -> Iterator[Message]:
    if depth < 0 or _SAYS.isdisjoint(value):
        return
    if isinstance(value.get("message"), Mapping):
        yield from _message(value["message"], depth - 1)
        return
    kind = value.get("type")
    if kind in ("function_call", "tool_call"):
        yield _call(value)
        return
    if kind == "function_call_output":
        yield Message("tool", _text(value.get("output")), is_call=True)
        return
    role = value.get("role")
    if not isinstance(role, str):
        return
    text = _text(value.get("content"))
    calls = [each for each in value.get("tool_calls") or () if isinstance(each, Mapping)]
    if text or not calls:
        yield Message(role, text, is_call=role == "tool")
    for each in calls:
        inner = each.get("function")
        yield _call(inner if isinstance(inner, Mapping) else each)


def _call(value: Mapping[str, Any]) -> Message:
    name = value.get("name") or value.get("tool_name") or "tool"
    arguments = value.get("arguments", value.get("args", value.get("input", "")))
    return Message(f"→ {name}", _text(arguments), is_call=True)


def _text(content: Any) -> str:
    """Content as text: a string, blocks of text, or whatever it is as JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        return "\n".join(filter(None, map(_block, content)))
    try:
        return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
    except (TypeError, ValueError):
        return str(content)


def _block(block: Any) -> str:
    if not isinstance(block, Mapping):
        return _text(block)
    for name in _TEXTS:
        if isinstance(block.get(name), str):
            return str(block[name])
    if block.get("type") == "tool_use":
        return f"→ {block.get('name')}({_text(block.get('input'))})"
    if block.get("type") == "tool_result":
        return f"← {_text(block.get('content'))}"
    return _text(dict(block))
