"""An instrumented client inside `llm_call`: one span, not two.

Instrumentations built on `opentelemetry-util-genai` open no span where the context says that an
outer one watches the same inference; they hand their facts to it instead. `llm_call` announces
itself that way and collects what comes. Other instrumentations do not ask: around those clients
`llm_call` is one span too many, and not needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from tracer.genai.usage import ModelUsage
from tracer.names import GenAI

_MODULE: Final = "opentelemetry.util.genai.invocation"


def collecting(context: Context, operation: str, take: Callable[[Any], None]) -> Context:
    """The context under which instrumented clients hand over what they know of their call.

    Args:
        context: The context to extend.
        operation: Of the outer call.
        take: Gets the data of each call inside, as it ends.
    """
    # Not imported for its own sake: it is there if, and only if, an instrumentation uses it.
    if _MODULE not in sys.modules:
        return context
    key, collector = _collector_for("embeddings" if operation == "embeddings" else "inference")
    return otel_context.set_value(key, collector(take), context)


def usage_of(data: Any) -> ModelUsage:
    """The usage in data that an instrumented client handed over."""
    reasons = getattr(data, "response_finish_reasons", None) or [""]
    return ModelUsage(
        model=data.response_model or "",
        provider=data.provider_name or "",
        input_tokens=data.usage_input_tokens,
        cache_read_tokens=getattr(data, "usage_cache_read_input_tokens", None),
        cache_write_tokens=getattr(data, "usage_cache_write_input_tokens", None),
        output_tokens=getattr(data, "usage_output_tokens", None),
        reasoning_tokens=getattr(data, "usage_reasoning_output_tokens", None),
        finish_reason=reasons[0],
        response_id=getattr(data, "response_id", None) or "",
    ).balanced()


def known_of(data: Any) -> dict[str, AttributeValue]:
    """What else such data tells, as attributes."""
    told = {
        GenAI.TIME_TO_FIRST_CHUNK.value: getattr(data, "response_time_to_first_chunk", None),
        GenAI.REQUEST_STREAM.value: getattr(data, "request_stream", None),
        GenAI.SERVER_ADDRESS.value: data.server_address,
        GenAI.SERVER_PORT.value: data.server_port,
    }
    known = {key: value for key, value in told.items() if value is not None}
    return {**data.attributes, **known}


@cache
def _collector_for(kind: str) -> tuple[str, Callable[[Callable[[Any], None]], object]]:
    from opentelemetry.util.genai import invocation

    base: Any = invocation.InferenceData
    key = invocation.CLIENT_INFERENCE_CONTEXT_KEY
    if kind == "embeddings":
        base, key = invocation.EmbeddingData, invocation.CLIENT_EMBEDDING_CONTEXT_KEY

    class Collector(base):  # type: ignore[misc]
        """Where calls inside publish: each of them counts, not only the last."""

        def __init__(self, take: Callable[[Any], None]) -> None:
            super().__init__()
            self._take = take

        def merge(self, other: Any, *, overwrite: bool = True) -> None:
            super().merge(other, overwrite=overwrite)
            self._take(other)

    return key, Collector
