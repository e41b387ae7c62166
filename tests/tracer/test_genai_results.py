"""Usage in answers of known shapes, as parsed JSON and as objects, under one accounting rule."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from tracer.genai.results import usage_in_chunk, usage_in_result
from tracer.genai.usage import MAX_TOKENS, ModelUsage

OPENAI_CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": "secret", "refusal": None},
            "logprobs": None,
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
XAI_CHAT = OPENAI_CHAT | {
    "model": "grok-4",
    "usage": OPENAI_CHAT["usage"] | {"total_tokens": 150},
}
EMBEDDINGS = {"object": "list", "data": [], "model": "e", "usage": {"prompt_tokens": 7}}
OPENAI_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "o3",
    "status": "completed",
    "output": [],
    "usage": {
        "input_tokens": 100,
        "output_tokens": 30,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens_details": {"reasoning_tokens": 20},
    },
}
OPENAI_AGENTS = {
    "output": [],
    "response_id": "resp_2",
    "usage": {"requests": 1, "input_tokens": 31, "output_tokens": 8, "total_tokens": 39},
}
ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 500,
        "cache_creation_input_tokens": 90,
        "output_tokens": 30,
    },
}
GOOGLE: dict[str, Any] = {
    "candidates": [{"finishReason": "STOP"}],
    "modelVersion": "gemini-2.5-pro",
    "responseId": "g-1",
    "usageMetadata": {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 7,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 30,
        "thoughtsTokenCount": 20,
    },
}
GOOGLE_PYTHON = {
    "candidates": [{"finish_reason": "STOP"}],
    "model_version": "gemini-2.5-pro",
    "usage_metadata": {"prompt_token_count": 100, "candidates_token_count": 30},
}
BEDROCK = {
    "output": {"message": {}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 10,
        "cacheReadInputTokens": 500,
        "cacheWriteInputTokens": 90,
        "outputTokens": 30,
    },
}
PYDANTIC_AI = {
    "kind": "response",
    "parts": [],
    "model_name": "mistral-small",
    "provider_name": "mistral",
    "finish_reason": "stop",
    "usage": {
        "input_tokens": 100,
        "cache_read_tokens": 60,
        "cache_write_tokens": 5,
        "output_tokens": 30,
        "details": {"reasoning_tokens": 20},
    },
}
LANGCHAIN: dict[str, Any] = {
    "type": "ai",
    "response_metadata": {"model_name": "gpt-4o", "finish_reason": "stop"},
    "usage_metadata": {
        "input_tokens": 100,
        "output_tokens": 30,
        "input_token_details": {"cache_read": 60},
        "output_token_details": {"reasoning": 20},
    },
}
SHAPES = [
    (OPENAI_CHAT, ModelUsage("gpt-4o", "", 100, 60, None, 30, 20, "tool_calls", "chatcmpl-1")),
    # Reasoning beside the completion becomes part of it.
    (XAI_CHAT, ModelUsage("grok-4", "", 100, 60, None, 50, 20, "tool_calls", "chatcmpl-1")),
    (EMBEDDINGS, ModelUsage("e", "", 7)),
    (OPENAI_RESPONSE, ModelUsage("o3", "", 100, 60, 10, 30, 20, "completed", "resp_1")),
    (OPENAI_AGENTS, ModelUsage("", "", 31, None, None, 8, None, "", "resp_2")),
    # Cached tokens beside the input become part of it.
    (
        ANTHROPIC,
        ModelUsage("claude-sonnet-4-5", "anthropic", 600, 500, 90, 30, None, "end_turn", "msg_1"),
    ),
    (BEDROCK, ModelUsage("", "aws.bedrock", 600, 500, 90, 30, None, "end_turn")),
    # Thoughts beside the answer become part of it, and what tools put in part of the input.
    (GOOGLE, ModelUsage("gemini-2.5-pro", "gcp.gen_ai", 107, 60, None, 50, 20, "STOP", "g-1")),
    (GOOGLE_PYTHON, ModelUsage("gemini-2.5-pro", "gcp.gen_ai", 100, None, None, 30, None, "STOP")),
    (PYDANTIC_AI, ModelUsage("mistral-small", "mistral_ai", 100, 60, 5, 30, 20, "stop")),
    (LANGCHAIN, ModelUsage("gpt-4o", "", 100, 60, None, 30, 20, "stop")),
    (
        {"lc": 1, "type": "constructor", "kwargs": LANGCHAIN},
        ModelUsage("gpt-4o", "", 100, 60, None, 30, 20, "stop"),
    ),
]


def as_object(value: Any) -> Any:
    """The same answer as a client library's object."""
    match value:
        case dict():
            return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
        case list():
            return [as_object(item) for item in value]
        case _:
            return value


