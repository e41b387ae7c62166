"""What a span says about a model or tool call, whichever library wrote it.

The GenAI conventions have renamed their attributes several times, and OpenInference, OpenLLMetry
and MCP have names of their own. Reading accepts every known spelling and gives one dataclass under
one accounting rule; a value of a wrong type is treated as absent. Writing knows one spelling only,
that of `tracer.names.GenAI`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from tracer.genai.usage import ModelUsage, service_tier, token_count
from tracer.names import Attribute, GenAI

__all__ = [
    "INFERENCE_OPERATIONS",
    "Attributes",
    "GenAICall",
    "canonical_provider",
    "operation_in",
    "read_call",
]

type Attributes = Mapping[str, object]
"""Attributes of a span: as the SDK has them, or as parsed OTLP has them."""

INFERENCE_OPERATIONS: Final = frozenset(
    {"chat", "text_completion", "completion", "generate_content", "embeddings"}
)
"""Operations that are one request to a model: those that cost. An agent's span repeats the usage of
its calls, and fetching an earlier response bills nothing."""

_MCP_CALL: Final = "tools/call"
"""The method of MCP that calls a tool."""
_DIALECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": (
        GenAI.PROVIDER,
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "llm.vendor",
    ),
    "request_model": (
        GenAI.REQUEST_MODEL,
        "llm.request.model",
        "llm.model_name",
        "embedding.model_name",
    ),
    "response_model": (GenAI.RESPONSE_MODEL, "llm.response.model"),
    "response_id": (GenAI.RESPONSE_ID,),
    "service_tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "gen_ai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
        "gen_ai.request.service_tier",
    ),
    "conversation_id": (GenAI.CONVERSATION_ID, "session.id"),
    "agent_name": (GenAI.AGENT_NAME, "agent.name"),
    "tool_name": (GenAI.TOOL_NAME, "tool.name", "traceloop.entity.name"),
    "tool_type": (GenAI.TOOL_TYPE,),
    "tool_call_id": (GenAI.TOOL_CALL_ID, "tool_call.id"),
    "mcp_method": (GenAI.MCP_METHOD,),
    "mcp_session_id": (GenAI.MCP_SESSION_ID,),
    "error_type": (Attribute.ERROR_TYPE,),
    "finish_reason": (
        GenAI.FINISH_REASONS,
        "gen_ai.response.finish_reason",
        "llm.finish_reason",
        "llm.response.finish_reason",
    ),
    "input_tokens": (
        GenAI.INPUT_TOKENS,
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        GenAI.OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "cache_read_tokens": (
        GenAI.CACHE_READ_TOKENS,
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
    ),
    "cache_write_tokens": (
        GenAI.CACHE_WRITE_TOKENS,
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": (
        GenAI.REASONING_TOKENS,
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.reasoning_output_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "time_to_first_chunk": (GenAI.TIME_TO_FIRST_CHUNK,),
    "cost_usd": (GenAI.COST, "gen_ai.usage.cost.amount", "gen_ai.usage.cost", "llm.cost.total"),
}
"""Where each field may stand, the current spelling first."""

_OPERATION_KEYS: Final = (
    "openinference.span.kind",
    "traceloop.span.kind",
    "llm.request.type",
)
_OPERATIONS: Final[Mapping[str, str]] = {
    "llm": "chat",
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "workflow": "invoke_workflow",
}
"""Kinds of other libraries, in lower case, as operations of the convention."""

_PROVIDERS: Final[Mapping[str, str]] = {
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google_genai": "gcp.gen_ai",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "x-ai": "x_ai",
    "xai": "x_ai",
}


@dataclass(frozen=True, slots=True)
class GenAICall:
    """A model or tool call as a span tells it: what it leaves out is an empty text or `None`."""

    operation: str = ""
    """`chat`, `embeddings`, `execute_tool`, `invoke_agent`…; empty if the span is no such call."""
    provider: str = ""
    """In OpenTelemetry's spelling where there is one."""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    finish_reason: str = ""
    service_tier: str = ""
    """Empty for the standard one."""
    """Of the first choice."""
    input_tokens: int | None = None
    """All of them, cached ones included."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    """All of them, reasoning included."""
    reasoning_tokens: int | None = None
    time_to_first_chunk: float | None = None
    """Seconds."""
    cost_usd: float | None = None
    """As the sender calculated it."""
    conversation_id: str = ""
    agent_name: str = ""
    tool_name: str = ""
    tool_type: str = ""
    tool_call_id: str = ""
    mcp_method: str = ""
    mcp_session_id: str = ""
    error_type: str = ""

    @property
    def is_inference(self) -> bool:
        """Whether this is one request to a model, which is what has a price."""
        return self.operation in INFERENCE_OPERATIONS

    @property
    def models(self) -> tuple[str, ...]:
        """Names to look for in a price list, best first."""
        return tuple(dict.fromkeys(m for m in (self.response_model, self.request_model) if m))

    @property
    def usage(self) -> ModelUsage:
        """Its usage, as `tracer.genai.prices.cost_of` wants it."""
        return ModelUsage(
            model=self.response_model,
            provider=self.provider,
            input_tokens=self.input_tokens,
            cache_read_tokens=self.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens,
            output_tokens=self.output_tokens,
            reasoning_tokens=self.reasoning_tokens,
            finish_reason=self.finish_reason,
            response_id=self.response_id,
            service_tier=self.service_tier,
        )


def read_call(attributes: Attributes, span_name: str = "") -> GenAICall:
    """The call that a span tells of, under the accounting rule.

    Args:
        attributes: Those of the span.
        span_name: Its name, where there is one: some have the tool there only.
    """
    usage = _usage(attributes)
    operation = operation_in(attributes)
    return GenAICall(
        operation=operation,
        provider=usage.provider,
        request_model=_text(attributes, "request_model"),
        response_model=usage.model,
        response_id=usage.response_id,
        service_tier=usage.service_tier,
        finish_reason=usage.finish_reason,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        time_to_first_chunk=_amount(attributes, "time_to_first_chunk"),
        cost_usd=_cost(attributes),
        conversation_id=_text(attributes, "conversation_id"),
        agent_name=_text(attributes, "agent_name"),
        tool_name=_tool(attributes, span_name) if operation == "execute_tool" else "",
        tool_type=_text(attributes, "tool_type"),
        tool_call_id=_text(attributes, "tool_call_id"),
        mcp_method=_text(attributes, "mcp_method"),
        mcp_session_id=_text(attributes, "mcp_session_id"),
        error_type=_text(attributes, "error_type"),
    )


def operation_in(attributes: Attributes) -> str:
    """The operation, in the convention's words; empty for spans that are no GenAI call."""
    if told := _first_text(attributes, (GenAI.OPERATION,)):
        return told
    for key in _OPERATION_KEYS:
        kind = attributes.get(key)
        if isinstance(kind, str) and (operation := _OPERATIONS.get(kind.lower())):
            return operation
    if _is_mcp_call(attributes):
        return "execute_tool"
    # The first versions of the convention had no operation; model and usage give a call away.
    has_model = _text(attributes, "request_model") or _text(attributes, "response_model")
    return "chat" if has_model and _usage(attributes).is_reported else ""


