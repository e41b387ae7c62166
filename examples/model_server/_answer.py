"""Turns a scripted answer into the wire format, with the usage that its text has.

Usage is counted, never scripted whole: a longer prompt costs more here too, so that cost reports
over the examples behave like those over production. Only what a text cannot show (cached prompt
tokens, hidden reasoning) is taken from the script.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from examples.model_server._request import ChatRequest
from examples.model_server._script import GROUP, Answer

PER_MESSAGE = 4
"""Tokens that a chat format adds around each message."""
WORDS_PER_CHUNK = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, ready to be sent whole or in chunks."""

    reply_id: str
    model: str
    content: str | None
    tool_calls: tuple[tuple[str, str], ...]
    """Name and arguments (JSON text) of each tool call."""
    usage: Mapping[str, Any]
    created: int
    """Seconds since the epoch."""

    @property
    def finish_reason(self) -> str:
        """Why the model stopped."""
        return "tool_calls" if self.tool_calls else "stop"


def count_tokens(text: str) -> int:
    """Tokens of a text: one per four UTF-8 bytes, rounded up; none for an empty text."""
    return ceil(len(text.encode(errors="surrogatepass")) / 4)


def make_reply(
    request: ChatRequest, answer: Answer, groups: Mapping[str, str], *, nth: int, created: int
) -> Reply:
    """Fill in an answer for a request.

    Args:
        request: What was asked.
        answer: What the script answers.
        groups: Named groups captured by the rule's patterns.
        nth: How many requests this conversation made before; keeps ids apart.
        created: Time of the answer, seconds since the epoch.
    """
    content, tool_calls = _fill(answer, groups)
    return Reply(
        reply_id=f"chatcmpl-{_digest(request, nth)}",
        model=answer.served_by or request.model,
        content=content,
        tool_calls=tool_calls,
        usage=_usage(request, answer, content, tool_calls),
        created=created,
    )


def whole(reply: Reply) -> dict[str, Any]:
    """The body of a `chat.completion` response."""
    calls = [_call(reply, index) for index in range(len(reply.tool_calls))]
    message: dict[str, Any] = {"role": "assistant", "content": reply.content, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": reply.finish_reason,
    }
    return _envelope(reply, "chat.completion", [choice]) | {"usage": reply.usage}


def chunks(reply: Reply, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The `chat.completion.chunk` bodies of a streamed response, in order."""
    for delta in _deltas(reply):
        yield _chunk(reply, delta, None)
    yield _chunk(reply, {}, reply.finish_reason)
    if include_usage:
        yield _envelope(reply, "chat.completion.chunk", []) | {"usage": reply.usage}


def _deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if reply.content is not None else None}
    for piece in _pieces(reply.content or ""):
        yield {"content": piece}
    for index, (_, arguments) in enumerate(reply.tool_calls):
        opening = _call(reply, index)
        opening["function"]["arguments"] = ""
        yield {"tool_calls": [opening | {"index": index}]}
        for piece in _pieces(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Iterator[str]:
    words = text.split(" ")
    for start in range(0, len(words), WORDS_PER_CHUNK):
        lead = " " if start else ""
        piece = lead + " ".join(words[start : start + WORDS_PER_CHUNK])
        if piece:
            yield piece


def _chunk(reply: Reply, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _envelope(reply, "chat.completion.chunk", [choice])


def _envelope(reply: Reply, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": reply.reply_id,
        "object": kind,
        "created": reply.created,
        "model": reply.model,
        "choices": choices,
    }


def _call(reply: Reply, index: int) -> dict[str, Any]:
    name, arguments = reply.tool_calls[index]
    return {
        "id": f"call_{reply.reply_id.removeprefix('chatcmpl-')}_{index}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _fill(
    answer: Answer, groups: Mapping[str, str]
) -> tuple[str | None, tuple[tuple[str, str], ...]]:
    content: str | None = _substitute(answer.content, groups)
    if answer.content_json is not None:
        content = json.dumps(_substitute(answer.content_json, groups))
    calls = [(call.name, _substitute(call.arguments, groups)) for call in answer.tool_calls]
    return content, tuple((name, json.dumps(arguments)) for name, arguments in calls)


def _substitute(value: Any, groups: Mapping[str, str]) -> Any:
    match value:
        case str():
            return GROUP.sub(lambda found: groups[found[1]], value)
        case dict():
            return {key: _substitute(item, groups) for key, item in value.items()}
        case list() | tuple():
            return [_substitute(item, groups) for item in value]
        case _:
            return value


def _usage(
    request: ChatRequest,
    answer: Answer,
    content: str | None,
    tool_calls: tuple[tuple[str, str], ...],
) -> dict[str, Any]:
    prompt = sum(PER_MESSAGE + count_tokens(text) for text in request.messages)
    prompt += count_tokens(request.tools_text)
    completion = count_tokens(content or "") + answer.reasoning_tokens
    completion += sum(count_tokens(name) + count_tokens(text) for name, text in tool_calls)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": min(answer.cached_tokens, prompt),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _digest(request: ChatRequest, nth: int) -> str:
    text = json.dumps([request.conversation, request.model, request.messages, nth])
    return hashlib.sha256(text.encode()).hexdigest()[:24]
