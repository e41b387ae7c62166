"""Token usage in results of known shapes, under one accounting rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.usage import MAX_TOKENS, ModelUsage, usage_in_result

OPENAI_CHAT = {
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [{"finish_reason": "tool_calls"}],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
OPENAI_RESPONSE = {
    "object": "response",
    "model": "o3",
    "status": "completed",
    "output": [],
    "usage": {
        "input_tokens": 100,
        "output_tokens": 30,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens_details": {"reasoning_tokens": 20},
    },
}
OPENAI_AGENTS = {
    "output": [],
    "response_id": "r",
    "usage": {"requests": 1, "input_tokens": 31, "output_tokens": 8, "total_tokens": 39},
}
ANTHROPIC = {
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
GOOGLE = {
    "candidates": [{"finishReason": "STOP"}],
    "modelVersion": "gemini-2.5-pro",
    "usageMetadata": {
        "promptTokenCount": 100,
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
LANGCHAIN = {
    "type": "ai",
    "response_metadata": {"model_name": "gpt-4o", "finish_reason": "stop"},
    "usage_metadata": {
        "input_tokens": 100,
        "output_tokens": 30,
        "input_token_details": {"cache_read": 60},
        "output_token_details": {"reasoning": 20},
    },
}
LANGCHAIN_SERIALIZED = {"lc": 1, "type": "constructor", "kwargs": LANGCHAIN}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (OPENAI_CHAT, ModelUsage("gpt-4o", "", 100, 60, None, 30, 20, "tool_calls")),
        (OPENAI_RESPONSE, ModelUsage("o3", "", 100, 60, None, 30, 20, "completed")),
        (OPENAI_AGENTS, ModelUsage("", "", 31, None, None, 8, None, "")),
        # Cached tokens beside the input become part of it.
        (
            ANTHROPIC,
            ModelUsage("claude-sonnet-4-5", "anthropic", 600, 500, 90, 30, None, "end_turn"),
        ),
        # Thoughts beside the answer become part of it.
        (GOOGLE, ModelUsage("gemini-2.5-pro", "google", 100, 60, None, 50, 20, "STOP")),
        (GOOGLE_PYTHON, ModelUsage("gemini-2.5-pro", "google", 100, None, None, 30, None, "STOP")),
        (PYDANTIC_AI, ModelUsage("mistral-small", "mistral", 100, 60, 5, 30, 20, "stop")),
        (LANGCHAIN, ModelUsage("gpt-4o", "", 100, 60, None, 30, 20, "stop")),
        (LANGCHAIN_SERIALIZED, ModelUsage("gpt-4o", "", 100, 60, None, 30, 20, "stop")),
    ],
)
def test_known_shapes(result: dict[str, Any], expected: ModelUsage) -> None:
    assert usage_in_result(result) == expected


@pytest.mark.parametrize(
    "result",
    [
        None,
        "text",
        7,
        [],
        {},
        {"usage": 5},
        {"usage": {"input_tokens": 5, "output_tokens": 5}},
        {"usage": {"cpu": 5}, "output": []},
    ],
)
def test_other_results_are_no_model_calls(result: object) -> None:
    assert usage_in_result(result) is None


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, None, MAX_TOKENS, 10**30])
def test_what_is_no_count_is_not_reported(count: object) -> None:
    result = OPENAI_AGENTS | {"usage": {"input_tokens": count, "output_tokens": count}}
    usage = usage_in_result(result)
    assert usage is not None
    assert not usage.is_reported


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("usage", "output", "choices", "type", "kind", "lc", "kwargs", "candidates"),
                    *("usage_metadata", "usageMetadata", "input_tokens", "output_tokens", "model"),
                    *("prompt_tokens", "response_metadata", "input_token_details"),
                ]
            ),
            children | st.sampled_from(["message", "response"]),
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(_JSON)
def test_results_of_any_shape_are_read_or_left(result: object) -> None:
    usage = usage_in_result(result)
    assert usage is None or isinstance(usage.model, str)
