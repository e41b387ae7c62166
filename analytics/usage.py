"""Token usage as model APIs and agent libraries report it, brought to one accounting rule.

The rule is OpenTelemetry's: input tokens include those read from or written to a cache, output
tokens include those spent on reasoning. Anthropic's API and Google's count otherwise; getting this
wrong bills cached tokens twice or not at all. Every shape here is outside input: a number that is
not a plain count is treated as not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["MAX_TOKENS", "ModelUsage", "usage_in_result"]

MAX_TOKENS: Final = 10**11
"""Above any real count; what a crafted number costs still fits into a column."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What one model call used."""

    model: str = ""
    """The model that answered, empty if the result does not say."""
    provider: str = ""
    """The provider, empty if the result does not say."""
    input_tokens: int | None = None
    """All of them, cached ones included; `None` if not reported."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    """All of them, reasoning included; `None` if not reported."""
    reasoning_tokens: int | None = None
    finish_reason: str = ""

    @property
    def is_reported(self) -> bool:
        """Whether there is anything to count."""
        return self.input_tokens is not None or self.output_tokens is not None


def usage_in_result(result: object) -> ModelUsage | None:
    """The usage in a step's result, if the result has one of the known shapes.

    Known are the answers of OpenAI (chat completions and responses) and of the APIs that imitate
    them, Mistral among these, of Anthropic and Google, and the messages that OpenAI-Agents,
    pydantic-ai and LangChain keep.
    """
    if not isinstance(result, dict):
        return None
    for is_shape, read in _SHAPES:
        if is_shape(result):
            return read(result)
    return None


def _chat_completion(result: Mapping[str, Any]) -> ModelUsage:
    usage = result["usage"]
    return ModelUsage(
        model=_text(result, "model"),
        input_tokens=_count(usage, "prompt_tokens"),
        cache_read_tokens=_count(usage, "prompt_tokens_details", "cached_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        reasoning_tokens=_count(usage, "completion_tokens_details", "reasoning_tokens"),
        finish_reason=_text(_first(result.get("choices")), "finish_reason"),
    )


def _response(result: Mapping[str, Any]) -> ModelUsage:
    """OpenAI responses, and the `ModelResponse` of OpenAI-Agents, which has no model in it."""
    usage = result["usage"]
    return ModelUsage(
        model=_text(result, "model"),
        input_tokens=_count(usage, "input_tokens"),
        cache_read_tokens=_count(usage, "input_tokens_details", "cached_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "output_tokens_details", "reasoning_tokens"),
        finish_reason=_text(result, "status"),
    )


def _anthropic(result: Mapping[str, Any]) -> ModelUsage:
    usage = result["usage"]
    read = _count(usage, "cache_read_input_tokens")
    write = _count(usage, "cache_creation_input_tokens")
    fresh = _count(usage, "input_tokens")
    return ModelUsage(
        model=_text(result, "model"),
        provider="anthropic",
        # This API counts cached tokens beside the input, not in it.
        input_tokens=None if fresh is None else fresh + (read or 0) + (write or 0),
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=_count(usage, "output_tokens"),
        finish_reason=_text(result, "stop_reason"),
    )


def _google(result: Mapping[str, Any]) -> ModelUsage:
    usage = result.get("usageMetadata") or result["usage_metadata"]
    answer = _either(usage, "candidatesTokenCount", "candidates_token_count")
    thoughts = _either(usage, "thoughtsTokenCount", "thoughts_token_count")
    candidate = _first(result.get("candidates"))
    return ModelUsage(
        model=_text(result, "modelVersion") or _text(result, "model_version"),
        provider="google",
        input_tokens=_either(usage, "promptTokenCount", "prompt_token_count"),
        cache_read_tokens=_either(usage, "cachedContentTokenCount", "cached_content_token_count"),
        # This API counts thoughts beside the answer, not in it.
        output_tokens=None if answer is None else answer + (thoughts or 0),
        reasoning_tokens=thoughts,
        finish_reason=_text(candidate, "finishReason") or _text(candidate, "finish_reason"),
    )


def _pydantic_ai(result: Mapping[str, Any]) -> ModelUsage:
    usage = result["usage"]
    return ModelUsage(
        model=_text(result, "model_name"),
        provider=_text(result, "provider_name"),
        input_tokens=_count(usage, "input_tokens"),
        cache_read_tokens=_count(usage, "cache_read_tokens"),
        cache_write_tokens=_count(usage, "cache_write_tokens"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "details", "reasoning_tokens"),
        finish_reason=_text(result, "finish_reason"),
    )


def _langchain(result: Mapping[str, Any]) -> ModelUsage:
    message = _langchain_message(result)
    usage = message["usage_metadata"]
    about = message.get("response_metadata")
    return ModelUsage(
        model=_text(about, "model_name") or _text(about, "model"),
        provider=_text(about, "model_provider"),
        input_tokens=_count(usage, "input_tokens"),
        cache_read_tokens=_count(usage, "input_token_details", "cache_read"),
        cache_write_tokens=_count(usage, "input_token_details", "cache_creation"),
        output_tokens=_count(usage, "output_tokens"),
        reasoning_tokens=_count(usage, "output_token_details", "reasoning"),
        finish_reason=_text(about, "finish_reason") or _text(about, "stop_reason"),
    )


def _langchain_message(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message itself; a serialized one carries it as constructor arguments."""
    kwargs = result.get("kwargs")
    return kwargs if result.get("lc") == 1 and isinstance(kwargs, dict) else result


def _usage_has(result: Mapping[str, Any], *names: str) -> bool:
    usage = result.get("usage")
    return isinstance(usage, dict) and all(name in usage for name in names)


_SHAPES: Final[
    tuple[
        tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], ModelUsage]], ...
    ]
] = (
    (lambda r: _usage_has(r, "prompt_tokens") and "choices" in r, _chat_completion),
    (
        lambda r: _usage_has(r, "input_tokens", "output_tokens") and r.get("type") == "message",
        _anthropic,
    ),
    (
        lambda r: _usage_has(r, "input_tokens", "output_tokens") and r.get("kind") == "response",
        _pydantic_ai,
    ),
    (lambda r: _usage_has(r, "input_tokens", "output_tokens") and "output" in r, _response),
    (
        lambda r: (
            isinstance(_langchain_message(r).get("usage_metadata"), dict)
            and "input_tokens" in _langchain_message(r)["usage_metadata"]
        ),
        _langchain,
    ),
    (
        lambda r: (
            isinstance(r.get("usageMetadata") or r.get("usage_metadata"), dict)
            and "candidates" in r
        ),
        _google,
    ),
)


def _count(values: object, *path: str) -> int | None:
    for name in path:
        if not isinstance(values, dict):
            return None
        values = values.get(name)
    is_count = isinstance(values, int) and not isinstance(values, bool)
    return values if is_count and 0 <= values < MAX_TOKENS else None  # type: ignore[operator, return-value]


def _either(values: object, *names: str) -> int | None:
    return next((n for name in names if (n := _count(values, name)) is not None), None)


def _text(values: object, name: str) -> str:
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, str) else ""


def _first(values: object) -> object:
    return values[0] if isinstance(values, list) and values else None
