"""OpenTelemetry spans into the warehouse, once each.

A span is known by its trace and span id. Exporters retry and replays repeat, so the same span may
arrive many times: the account that ends last is kept, and of equal ones the first. Attempts and
model calls are written down as their spans arrive. Children are exported before their parents;
which run a model call belongs to is therefore looked up again whenever more of its trace is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics.branch_rows import branch_row
from analytics.llm_rows import cost_columns, usage_columns
from analytics.settling import note_traces
from analytics.span_attributes import (
    Attributes,
    attributes_of,
    first_text,
    json_text,
    run_columns,
)
from analytics.tables import Row, arrow_table, insert, registered
from analytics.tool_rows import TOOL_OPERATION, tool_row
from tracer.genai.reading import INFERENCE_OPERATIONS, operation_in, read_call
from tracer.names import Attribute as A
from tracer.names import SpanKind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

__all__ = ["SpanBatch", "SpanRows", "span_rows", "store_span_batch", "store_spans"]

_ERROR_STATUS: Final = 2
_MAX_TIME: Final = 2**63
_MAX_INT32: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SpanBatch:
    """Some spans, as they travel between processes."""

    data: bytes
    """A serialized `ExportTraceServiceRequest`."""


@dataclass(frozen=True, slots=True)
class SpanRows:
    """The spans of a request that can be stored."""

    rows: list[Row]
    """Rows of `core.spans`."""
    rejected: int
    """Spans that break OTLP's rules on ids and times."""

    @property
    def reason(self) -> str:
        """What to tell the sender about rejected spans; empty if there are none."""
        return "spans need a trace id, a span id and a start time" if self.rejected else ""


def span_rows(request: ExportTraceServiceRequest) -> SpanRows:
    """The rows of a request, in its order."""
    rows: list[Row] = []
    rejected = 0
    for resource_spans in request.resource_spans:
        resource = _resource_columns(resource_spans)
        for scope_spans in resource_spans.scope_spans:
            common = resource | _scope_columns(scope_spans.scope)
            for span in scope_spans.spans:
                if _is_valid(span):
                    rows.append(common | _span_columns(span))
                else:
                    rejected += 1
    return SpanRows(rows, rejected)


def _is_valid(span: Span) -> bool:
    has_ids = len(span.trace_id) == 16 and len(span.span_id) == 8
    has_parent = len(span.parent_span_id) in (0, 8)
    is_null = not any(span.trace_id) or not any(span.span_id)
    has_times = 0 < span.start_time_unix_nano < _MAX_TIME and span.end_time_unix_nano < _MAX_TIME
    return has_ids and has_parent and not is_null and has_times


def _resource_columns(resource_spans: ResourceSpans) -> dict[str, object]:
    attributes = attributes_of(resource_spans.resource.attributes)
    return {
        "service_name": first_text(attributes, ("service.name",)),
        "service_namespace": first_text(attributes, ("service.namespace",)),
        "service_instance_id": first_text(attributes, ("service.instance.id",)),
        "resource_attributes": json_text(attributes),
    }


def _scope_columns(scope: InstrumentationScope) -> dict[str, object]:
    return {
        "scope_name": scope.name or None,
        "scope_version": scope.version or None,
        "scope_attributes": json_text(attributes_of(scope.attributes)),
    }


def _span_columns(span: Span) -> dict[str, object]:
    attributes = attributes_of(span.attributes)
    start, end = span.start_time_unix_nano, max(span.start_time_unix_nano, span.end_time_unix_nano)
    parent = span.parent_span_id.hex() if any(span.parent_span_id) else None
    return {
        "start_time_unix_nano": start,
        "duration_time_unix_nano": end - start,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": parent,
        "trace_state": span.trace_state or None,
        "name": span.name,
        "kind": span.kind,
        "status_code": span.status.code,
        "status_status_message": span.status.message or None,
        "span_attributes": json_text(attributes),
        "events_json": json_text(_events(span)),
        "links_json": json_text(_links(span)),
        "dropped_attributes_count": min(span.dropped_attributes_count, _MAX_INT32),
        "dropped_events_count": min(span.dropped_events_count, _MAX_INT32),
        "dropped_links_count": min(span.dropped_links_count, _MAX_INT32),
        "flags": span.flags & _MAX_INT32,
        "end_time": end // 1000,
        "span_kind": first_text(attributes, (A.SPAN_KIND,)),
        "operation": operation_in(attributes) or None,
    } | run_columns(attributes)


