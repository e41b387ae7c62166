"""Bytes from the network into OTLP requests, or a reason why not."""

from __future__ import annotations

import binascii
import zlib
from base64 import b64encode
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
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

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["BadRequest", "Signal", "TooLarge", "from_json", "from_protobuf", "gunzipped"]


class BadRequest(Exception):
    """The bytes are not what their sender says; the text tells why, on one line."""


class TooLarge(BadRequest):
    """More bytes than one request may have."""


@dataclass(frozen=True, slots=True)
class _Messages:
    request: type[Message]
    response: type[Message]
    service: str


class Signal(Enum):
    """What OTLP carries."""

    TRACES = _Messages(
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
        "opentelemetry.proto.collector.trace.v1.TraceService",
    )
    METRICS = _Messages(
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
    )
    LOGS = _Messages(
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
        "opentelemetry.proto.collector.logs.v1.LogsService",
    )


def from_protobuf(signal: Signal, data: bytes) -> Message:
    """Parse a request.

    Raises:
        BadRequest: It is not one.
    """
    try:
        return signal.value.request.FromString(data)
    except DecodeError as error:
        raise BadRequest(f"not an OTLP {signal.name.lower()} request in protobuf") from error


def from_json(signal: Signal, data: bytes) -> Message:
    """Parse a request in OTLP's JSON, where ids are hexadecimal and unknown fields are allowed.

    Raises:
        BadRequest: It is not one.
    """
    name = signal.name.lower()
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"not JSON: {error.msg} at character {error.pos}") from error
    if not isinstance(document, dict):
        raise BadRequest(f"not an OTLP {name} request: expected an object")
    if signal is Signal.TRACES:
        _ids_to_base64(document)
    try:
        return ParseDict(document, signal.value.request(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest(f"not an OTLP {name} request in JSON: {_short(error)}") from error


_ID_FIELDS: Final = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def _ids_to_base64(document: dict[str, Any]) -> None:
    """Protobuf's own JSON has base64 in these places; a bad id becomes one of no length."""
    for resource in _objects(document, "resourceSpans", "resource_spans"):
        for scope in _objects(resource, "scopeSpans", "scope_spans"):
            for span in _objects(scope, "spans", "spans"):
                for owner in (span, *_objects(span, "links", "links")):
                    for field in _ID_FIELDS:
                        if field in owner:
                            owner[field] = _base64(owner[field])


def _objects(owner: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    lists = [owner[name] for name in names if isinstance(owner.get(name), list)]
    return [value for value in (lists or [[]])[0] if isinstance(value, dict)]


def _base64(value: object) -> str:
    try:
        return b64encode(binascii.unhexlify(value)).decode() if isinstance(value, str) else ""
    except (binascii.Error, ValueError):
        return ""


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def gunzipped(data: bytes, limit: int) -> bytes:
    """Decompress, but never more than a limit: a small request may hold gigabytes of zeros.

    Raises:
        TooLarge: It is longer than that.
        BadRequest: It is not gzip.
    """
    machine = zlib.decompressobj(wbits=31)
    try:
        plain = machine.decompress(data, limit)
    except zlib.error as error:
        raise BadRequest("not gzip, as its Content-Encoding says") from error
    if machine.unconsumed_tail:
        raise TooLarge(f"longer than {limit} bytes when decompressed")
    if not machine.eof:
        raise BadRequest("gzip that ends too early")
    return plain