def _tool(attributes: Attributes, span_name: str) -> str:
    """Clients of MCP's own SDK (2.3) tell it in `MCP send tools/call lookup_order` only."""
    told = _text(attributes, "tool_name")
    if told or not _is_mcp_call(attributes):
        return told
    return span_name.partition(f"{_MCP_CALL} ")[2]


def _is_mcp_call(attributes: Attributes) -> bool:
    return attributes.get(GenAI.MCP_METHOD) == _MCP_CALL


def canonical_provider(name: str) -> str:
    """OpenTelemetry's name for a provider; a name that it does not know is kept, in lower case."""
    lowered = name.strip().lower()
    return _PROVIDERS.get(lowered, lowered)


def _usage(attributes: Attributes) -> ModelUsage:
    return ModelUsage(
        model=_text(attributes, "response_model"),
        provider=canonical_provider(_text(attributes, "provider")),
        input_tokens=_count(attributes, "input_tokens"),
        cache_read_tokens=_count(attributes, "cache_read_tokens"),
        cache_write_tokens=_count(attributes, "cache_write_tokens"),
        output_tokens=_count(attributes, "output_tokens"),
        reasoning_tokens=_count(attributes, "reasoning_tokens"),
        finish_reason=_finish_reason(attributes),
        response_id=_text(attributes, "response_id"),
        service_tier=service_tier(_text(attributes, "service_tier")),
    ).balanced()


def _text(attributes: Attributes, field: str) -> str:
    return _first_text(attributes, _DIALECTS[field])


def _first_text(attributes: Attributes, keys: Iterable[str]) -> str:
    values = (attributes.get(key) for key in keys)
    return next((value for value in values if isinstance(value, str) and value), "")


def _count(attributes: Attributes, field: str) -> int | None:
    counts = (token_count(attributes.get(key)) for key in _DIALECTS[field])
    return next((count for count in counts if count is not None), None)


def _amount(attributes: Attributes, field: str) -> float | None:
    values = (attributes.get(key) for key in _DIALECTS[field])
    numbers = (v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))
    return next((float(n) for n in numbers if n >= 0 and _fits(n)), None)


def _fits(number: float) -> bool:
    # Whole numbers of any size come in; beyond a float they are no amount.
    return abs(number) < 2**63 if isinstance(number, int) else isfinite(number)


def _cost(attributes: Attributes) -> float | None:
    currency = attributes.get("gen_ai.usage.cost.currency", "USD")
    return _amount(attributes, "cost_usd") if currency == "USD" else None


def _finish_reason(attributes: Attributes) -> str:
    values = (attributes.get(key) for key in _DIALECTS["finish_reason"])
    reasons = (_first_of(value) for value in values)
    return next((reason for reason in reasons if reason), "")


def _first_of(reasons: object) -> str:
    """The first of a list, of its JSON text, or the text itself."""
    if isinstance(reasons, str) and reasons.startswith("["):
        try:
            reasons = json.loads(reasons)
        except (ValueError, RecursionError):
            return ""
    if isinstance(reasons, (list, tuple)):
        reasons = reasons[0] if reasons else ""
    return reasons if isinstance(reasons, str) else ""
