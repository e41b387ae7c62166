"""Rows of `core.llm_calls`: model calls with their tokens and cost.

Two sources tell of calls. Spans of an instrumented client are exact: every call of every attempt.
A history knows only what a step returned in the end. Both are stored and marked; which one counts
is for `mart.llm_calls` to say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analytics.columns import Block, Columns, Times, transposed, utc
from analytics.failure_rows import step_id
from replayer.model_calls import StepModelCall, model_call_of
from tracer.genai.prices import cost_of
from tracer.genai.usage import ModelUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracer.model import Run

__all__ = ["call_block", "cost_columns", "priced_columns", "usage_columns"]


def call_block(runs: Sequence[Run]) -> Block:
    """One row per completed step that was a model call."""
    found = [
        [(step, call) for step in run.steps if (call := model_call_of(step)) is not None]
        for run in runs
    ]
    steps = [step for calls in found for step, _ in calls]
    calls = [call for of_run in found for _, call in of_run]
    columns: Columns = {
        "step_id": [step_id(step.kind, step.id, step.occurrence) for step in steps],
        "attempt": [step.attempt_count or None for step in steps],
        "usage_source": ["history"] * len(steps),
        "trace_id": [None] * len(steps),
        "span_id": [None] * len(steps),
        "is_nested": [False] * len(steps),
        "operation": ["embeddings" if "embeddings" in step.name else "chat" for step in steps],
        "provider": [call.provider or None for call in calls],
        "request_model": [call.request_model or None for call in calls],
        "response_model": [call.usage.model or None for call in calls],
        "started_at": Times([call.at for call in calls]),
        "latency_s": [None] * len(steps),
        "error_type": [None] * len(steps),
    }
    used = [usage_columns(call.usage) | _cost(call) for call in calls]
    return Block({**columns, **transposed(used)}, [len(calls) for calls in found])


def _cost(call: StepModelCall) -> dict[str, object]:
    return cost_columns(call.usage, call.provider, (call.usage.model, call.request_model), call.at)


def usage_columns(usage: ModelUsage) -> dict[str, object]:
    """Tokens and why the model stopped."""
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "finish_reason": _storable(usage.finish_reason),
        "service_tier": _storable(usage.service_tier),
    }


def cost_columns(
    usage: ModelUsage, provider: str, models: tuple[str, ...], at_ns: int | None
) -> dict[str, object]:
    """The cost by token class, or NULLs and `unpriced`."""
    at = datetime.fromtimestamp(at_ns / 1e9, UTC) if at_ns and utc(at_ns) else None
    return priced_columns(usage, provider, models, at)


def priced_columns(
    usage: ModelUsage, provider: str, models: tuple[str, ...], at: datetime | None
) -> dict[str, object]:
    """The same for a time that is known as such."""
    cost = cost_of(usage, provider, models, at)
    return {
        "input_cost_usd": cost.input_usd if cost else None,
        "cache_read_cost_usd": cost.cache_read_usd if cost else None,
        "cache_write_cost_usd": cost.cache_write_usd if cost else None,
        "output_cost_usd": cost.output_usd if cost else None,
        "cost_usd": cost.total_usd if cost else None,
        "price_source": cost.source if cost else "unpriced",
        "price_version": cost.version if cost else None,
        "price_model": cost.model if cost else None,
    }


def _storable(text: str) -> str | None:
    # What is read from JSON text may have half a character in it, which no column can hold.
    return text.encode(errors="replace").decode() or None
