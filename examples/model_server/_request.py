"""A chat request as the server understands it, and which rule of a script it matches.

The body comes over a socket and is not trusted: whatever does not look like a chat request is
refused here, so that the rest of the package may rely on its shape.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from examples.model_server._script import Rule, Script


class RequestError(Exception):
    """A body that is no chat request; the message is one line, for the caller."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """The parts of a chat completion request that rules and token counts look at."""

    model: str
    messages: tuple[str, ...]
    """Text of each message: content, and names and arguments of tool calls."""
    tools: tuple[str, ...]
    """Names of the tools on offer."""
    tools_text: str
    """Definitions of the tools as sent; they cost prompt tokens too."""
    conversation: str
    """Field `user`: faults that strike the first requests are counted per value."""
    stream: bool
    include_usage: bool
    """Streaming only: send a last chunk with the usage."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A rule that applies, and what its patterns captured."""

    index: int
    rule: Rule
    groups: Mapping[str, str]


def parse_request(body: bytes) -> ChatRequest:
    """Read a request body.

    Raises:
        RequestError: It is no chat completion request.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise RequestError("the body is not an object")
    tools = _list(value, "tools")
    options = value.get("stream_options")
    return ChatRequest(
        model=_model(value),
        messages=_messages(value),
        tools=tuple(_tool_name(tool) for tool in tools),
        tools_text=json.dumps(tools) if tools else "",
        conversation=str(value.get("user", "")),
        stream=value.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def find_rule(script: Script, request: ChatRequest) -> Matched | None:
    """The first rule that applies to a request, or None."""
    for index, rule in enumerate(script.rules):
        groups = _match(rule, request)
        if groups is not None:
            return Matched(index, rule, groups)
    return None


def _match(rule: Rule, request: ChatRequest) -> dict[str, str] | None:
    if rule.model is not None and rule.model != request.model:
        return None
    if not _offers(rule, request.tools):
        return None
    groups: dict[str, str] = {}
    for pattern, text in (
        (rule.anywhere, "\n\n".join(request.messages)),
        (rule.last, request.messages[-1]),
    ):
        found = _search(pattern, text)
        if found is None:
            return None
        groups |= found
    return groups


def _search(pattern: re.Pattern[str] | None, text: str) -> dict[str, str] | None:
    if pattern is None:
        return {}
    found = pattern.search(text)
    return None if found is None else found.groupdict(default="")


def _offers(rule: Rule, offered: tuple[str, ...]) -> bool:
    if rule.tools is None:
        return True
    if rule.tools is False:
        return not offered
    return set(rule.tools) <= set(offered)


def _model(value: dict[str, Any]) -> str:
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("'model' must be a non-empty string")
    return model


def _messages(value: dict[str, Any]) -> tuple[str, ...]:
    messages = _list(value, "messages")
    if not messages:
        raise RequestError("'messages' must not be empty")
    return tuple(_message_text(message) for message in messages)


def _list(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = value.get(key) or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RequestError(f"{key!r} must be an array of objects")
    return items


def _message_text(message: dict[str, Any]) -> str:
    parts = [_content_text(message.get("content"))]
    for call in _list(message, "tool_calls"):
        function = call.get("function")
        if isinstance(function, dict):
            parts.append(f"{function.get('name', '')} {function.get('arguments', '')}")
    return "\n".join(part for part in parts if part)


def _content_text(content: Any) -> str:
    match content:
        case str():
            return content
        case list():
            texts = [part.get("text") for part in content if isinstance(part, dict)]
            return "\n".join(text for text in texts if isinstance(text, str))
        case _:
            return ""


def _tool_name(tool: dict[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise RequestError("each of 'tools' must have a function with a name")
    return name
