"""One reading of model and tool calls, whichever library and version wrote the span."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.genai import reading
from tracer.genai.reading import GenAICall, canonical_provider, operation_in, read_call
from tracer.genai.usage import MAX_TOKENS

CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.response.finish_reasons": ("end_turn",),
    "gen_ai.usage.input_tokens": 600,
    "gen_ai.usage.cache_read.input_tokens": 500,
    "gen_ai.usage.cache_write.input_tokens": 90,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.reasoning.output_tokens": 20,
    "operation.cost": 0.25,
}
OLD = {
    "gen_ai.system": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.response.finish_reasons": ["end_turn"],
    "gen_ai.usage.prompt_tokens": 600,
    "gen_ai.usage.cache_read_input_tokens": 500,
    "gen_ai.usage.cache_creation.input_tokens": 90,
    "gen_ai.usage.completion_tokens": 30,
    "gen_ai.usage.reasoning_tokens": 20,
    "gen_ai.usage.cost.amount": 0.25,
    "gen_ai.usage.cost.currency": "USD",
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "Anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.response.model": "claude-sonnet-4-5-20250929",
    "gen_ai.response.finish_reason": "end_turn",
    "gen_ai.usage.prompt_tokens": 10,
    "gen_ai.usage.cache_read_input_tokens": 500,
    "gen_ai.usage.cache_creation_input_tokens": 90,
    "gen_ai.usage.completion_tokens": 30,
    "gen_ai.usage.reasoning_tokens": 20,
    "gen_ai.usage.cost": 0.25,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "anthropic",
    "llm.model_name": "claude-sonnet-4-5",
    "llm.response.model": "claude-sonnet-4-5-20250929",
    "llm.finish_reason": "end_turn",
    "llm.token_count.prompt": 600,
    "llm.token_count.prompt_details.cache_read": 500,
    "llm.token_count.prompt_details.cache_write": 90,
    "llm.token_count.completion": 30,
    "llm.token_count.completion_details.reasoning": 20,
    "llm.cost.total": 0.25,
}


@pytest.mark.parametrize("attributes", [CURRENT, OLD, OPENLLMETRY, OPENINFERENCE])
def test_all_dialects_tell_the_same_call(attributes: dict[str, Any]) -> None:
    assert read_call(attributes) == GenAICall(
        operation="chat",
        provider="anthropic",
        request_model="claude-sonnet-4-5",
        response_model="claude-sonnet-4-5-20250929",
        finish_reason="end_turn",
        input_tokens=600,
        cache_read_tokens=500,
        cache_write_tokens=90,
        output_tokens=30,
        reasoning_tokens=20,
        cost_usd=0.25,
    )


@pytest.mark.parametrize(
    ("attributes", "operation", "tool"),
    [
        (
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund"},
            "execute_tool",
            "refund",
        ),
        ({"openinference.span.kind": "TOOL", "tool.name": "refund"}, "execute_tool", "refund"),
        (
            {"traceloop.span.kind": "tool", "traceloop.entity.name": "refund"},
            "execute_tool",
            "refund",
        ),
        ({"mcp.method.name": "tools/call", "gen_ai.tool.name": "refund"}, "execute_tool", "refund"),
        ({"mcp.method.name": "tools/list"}, "", ""),
        ({"traceloop.span.kind": "workflow", "traceloop.entity.name": "x"}, "invoke_workflow", ""),
        ({"openinference.span.kind": "AGENT", "agent.name": "triage"}, "invoke_agent", ""),
        ({"gen_ai.request.model": "gpt-4o"}, "", ""),
        ({"gen_ai.operation.name": "", "http.request.method": "POST"}, "", ""),
        ({}, "", ""),
    ],
)
def test_operations_and_tools(attributes: dict[str, Any], operation: str, tool: str) -> None:
    call = read_call(attributes)
    assert (call.operation, call.tool_name) == (operation, tool)
    assert operation_in(attributes) == operation


@pytest.mark.parametrize("name", ["MCP send tools/call refund", "tools/call refund"])
def test_the_tool_of_an_mcp_client_is_read_from_its_name(name: str) -> None:
    """The client of MCP's own SDK has it nowhere else."""
    sent = {"mcp.method.name": "tools/call"}
    assert read_call(sent, name).tool_name == "refund"
    assert read_call(sent | {"gen_ai.tool.name": "pay"}, name).tool_name == "pay"
    assert read_call({"gen_ai.operation.name": "execute_tool"}, name).tool_name == ""
    assert read_call(sent, "MCP send tools/call").tool_name == ""


