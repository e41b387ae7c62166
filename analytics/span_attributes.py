"""What the attributes of a span say about runs, steps and model calls, under all known names.

Temporal's SDK plugins, Retrospan's tracer and several vendors name the same things differently, and
the GenAI conventions have renamed theirs more than once. Reading accepts every known name, so that
tables have one; values of a wrong type are treated as absent.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from analytics.failure_rows import step_id
from analytics.usage import MAX_TOKENS, ModelUsage
from tracer.model import StepKind
from tracer.names import Attribute as A

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = [
    "CALL_OPERATIONS",
    "Attributes",
    "attributes_of",
    "call_operation",
    "call_usage",
    "first_text",
    "json_text",
    "run_columns",
]

type Attributes = Mapping[str, Any]
"""Attributes as plain JSON values."""

_NAMESPACE: Final = (A.NAMESPACE, "temporal.Namespace", "temporalNamespace")
_WORKFLOW_ID: Final = (
    A.WORKFLOW_ID,
    "temporalWorkflowId",
    "temporal.workflow.id",
    "temporal.WorkflowID",
    "temporal.workflow_id",
)
_RUN_ID: Final = (
    A.RUN_ID,
    "temporalRunId",
    "temporal.run.id",
    "temporal.workflow.run_id",
    "temporal.RunID",
    "temporal.run_id",
)
_ACTIVITY_ID: Final = (
    A.ACTIVITY_ID,
    "temporalActivityId",
    "temporal.activity.id",
    "temporal.ActivityID",
)
_ATTEMPT: Final = (A.ACTIVITY_ATTEMPT, "temporalActivityAttempt", "temporal.Attempt")

_MAX_INT32: Final = 2**31 - 1

CALL_OPERATIONS: Final = frozenset(
    {"chat", "text_completion", "completion", "generate_content", "embeddings"}
)
"""Operations that are one request to a model. An agent's span repeats the usage of its calls."""

_MODEL: Final = ("gen_ai.response.model", "gen_ai.request.model")


def attributes_of(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """OTLP attributes as plain values."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values)
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case kind:
            return getattr(value, kind)


def json_text(value: object) -> str:
    """JSON for a column, keys sorted: the same attributes give the same text."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode()


def first_text(attributes: Attributes, names: Iterable[str]) -> str | None:
    """The first of these attributes that is a text and not empty."""
    values = (attributes.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _first_count(attributes: Attributes, names: Iterable[str], limit: int) -> int | None:
    values = (attributes.get(name) for name in names)
    counts = (v for v in values if isinstance(v, int) and not isinstance(v, bool))
    return next((count for count in counts if 0 <= count < limit), None)


def run_columns(attributes: Attributes) -> dict[str, object]:
    """Which run, step and attempt the span belongs to, as far as it says so itself."""
    return {
        "namespace": first_text(attributes, _NAMESPACE),
        "workflow_id": first_text(attributes, _WORKFLOW_ID),
        "run_id": first_text(attributes, _RUN_ID),
        "step_id": _step_of(attributes),
        "attempt": _first_count(attributes, _ATTEMPT, _MAX_INT32) or None,
    }


def _step_of(attributes: Attributes) -> str | None:
    occurrence = _first_count(attributes, (A.STEP_OCCURRENCE,), _MAX_INT32) or 1
    kind = first_text(attributes, (A.STEP_KIND,))
    name = first_text(attributes, (A.STEP_ID,))
    if kind and name:
        return step_id(kind, name, occurrence)
    activity = first_text(attributes, _ACTIVITY_ID)
    if activity is None:
        return None
    is_local = attributes.get(A.IS_LOCAL) is True
    return step_id(StepKind.LOCAL_ACTIVITY if is_local else StepKind.ACTIVITY, activity, occurrence)


def call_operation(attributes: Attributes) -> str | None:
    """The GenAI operation; `chat` for old spans of model calls that name none."""
    operation = first_text(attributes, ("gen_ai.operation.name",))
    if operation is None and first_text(attributes, _MODEL) and call_usage(attributes).is_reported:
        return "chat"
    return operation


def call_usage(attributes: Attributes) -> ModelUsage:
    """The usage that a GenAI span reports."""
    read = _tokens(attributes, "cache_read.input_tokens", "cache_read_input_tokens")
    write = _tokens(
        attributes,
        "cache_write.input_tokens",
        "cache_creation.input_tokens",
        "cache_creation_input_tokens",
    )
    total = _tokens(attributes, "input_tokens", "prompt_tokens")
    cached = (read or 0) + (write or 0)
    if total is not None and cached > total:
        # The convention counts cached tokens in; a sender that did not says so by this.
        total += cached
    reasons = attributes.get("gen_ai.response.finish_reasons")
    first = reasons[0] if isinstance(reasons, list) and reasons else None
    return ModelUsage(
        model=first_text(attributes, ("gen_ai.response.model",)) or "",
        provider=first_text(attributes, ("gen_ai.provider.name", "gen_ai.system")) or "",
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=_tokens(attributes, "output_tokens", "completion_tokens"),
        reasoning_tokens=_tokens(attributes, "reasoning.output_tokens", "reasoning_tokens"),
        finish_reason=first if isinstance(first, str) else "",
    )


def _tokens(attributes: Attributes, *names: str) -> int | None:
    return _first_count(attributes, [f"gen_ai.usage.{name}" for name in names], MAX_TOKENS)