def _events(span: Span) -> list[dict[str, object]]:
    return [
        {
            "time_unix_nano": event.time_unix_nano,
            "name": event.name,
            "attributes": attributes_of(event.attributes),
        }
        for event in span.events
    ]


def _links(span: Span) -> list[dict[str, object]]:
    return [
        {
            "trace_id": link.trace_id.hex(),
            "span_id": link.span_id.hex(),
            "attributes": attributes_of(link.attributes),
        }
        for link in span.links
    ]


def store_spans(connection: DuckDBPyConnection, rows: Sequence[Row]) -> int:
    """Store spans inside the transaction that the caller has open.

    Returns:
        How many were new, or replaced one that ended earlier.
    """
    latest = _latest(rows)
    fresh = _without_known(connection, latest)
    if not fresh:
        return 0
    with registered(connection, "replaced", _ids(fresh)):
        for table in _TABLES:
            connection.execute(
                f"DELETE FROM {table} t USING replaced r"
                " WHERE t.trace_id = r.trace_id AND t.span_id = r.span_id"
            )
    insert(connection, "core.spans", fresh)
    attributes = [(row, _attributes(row)) for row in fresh]
    insert(connection, "core.attempts", [_attempt(r, a) for r, a in attributes if _is_attempt(r)])
    insert(
        connection,
        "core.llm_calls",
        [_call(r, a) for r, a in attributes if r["operation"] in INFERENCE_OPERATIONS],
    )
    insert(
        connection,
        "core.branches",
        [branch_row(r, a) for r, a in attributes if r["span_kind"] == SpanKind.BRANCH],
    )
    insert(
        connection,
        "core.tool_calls",
        [tool_row(r, a) for r, a in attributes if r["operation"] == TOOL_OPERATION],
    )
    traces = {str(row["trace_id"]) for row in fresh}
    _find_runs(connection, traces)
    note_traces(connection, traces)
    return len(fresh)


def store_span_batch(connection: DuckDBPyConnection, batch: SpanBatch) -> tuple[int, int]:
    """Store spans inside the transaction that the caller has open.

    Returns:
        How many were new, and how many have no proper id or time and were left out.
    """
    found = span_rows(ExportTraceServiceRequest.FromString(batch.data))
    return store_spans(connection, found.rows), found.rejected


_TABLES: Final = (
    "core.spans",
    "core.attempts",
    "core.llm_calls",
    "core.branches",
    "core.tool_calls",
)
"""What has rows that are named by their span."""


def _end(row: Row) -> int:
    end: int = row["start_time_unix_nano"] + row["duration_time_unix_nano"]
    return end


def _latest(rows: Iterable[Row]) -> list[Row]:
    latest: dict[tuple[object, object], Row] = {}
    for row in rows:
        name = row["trace_id"], row["span_id"]
        if name not in latest or _end(row) > _end(latest[name]):
            latest[name] = row
    return list(latest.values())


def _without_known(connection: DuckDBPyConnection, rows: Sequence[Row]) -> list[Row]:
    """Without the spans of which the table has an account that ends as late."""
    if not rows:
        return []
    with registered(connection, "staged", arrow_table(connection, "core.spans", rows)):
        known = connection.execute(
            "SELECT s.trace_id, s.span_id FROM core.spans s SEMI JOIN staged n"
            " ON s.trace_id = n.trace_id AND s.span_id = n.span_id"
            " AND epoch_ns(s.start_time_unix_nano) + s.duration_time_unix_nano"
            " >= epoch_ns(n.start_time_unix_nano) + n.duration_time_unix_nano"
        ).fetchall()
    names = set(known)
    return [row for row in rows if (row["trace_id"], row["span_id"]) not in names]


def _ids(rows: Sequence[Row]) -> pa.Table:
    names = ("trace_id", "span_id")
    return pa.table({n: pa.array([row[n] for row in rows], pa.string()) for n in names})


def _attributes(row: Row) -> dict[str, Any]:
    parsed: dict[str, Any] = orjson.loads(str(row["span_attributes"]))
    return parsed


def _is_attempt(row: Row) -> bool:
    names = ("run_id", "workflow_id", "step_id", "attempt")
    return row["span_kind"] == SpanKind.ATTEMPT and all(row[name] is not None for name in names)


