"""What both receivers do with a request: queue it, and say what of it was not accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from analytics.metrics import metric_rows
from analytics.spans import span_rows

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from analytics.collect.intake import Intake

__all__ = ["Full", "receive"]


class Full(Exception):
    """There is no room now; the sender should try again soon."""

    def __init__(self) -> None:
        super().__init__("the queue is full; try again")


def receive(intake: Intake, request: Message) -> Message:
    """Queue a request and answer it.

    Raises:
        Full: There is no room; nothing of the request was taken.
    """
    match request:
        case ExportTraceServiceRequest():
            return _traces(intake, request)
        case ExportMetricsServiceRequest():
            return _metrics(intake, request)
        case ExportLogsServiceRequest():
            return _logs(intake, request)
        case _:
            raise TypeError(f"not an OTLP request: {type(request).__name__}")


def _traces(intake: Intake, request: ExportTraceServiceRequest) -> ExportTraceServiceResponse:
    spans = span_rows(request)
    if spans.rows and not intake.offer(spans=spans.rows):
        raise Full
    response = ExportTraceServiceResponse()
    if spans.rejected:
        intake.count(spans_rejected=spans.rejected)
        response.partial_success.rejected_spans = spans.rejected
        response.partial_success.error_message = spans.reason
    return response


def _metrics(intake: Intake, request: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse:
    points = metric_rows(request)
    if points and not intake.offer(points=points):
        raise Full
    return ExportMetricsServiceResponse()


def _logs(intake: Intake, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse:
    records = sum(
        len(scope.log_records)
        for resource in request.resource_logs
        for scope in resource.scope_logs
    )
    intake.count(log_records_dropped=records)
    response = ExportLogsServiceResponse()
    if records:
        response.partial_success.rejected_log_records = records
        response.partial_success.error_message = "Retrospan keeps no logs"
    return response