@pytest.mark.parametrize(("result", "expected"), SHAPES)
def test_known_shapes(result: dict[str, Any], expected: ModelUsage) -> None:
    assert usage_in_result(result) == expected
    assert usage_in_result(as_object(result)) == expected


def test_an_object_of_the_openai_client() -> None:
    completion = ChatCompletion.model_validate(OPENAI_CHAT)
    assert usage_in_result(completion) == usage_in_result(OPENAI_CHAT)


@pytest.mark.parametrize(
    "result",
    [
        *(None, "text", b"bytes", 7, [], {}, object(), {"usage": 5}),
        {"usage": {"input_tokens": 5, "output_tokens": 5}},
        {"usage": {"cpu": 5}, "output": []},
    ],
)
def test_other_results_are_no_model_calls(result: object) -> None:
    assert usage_in_result(result) is None
    assert usage_in_chunk(result) is None


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, None, MAX_TOKENS, 10**30])
def test_what_is_no_count_is_not_reported(count: object) -> None:
    result = OPENAI_AGENTS | {"usage": {"input_tokens": count, "output_tokens": count}}
    usage = usage_in_result(result)
    assert usage is not None
    assert not usage.is_reported


def test_chunks_of_anthropic_add_up_to_the_answer() -> None:
    opening = ANTHROPIC | {"stop_reason": None, "usage": ANTHROPIC["usage"] | {"output_tokens": 1}}
    chunks: list[dict[str, Any]] = [
        {"type": "message_start", "message": opening},
        {"type": "content_block_delta", "delta": {"text": "…"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 30},
        },
        {"type": "message_stop"},
    ]
    total = ModelUsage()
    for chunk in chunks:
        total = total.updated(usage_in_chunk(as_object(chunk)) or ModelUsage())
    assert total == usage_in_result(ANTHROPIC)


def test_the_closing_event_of_openai_tells_all() -> None:
    event = {"type": "response.completed", "response": OPENAI_RESPONSE}
    assert usage_in_chunk(event) == usage_in_result(OPENAI_RESPONSE)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("usage", "output", "choices", "type", "kind", "lc", "kwargs", "candidates"),
                    *("usage_metadata", "usageMetadata", "input_tokens", "output_tokens", "model"),
                    *("prompt_tokens", "response_metadata", "input_token_details", "data"),
                    *("completion_tokens", "completion_tokens_details", "reasoning_tokens"),
                    *("cache_read_input_tokens", "inputTokens", "outputTokens", "message"),
                ]
            ),
            children | st.sampled_from(["message", "response", "message_delta"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_results_of_any_shape_are_read_or_left(result: object) -> None:
    for usage in (usage_in_result(result), usage_in_chunk(result)):
        if usage is not None:
            assert_balanced(usage)


_COUNTS = st.none() | st.integers(0, MAX_TOKENS - 1)


@given(_COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS)
def test_balancing_makes_parts_fit_and_is_done_once(
    total: int | None, read: int | None, write: int | None, output: int | None, hidden: int | None
) -> None:
    usage = ModelUsage(
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=output,
        reasoning_tokens=hidden,
    )
    balanced = usage.balanced()
    assert_balanced(balanced)
    assert balanced.balanced() == balanced
    cached = (read or 0) + (write or 0)
    if total is not None:
        assert balanced.input_tokens == (total if cached <= total else total + cached)
    assert (balanced.cache_read_tokens, balanced.reasoning_tokens) == (read, hidden)


@given(st.lists(st.tuples(_COUNTS, _COUNTS), max_size=5))
def test_a_sum_of_usages_counts_each_once(counts: list[tuple[int | None, int | None]]) -> None:
    total = ModelUsage()
    for inside, out in counts:
        total = total.plus(ModelUsage(input_tokens=inside, output_tokens=out))
    assert (total.input_tokens or 0) == sum(inside or 0 for inside, _ in counts)
    assert (total.output_tokens or 0) == sum(out or 0 for _, out in counts)
    assert total.is_reported == any(pair != (None, None) for pair in counts)


def assert_balanced(usage: ModelUsage) -> None:
    if usage.input_tokens is not None:
        cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
        assert cached <= usage.input_tokens
    if usage.output_tokens is not None:
        assert (usage.reasoning_tokens or 0) <= usage.output_tokens
