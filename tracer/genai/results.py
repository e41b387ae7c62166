"""Token usage in the answers of model APIs and in what agent libraries keep of them.

Answers come as parsed JSON or as objects of a client library; both are read alike, by name, and
none is changed. Every shape is outside input: a number that is not a plain count is treated as not
reported, and an answer of no known shape is left alone rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tracer.genai.reading import canonical_provider
from tracer.genai.usage import ModelUsage, service_tier, token_count

__all__ = ["usage_in_chunk", "usage_in_result"]


def usage_in_result(result: object) -> ModelUsage | None:
    """The usage in an answer, if it has one of the known shapes.

    Known are the answers of OpenAI (chat completions, responses, embeddings) and of the APIs that
    imitate them, Mistral among these, of Anthropic, Google and Bedrock, and the messages that
    OpenAI-Agents, pydantic-ai and LangChain keep.
    """
    for is_shape, read in _SHAPES:
        if is_shape(result):
            return read(result).balanced()
    return None


def usage_in_chunk(chunk: object) -> ModelUsage | None:
    """The usage in one chunk of a streamed answer; most chunks have none.

    Counts in chunks are totals so far, so a later one replaces an earlier one.
    """
    for name in ("response", "message"):  # OpenAI's closing event, Anthropic's opening one.
        inner = _get(chunk, name)
        if inner is not None and (usage := usage_in_result(inner)):
            return usage
    if _get(chunk, "type") == "message_delta":
        return _anthropic(chunk)
    return usage_in_result(chunk)


def _chat_completion(result: object) -> ModelUsage:
    usage = _get(result, "usage")
    details = _get(usage, "prompt_tokens_details")
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    reasoning = _count(usage, "completion_tokens_details", "reasoning_tokens")
    total = _count(usage, "total_tokens")
    if prompt is not None and completion is not None and reasoning and total is not None:
        # xAI counts reasoning beside the completion; its total gives it away.
        completion += reasoning if total == prompt + completion + reasoning else 0
    choice = _first(_get(result, "choices"))
    return ModelUsage(
        model=_text(result, "model"),
        input_tokens=prompt,
        cache_read_tokens=_either(_count(details, "cached_tokens"), _count(usage, "cached_tokens")),
        cache_write_tokens=_count(details, "cache_write_tokens"),
        output_tokens=completion,
        reasoning_tokens=reasoning,
        finish_reason=_text(choice, "finish_reason"),
        response_id=_text(result, "id"),
        service_tier=service_tier(_get(result, "service_tier")),
    )


def _embeddings(result: object) -> ModelUsage:
    return ModelUsage(
        model=_text(result, "model"),
        input_tokens=_count(result, "usage", "prompt_tokens"),
        response_id=_text(result, "id"),
    )


def _response(result: object) -> ModelUsage:
    """OpenAI responses, and the `ModelResponse` of OpenAI-Agents, which has no model in it."""
    usage = _get(result, "usage")
    details = _get(usage, "input_tokens_details")
    return ModelUsage(
        model=_text(result, "model"),
        input_tokens=_count(usage, "input_tokens"),
        cache_read_tokens=_count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "output_tokens_details", "reasoning_tokens"),
        finish_reason=_text(result, "status"),
        response_id=_text(result, "id") or _text(result, "response_id"),
        service_tier=service_tier(_get(result, "service_tier")),
    )


def _anthropic(result: object) -> ModelUsage:
    usage = _get(result, "usage")
    read = _count(usage, "cache_read_input_tokens")
    write = _count(usage, "cache_creation_input_tokens")
    stop_reason = _text(result, "stop_reason") or _text(_get(result, "delta"), "stop_reason")
    return ModelUsage(
        model=_text(result, "model"),
        provider="anthropic",
        input_tokens=_beside(_count(usage, "input_tokens"), read, write),
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=_count(usage, "cache_creation", "ephemeral_1h_input_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "output_tokens_details", "thinking_tokens"),
        finish_reason=stop_reason,
        response_id=_text(result, "id"),
        service_tier=service_tier(_get(usage, "speed"))
        or service_tier(_get(usage, "service_tier")),
    )


def _bedrock(result: object) -> ModelUsage:
    usage = _get(result, "usage")
    read, write = _count(usage, "cacheReadInputTokens"), _count(usage, "cacheWriteInputTokens")
    return ModelUsage(
        provider="aws.bedrock",
        input_tokens=_beside(_count(usage, "inputTokens"), read, write),
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=_count(usage, "outputTokens"),
        finish_reason=_text(result, "stopReason"),
    )


def _google(result: object) -> ModelUsage:
    usage = _google_usage(result)
    thoughts = _either_count(usage, "thoughtsTokenCount", "thoughts_token_count")
    tool_use = _either_count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    prompt = _either_count(usage, "promptTokenCount", "prompt_token_count")
    answer = _either_count(usage, "candidatesTokenCount", "candidates_token_count")
    candidate = _first(_get(result, "candidates"))
    return ModelUsage(
        model=_text(result, "modelVersion") or _text(result, "model_version"),
        # The same answer comes from Gemini's and from Vertex' endpoints.
        provider="gcp.gen_ai",
        input_tokens=_beside(prompt, tool_use),
        cache_read_tokens=_either_count(
            usage, "cachedContentTokenCount", "cached_content_token_count"
        ),
        output_tokens=_beside(answer, thoughts),
        reasoning_tokens=thoughts,
        finish_reason=_text(candidate, "finishReason") or _text(candidate, "finish_reason"),
        response_id=_text(result, "responseId") or _text(result, "response_id"),
    )


def _pydantic_ai(result: object) -> ModelUsage:
    usage = _get(result, "usage")
    return ModelUsage(
        model=_text(result, "model_name"),
        provider=canonical_provider(_text(result, "provider_name")),
        input_tokens=_count(usage, "input_tokens"),
        cache_read_tokens=_count(usage, "cache_read_tokens"),
        cache_write_tokens=_count(usage, "cache_write_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "details", "reasoning_tokens"),
        finish_reason=_text(result, "finish_reason"),
        response_id=_text(result, "provider_response_id"),
    )


def _langchain(result: object) -> ModelUsage:
    message = _langchain_message(result)
    usage = _get(message, "usage_metadata")
    about = _get(message, "response_metadata")
    return ModelUsage(
        model=_text(about, "model_name") or _text(about, "model"),
        provider=canonical_provider(_text(about, "model_provider")),
        input_tokens=_count(usage, "input_tokens"),
        cache_read_tokens=_count(usage, "input_token_details", "cache_read"),
        cache_write_tokens=_count(usage, "input_token_details", "cache_creation"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "output_token_details", "reasoning"),
        finish_reason=_text(about, "finish_reason") or _text(about, "stop_reason"),
        response_id=_text(about, "id"),
    )


def _langchain_message(result: object) -> object:
    """The message itself; a serialized one carries it as constructor arguments."""
    return _get(result, "kwargs") if _get(result, "lc") == 1 else result


def _google_usage(result: object) -> object:
    return _get(result, "usageMetadata") or _get(result, "usage_metadata")


def _usage_has(result: object, *names: str) -> bool:
    usage = _get(result, "usage")
    return all(_has(usage, name) for name in names)


_SHAPES: Final[tuple[tuple[Callable[[object], bool], Callable[[object], ModelUsage]], ...]] = (
    (lambda r: _usage_has(r, "prompt_tokens") and _has(r, "choices"), _chat_completion),
    (lambda r: _usage_has(r, "prompt_tokens") and _has(r, "data"), _embeddings),
    (
        lambda r: _usage_has(r, "input_tokens", "output_tokens") and _get(r, "type") == "message",
        _anthropic,
    ),
    (
        lambda r: _usage_has(r, "input_tokens", "output_tokens") and _get(r, "kind") == "response",
        _pydantic_ai,
    ),
    (lambda r: _usage_has(r, "input_tokens", "output_tokens") and _has(r, "output"), _response),
    (lambda r: _usage_has(r, "inputTokens", "outputTokens"), _bedrock),
    (lambda r: _has(_get(_langchain_message(r), "usage_metadata"), "input_tokens"), _langchain),
    (lambda r: _google_usage(r) is not None and _has(r, "candidates"), _google),
)


def _get(values: object, name: str) -> object:
    """A member of parsed JSON, or an attribute of a client library's object."""
    # Parsed JSON is made of plain dicts, and asking an abstract class takes ten times as long.
    if values is None:
        return None
    if type(values) is dict or isinstance(values, Mapping):
        return values.get(name)
    # Texts and numbers have attributes too, but none of an answer's.
    is_plain = isinstance(values, (str, bytes, int, float, list, tuple))
    return None if is_plain else getattr(values, name, None)


def _has(values: object, name: str) -> bool:
    if type(values) is dict or isinstance(values, Mapping):
        return name in values
    return _get(values, name) is not None


def _count(values: object, *path: str) -> int | None:
    for name in path:
        values = _get(values, name)
    return token_count(values)


def _either_count(values: object, *names: str) -> int | None:
    return _either(*(_count(values, name) for name in names))


def _either(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def _beside(total: int | None, *parts: int | None) -> int | None:
    """The whole, for an API that counts these parts beside it."""
    return None if total is None else total + sum(part or 0 for part in parts)


def _text(values: object, name: str) -> str:
    value = _get(values, name)
    # Client libraries have enums that are texts; the plain text is wanted.
    return str.__str__(value) if isinstance(value, str) else ""


def _first(values: object) -> object:
    return values[0] if isinstance(values, (list, tuple)) and values else None
