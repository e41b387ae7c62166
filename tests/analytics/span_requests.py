"""OTLP requests, written as plain dicts."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from tests.event_builder import EPOCH

TRACE = "0" * 31 + "1"


def spans_of(*spans: dict[str, Any], service: str = "worker") -> ExportTraceServiceRequest:
    """An OTLP request; each span by name, ids, times in seconds after `EPOCH` and attributes."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource_spans.scope_spans.add()
    scope.scope.name = "retrospan"
    for about in spans:
        _add_span(scope, about)
    return request


def _add_span(scope: ScopeSpans, about: dict[str, Any]) -> None:
    span = scope.spans.add(
        trace_id=bytes.fromhex(about.get("trace", TRACE)),
        span_id=about["id"].to_bytes(8),
        name=about.get("name", "span"),
        start_time_unix_nano=_ns(about.get("start", 0)),
        end_time_unix_nano=_ns(about.get("end", about.get("start", 0))),
    )
    if "parent" in about:
        span.parent_span_id = about["parent"].to_bytes(8)
    if "error" in about:
        span.status.code = span.status.STATUS_CODE_ERROR
        span.status.message = about["error"]
    for name, value in about.get("attributes", {}).items():
        span.attributes.add(key=str(name)).value.CopyFrom(_value(value))


def _value(value: object) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
        case _:
            return AnyValue(string_value=str(value))


def _ns(seconds: float) -> int:
    return int((EPOCH + seconds) * 1_000_000_000)