def _attempt(row: Row, attributes: Attributes) -> Row:
    is_error = row["status_code"] == _ERROR_STATUS
    message = first_text(attributes, (A.FAILURE_MESSAGE,)) or row["status_status_message"]
    start = row["start_time_unix_nano"]
    return {
        "namespace": row["namespace"] or "",
        "workflow_id": row["workflow_id"],
        "run_id": row["run_id"],
        "step_id": row["step_id"],
        "attempt": row["attempt"],
        "attempt_source": "span",
        "trace_id": row["trace_id"],
        "span_id": row["span_id"],
        "step_name": first_text(attributes, (A.ACTIVITY_TYPE, A.STEP_NAME)) or row["name"],
        "started_at": start // 1000,
        "ended_at": row["end_time"],
        "duration_s": row["duration_time_unix_nano"] / 1e9,
        "outcome": first_text(attributes, (A.OUTCOME,)) or ("failed" if is_error else "completed"),
        "failure_type": first_text(attributes, (A.ERROR_TYPE,)),
        "failure_message": message,
        "failure_fingerprint": first_text(attributes, (A.FAILURE_FINGERPRINT,)),
        "worker_identity": first_text(attributes, (A.IDENTITY,)),
    }


def _call(row: Row, attributes: Attributes) -> Row:
    call = read_call(attributes)
    start = row["start_time_unix_nano"]
    return (
        {
            "namespace": row["namespace"],
            "workflow_id": row["workflow_id"],
            "run_id": row["run_id"],
            "step_id": row["step_id"],
            "attempt": row["attempt"],
            "usage_source": "span",
            "trace_id": row["trace_id"],
            "span_id": row["span_id"],
            "is_nested": False,
            "operation": row["operation"],
            "provider": call.provider or None,
            "request_model": call.request_model or None,
            "response_model": call.response_model or None,
            "started_at": start // 1000,
            "latency_s": row["duration_time_unix_nano"] / 1e9,
            "error_type": call.error_type or None,
        }
        | usage_columns(call.usage)
        | cost_columns(call.usage, call.provider, call.models, start)
    )


_MAX_DEPTH: Final = 64
"""Spans between a model call and the attempt that it is part of; also ends a crafted circle."""


def _climb(table: str, operations: Iterable[str]) -> str:
    """Finds the runs of a table's calls, and those that repeat the call around them."""
    same = ", ".join(f"'{name}'" for name in sorted(operations))
    return f"""
WITH RECURSIVE climb AS (
    SELECT c.trace_id, c.span_id, s.parent_span_id, false AS is_nested, 0 AS depth,
           s.namespace, s.workflow_id, s.run_id, s.step_id, s.attempt
    FROM {table} c JOIN core.spans s USING (trace_id, span_id)
    WHERE c.step_id IS NULL AND c.trace_id IN (SELECT trace_id FROM touched)
    UNION ALL
    SELECT c.trace_id, c.span_id, p.parent_span_id,
           c.is_nested OR coalesce(p.operation IN ({same}), false),
           c.depth + 1, p.namespace, p.workflow_id, p.run_id, p.step_id, p.attempt
    FROM climb c JOIN core.spans p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id
    WHERE c.run_id IS NULL AND c.depth < {_MAX_DEPTH}
)
UPDATE {table} AS t
SET namespace = f.namespace, workflow_id = f.workflow_id, run_id = f.run_id,
    step_id = f.step_id, attempt = f.attempt, is_nested = f.is_nested
FROM (
    SELECT * FROM climb QUALIFY row_number() OVER (
        PARTITION BY trace_id, span_id ORDER BY depth DESC
    ) = 1
) f
WHERE t.trace_id = f.trace_id AND t.span_id = f.span_id
"""


_CLIMBS: Final = (
    _climb("core.llm_calls", INFERENCE_OPERATIONS),
    _climb("core.tool_calls", (TOOL_OPERATION,)),
)


def _find_runs(connection: DuckDBPyConnection, trace_ids: set[str]) -> None:
    """Give the calls of these traces the run, step and attempt that their parents name."""
    touched = pa.table({"trace_id": pa.array(sorted(trace_ids), pa.string())})
    with registered(connection, "touched", touched):
        for climb in _CLIMBS:
            connection.execute(climb)
