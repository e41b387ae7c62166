"""Rows of `core.llm_calls`: model calls with their tokens and cost.

Two sources tell of calls. Spans of an instrumented client are exact: every call of every attempt.
A history knows only what a step returned in the end. Both are stored and marked; which one counts
is for `mart.llm_calls` to say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import orjson

from analytics.event_rows import key_columns, utc
from analytics.failure_rows import step_id
from tracer.genai.prices import SOURCE, cost_of, price_version
from tracer.genai.results import usage_in_result
from tracer.genai.usage import ModelUsage
from tracer.model import Outcome, Run, Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from analytics.tables import Row

__all__ = ["cost_columns", "history_call_rows", "usage_columns"]

_CALL_KINDS: Final = frozenset({StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY})

_MISTRAL_PREFIX: Final = "mistralai_"
_CALL_NAMES: Final = frozenset(
    {
        "invoke_model_activity",
        "mistralai_chat_complete",
        "mistralai_chat_stream",
        "mistralai_chat_parse",
        "mistralai_embeddings",
        "mistralai_start_conversation",
        "mistralai_start_conversation_stream",
        "mistralai_append_conversation",
        "mistralai_append_conversation_stream",
    }
)
"""Activities of agent libraries that are model calls, also where their result tells no usage:
such a call must show up as one without a price."""


def history_call_rows(run: Run) -> list[Row]:
    """One row per completed step that was a model call."""
    key = key_columns(run.key)
    return [
        key | row
        for step in run.steps
        if step.kind in _CALL_KINDS and step.outcome is Outcome.COMPLETED
        for row in _call_row(step)
    ]


def _call_row(step: Step) -> list[dict[str, object]]:
    usage = usage_in_result(_json(step.result))
    if usage is None and step.name not in _CALL_NAMES:
        return []
    usage = usage or ModelUsage()
    provider = usage.provider or ("mistral_ai" if step.name.startswith(_MISTRAL_PREFIX) else "")
    request_model = _requested_model(step)
    at = step.started_at or step.scheduled_at
    return [
        {
            "step_id": step_id(step.kind, step.id, step.occurrence),
            "attempt": step.attempt_count or None,
            "usage_source": "history",
            "trace_id": None,
            "span_id": None,
            "is_nested": False,
            "operation": "embeddings" if "embeddings" in step.name else "chat",
            "provider": provider or None,
            "request_model": request_model or None,
            "response_model": usage.model or None,
            "started_at": utc(at),
            "latency_s": None,
            "error_type": None,
        }
        | usage_columns(usage)
        | cost_columns(usage, provider, (usage.model, request_model), at)
    ]


def _requested_model(step: Step) -> str:
    request = _json(step.input)
    if not isinstance(request, dict):
        return ""
    model = request.get("model") or request.get("model_name")
    return model if isinstance(model, str) else ""


def _json(payloads: Sequence[Any]) -> object:
    """The first payload's value, if it is JSON under whichever name of encoding."""
    if not payloads or not payloads[0].metadata.get("encoding", b"").startswith(b"json/"):
        return None
    try:
        return orjson.loads(payloads[0].data)
    except orjson.JSONDecodeError:
        return None


def usage_columns(usage: ModelUsage) -> dict[str, object]:
    """Tokens and why the model stopped."""
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        # A reason read from JSON text may have half a character in it, which no column can hold.
        "finish_reason": usage.finish_reason.encode(errors="replace").decode() or None,
    }


def cost_columns(
    usage: ModelUsage, provider: str, models: tuple[str, ...], at_ns: int | None
) -> dict[str, object]:
    """The cost by token class, or NULLs and `unpriced`."""
    at = datetime.fromtimestamp(at_ns / 1e9, UTC) if at_ns and utc(at_ns) else None
    cost = cost_of(usage, provider, models, at)
    return {
        "input_cost_usd": cost.input_usd if cost else None,
        "cache_read_cost_usd": cost.cache_read_usd if cost else None,
        "cache_write_cost_usd": cost.cache_write_usd if cost else None,
        "output_cost_usd": cost.output_usd if cost else None,
        "cost_usd": cost.total_usd if cost else None,
        "price_source": SOURCE if cost else "unpriced",
        "price_version": price_version() if cost else None,
        "price_model": cost.model if cost else None,
    }