def test_only_requests_to_a_model_have_a_price() -> None:
    for operation in ("invoke_agent", "fetch_response", "execute_tool", "plan", ""):
        assert not GenAICall(operation=operation).is_inference
    assert GenAICall(operation="embeddings").is_inference


def test_a_cost_in_another_currency_is_no_amount_of_dollars() -> None:
    euros = {"gen_ai.usage.cost.amount": 1.0, "gen_ai.usage.cost.currency": "EUR"}
    assert read_call(euros).cost_usd is None


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("OpenAI", "openai"),
        ("az.ai.openai", "azure.ai.openai"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("gcp.vertex_ai", "gcp.vertex_ai"),
        ("mistral", "mistral_ai"),
        ("xai", "x_ai"),
        ("Our-House", "our-house"),
        ("", ""),
    ],
)
def test_providers_have_one_name(name: str, canonical: str) -> None:
    assert canonical_provider(name) == canonical


@given(st.text(max_size=20))
def test_a_canonical_provider_stays(name: str) -> None:
    assert canonical_provider(canonical_provider(name)) == canonical_provider(name)


KNOWN_KEYS = sorted({str(key) for keys in reading._DIALECTS.values() for key in keys})
_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["chat", "LLM", "tools/call", "[", '["stop"]', "[]", "[1]", "USD"])
    | st.lists(st.text(max_size=3) | st.integers(), max_size=2)
)


@given(
    st.dictionaries(
        st.sampled_from([*KNOWN_KEYS, *reading._OPERATION_KEYS, "gen_ai.operation.name", "x"]),
        _VALUES,
        max_size=12,
    )
)
def test_any_attributes_are_read_under_the_rule(attributes: dict[str, Any]) -> None:
    call = read_call(attributes)
    for field in fields(call):
        value = getattr(call, field.name)
        if field.name.endswith("_tokens"):
            assert value is None or 0 <= value < 3 * MAX_TOKENS
        elif field.name in ("cost_usd", "time_to_first_chunk"):
            assert value is None or 0 <= value < float("inf")
        else:
            assert isinstance(value, str)
    assert call.usage == call.usage.balanced()


_PARTS = st.integers(0, 10**6)


@given(fresh=_PARTS, read=_PARTS, write=_PARTS, says=_PARTS, hidden=_PARTS)
def test_no_dialect_counts_a_token_twice(
    fresh: int, read: int, write: int, says: int, hidden: int
) -> None:
    whole, output = fresh + read + write, says + hidden
    keys = reading._DIALECTS
    for n in range(4):
        attributes = {
            _spelling(keys["input_tokens"], n): whole,
            _spelling(keys["output_tokens"], n): output,
            _spelling(keys["cache_read_tokens"], n): read,
            _spelling(keys["cache_write_tokens"], n): write,
            _spelling(keys["reasoning_tokens"], n): hidden,
        }
        call = read_call(attributes)
        assert (call.input_tokens, call.output_tokens) == (whole, output)
        assert (call.cache_read_tokens, call.cache_write_tokens) == (read, write)
        assert call.reasoning_tokens == hidden


def _spelling(keys: tuple[str, ...], n: int) -> str:
    return str(keys[min(n, len(keys) - 1)])
