"""What the attributes of a span say about runs and steps, under all known names.

Temporal's SDK plugins and Retrospan's tracer name the same things differently. Reading accepts
every known name, so that tables have one; values of a wrong type are treated as absent. What a span
says about a model call is for `tracer.genai.reading` to tell.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from analytics.failure_rows import step_id
from tracer.model import StepKind
from tracer.names import Attribute as A

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

__all__ = [
    "Attributes",
    "attributes_of",
    "first_count",
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


def first_count(
    attributes: Attributes, names: Iterable[str], limit: int = _MAX_INT32
) -> int | None:
    """The first of these attributes that is a count below a limit."""
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
        "attempt": first_count(attributes, _ATTEMPT) or None,
    }


def _step_of(attributes: Attributes) -> str | None:
    occurrence = first_count(attributes, (A.STEP_OCCURRENCE,)) or 1
    kind = first_text(attributes, (A.STEP_KIND,))
    name = first_text(attributes, (A.STEP_ID,))
    if kind and name:
        return step_id(kind, name, occurrence)
    activity = first_text(attributes, _ACTIVITY_ID)
    if activity is None:
        return None
    is_local = attributes.get(A.IS_LOCAL) is True
    return step_id(StepKind.LOCAL_ACTIVITY if is_local else StepKind.ACTIVITY, activity, occurrence)
