"""Model and tool calls: spans for those that nothing else instruments, and one reading of all.

    with tracer.llm_call(model="gpt-4o", provider="openai") as call:
        call.result(client.chat.completions.create(...))

`usage`, `results`, `reading` and `prices` are pure: they load neither OpenTelemetry nor temporalio,
so that a warehouse reads what a worker wrote by the same rules. The rest is imported when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer.genai._providers import using_providers
    from tracer.genai.enricher import GenAIEnricher
    from tracer.genai.llm import LLMCall, RequestOptions, llm_call
    from tracer.genai.tool import ToolCall, tool_call

__all__ = [
    "GenAIEnricher",
    "LLMCall",
    "RequestOptions",
    "ToolCall",
    "llm_call",
    "tool_call",
    "using_providers",
]

_HOMES = {
    "GenAIEnricher": "tracer.genai.enricher",
    "LLMCall": "tracer.genai.llm",
    "RequestOptions": "tracer.genai.llm",
    "ToolCall": "tracer.genai.tool",
    "llm_call": "tracer.genai.llm",
    "tool_call": "tracer.genai.tool",
    "using_providers": "tracer.genai._providers",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tracer.genai' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
