"""The OTLP receiver, with real exporters and with senders that mean no good."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import duckdb
import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from analytics.collect import Collector, IntakeLimits
from analytics.errors import AnalyticsError, WarehouseBusy
from analytics.query import run_query
from analytics.spans import store_spans
from analytics.warehouse import open_warehouse
from tests.analytics.span_requests import spans_of

_PROTOBUF = "application/x-protobuf"
_TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def collector(path: Path) -> Iterator[Collector]:
    with Collector(path, limits=IntakeLimits(batch_seconds=0.01)) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """For tests that store nothing."""
    with Collector(tmp_path_factory.mktemp("collect") / "w.duckdb") as running:
        yield running


def finished_spans() -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "kyc"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer") as outer:
        outer.set_attributes({"text": "ä\x00", "numbers": [1, 2], "share": 0.5})
        with tracer.start_as_current_span("inner") as inner:
            inner.add_event("happened", {"n": 1})
    provider.shutdown()
    return list(memory.get_finished_spans())


def exporters(collector: Collector) -> list[SpanExporter]:
    http = f"{collector.http_endpoint}/v1/traces"
    return [
        GrpcSpanExporter(endpoint=collector.grpc_endpoint, insecure=True),
        GrpcSpanExporter(
            endpoint=collector.grpc_endpoint, insecure=True, compression=grpc.Compression.Gzip
        ),
        HttpSpanExporter(endpoint=http),
        HttpSpanExporter(endpoint=http, compression=Compression.Gzip),
    ]


def test_real_exporters_send_the_same_spans_four_times_and_each_is_stored_once(
    collector: Collector, path: Path
) -> None:
    spans = finished_spans()
    for exporter in exporters(collector):
        assert exporter.export(spans) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert collector.flush()
    counters = collector.counters
    assert (counters.spans_received, counters.spans_stored, counters.spans_repeated) == (8, 2, 6)
    collector.stop()
    rows = run_query(
        path,
        "SELECT s.name, p.name, s.service_name, s.span_attributes, s.events_json ->> '$[0].name'"
        " FROM core.spans s LEFT JOIN core.spans p ON p.span_id = s.parent_span_id ORDER BY 1",
    ).rows
    assert [(*row[:3], row[4]) for row in rows] == [
        ("inner", "outer", "kyc", "happened"),
        ("outer", None, "kyc", None),
    ]
    assert json.loads(rows[1][3]) == {"text": "ä\x00", "numbers": [1, 2], "share": 0.5}


def test_metrics_of_a_real_meter_are_stored(collector: Collector, path: Path) -> None:
    exporter = OTLPMetricExporter(endpoint=collector.grpc_endpoint, insecure=True)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(
        metric_readers=[reader], resource=Resource.create({"service.name": "kyc"})
    )
    meter = provider.get_meter("test")
    meter.create_counter("runs", "{run}").add(3, {"type": "Order"})
    meter.create_histogram("took", "s").record(1.5)
    provider.shutdown()
    collector.stop()
    assert run_query(
        path,
        "SELECT name, unit, metric_type, value, count, service_name,"
        " metric_attributes ->> 'type' FROM raw.metric_points ORDER BY name",
    ).rows == [
        ("runs", "{run}", "sum", 3.0, None, "kyc", "Order"),
        ("took", "s", "histogram", 1.5, 1, "kyc", None),
    ]


def test_what_was_received_is_stored_when_it_stops(path: Path) -> None:
    with Collector(path, limits=IntakeLimits(batch_seconds=30)) as collector:
        request = spans_of(*({"id": n} for n in range(1, 501)))
        post(collector, "/v1/traces", request.SerializeToString())
    assert run_query(path, "SELECT count(*) FROM core.spans").rows == [(500,)]


def test_readers_see_spans_while_it_runs(path: Path) -> None:
    limits = IntakeLimits(batch_seconds=0.01, snapshot_seconds=0)
    with Collector(path, limits=limits) as collector:
        assert run_query(path, "SELECT count(*) FROM core.spans").rows == [(0,)]
        post(collector, "/v1/traces", spans_of({"id": 1}).SerializeToString())
        seen = threading.Event()

        def look() -> None:
            while run_query(path, "SELECT count(*) FROM core.spans").rows == [(0,)]:
                pass
            seen.set()

        threading.Thread(target=look, daemon=True).start()
        assert seen.wait(30)


def post(
    collector: Collector, target: str, body: bytes, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    names = {"content_type": _PROTOBUF} | headers
    request = Request(
        collector.http_endpoint + target,
        body,
        {name.replace("_", "-"): value for name, value in names.items()},
        method="POST",
    )
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def _export(channel: grpc.Channel) -> Any:
    """The method as bytes in and bytes out, so that a test can send what is no request."""
    return channel.unary_unary(_TRACES)


def test_json_as_browsers_and_scripts_send_it(collector: Collector, path: Path) -> None:
    document = MessageToDict(spans_of({"id": 5, "attributes": {"n": 7}}))
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"traceId": "ab" * 16, "spanId": "0000000000000005", "kind": 3, "someday": {}}
    status, body, headers = post(
        collector, "/v1/traces", json.dumps(document).encode(), content_type="application/json"
    )
    assert (status, json.loads(body), headers["content-type"]) == (200, {}, "application/json")
    collector.stop()
    assert run_query(path, "SELECT trace_id, span_id, kind FROM core.spans").rows == [
        ("ab" * 16, f"{5:016x}", 3)
    ]


def test_bad_spans_are_a_partial_success(collector: Collector, path: Path) -> None:
    request = spans_of({"id": 1}, {"id": 2, "trace": "00" * 16})
    status, body, _ = post(collector, "/v1/traces", request.SerializeToString())
    answer = ExportTraceServiceResponse.FromString(body)
    assert (status, answer.partial_success.rejected_spans) == (200, 1)
    assert "trace id" in answer.partial_success.error_message
    collector.stop()
    assert run_query(path, "SELECT count(*) FROM core.spans").rows == [(1,)]


def test_logs_are_refused_in_so_many_words(shared: Collector) -> None:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(body={"string_value": "hi"})
    before = shared.counters.log_records_dropped
    status, body, _ = post(shared, "/v1/logs", request.SerializeToString())
    assert status == 200
    assert ExportLogsServiceResponse.FromString(body).partial_success.rejected_log_records == 1
    assert shared.counters.log_records_dropped == before + 1


def test_a_full_queue_tells_senders_to_come_again(path: Path) -> None:
    limits = IntakeLimits(queue_rows=20, batch_seconds=30)
    with Collector(path, limits=limits) as collector:
        few, body = (
            spans_of(*({"id": n} for n in range(1, count))).SerializeToString()
            for count in (10, 13)
        )
        assert post(collector, "/v1/traces", few)[0] == 200
        status, answer, headers = post(collector, "/v1/traces", body)
        assert (status, headers["retry-after"]) == (429, "1")
        assert "full" in Status.FromString(answer).message
        with grpc.insecure_channel(collector.grpc_endpoint) as channel:
            with pytest.raises(grpc.RpcError) as refused:
                _export(channel)(body, timeout=10)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert collector.flush()
        assert post(collector, "/v1/traces", body)[0] == 200
    assert collector.counters.requests_refused == 2
    assert run_query(path, "SELECT count(*) FROM core.spans").rows == [(12,)]


@pytest.mark.parametrize(
    ("target", "body", "headers", "status"),
    [
        ("/v1/traces", b"\xff\xff", {}, 400),
        ("/v1/traces", b"{}", {"content_type": "text/plain"}, 415),
        ("/v1/traces", b"{", {"content_type": "application/json"}, 400),
        ("/v1/traces", b"[]", {"content_type": "application/json"}, 400),
        ("/v1/traces", b'{"resourceSpans": 1}', {"content_type": "application/json"}, 400),
        ("/v1/traces", b"[" * 100_000, {"content_type": "application/json"}, 400),
        ("/v1/traces", b"plain", {"content_encoding": "gzip"}, 400),
        ("/v1/traces", b"plain", {"content_encoding": "br"}, 415),
        ("/v1/traces", gzip.compress(b"x" * 100)[:-9], {"content_encoding": "gzip"}, 400),
        ("/v1/traces", gzip.compress(bytes(1 << 26), 1), {"content_encoding": "gzip"}, 413),
        ("/v1/traces", bytes((16 << 20) + 1), {}, 413),
        ("/v1/nothing", b"", {}, 404),
    ],
    ids=[
        *("no protobuf", "wrong type", "cut JSON", "JSON list", "wrong JSON", "deep JSON"),
        *("no gzip", "unknown encoding", "cut gzip", "gzip bomb", "too long", "no such path"),
    ],
)
def test_bad_requests_are_answered_and_survived(
    shared: Collector, target: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answered, message, _ = post(shared, target, body, **headers)
    assert answered == status
    assert message
    assert post(shared, "/v1/traces", b"")[0] == 200


def test_bad_grpc_requests_are_answered_and_survived(shared: Collector) -> None:
    with grpc.insecure_channel(shared.grpc_endpoint) as channel:
        export = _export(channel)
        for body, code in [
            (b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
            (bytes((16 << 20) + 1), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ]:
            with pytest.raises(grpc.RpcError) as refused:
                export(body, timeout=10)
            assert refused.value.code() is code
        with pytest.raises(grpc.RpcError) as refused:
            export(bytes(1 << 27), timeout=30, compression=grpc.Compression.Gzip)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert export(b"", timeout=10) == b""


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["resourceSpans", "scopeSpans", "spans", "traceId", "links", "kind"]
                ),
                children,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_json_of_any_shape_is_answered(shared: Collector, document: Any) -> None:
    status, _, _ = post(
        shared, "/v1/traces", json.dumps(document).encode(), content_type="application/json"
    )
    assert status in (200, 400)


def test_a_page_in_a_browser_cannot_send(shared: Collector) -> None:
    """Scripts of other origins need a preflight for JSON, and get no leave."""
    request = Request(
        f"{shared.http_endpoint}/v1/traces",
        method="OPTIONS",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    with pytest.raises(HTTPError) as refused:
        urlopen(request, timeout=10)
    with refused.value as error:
        assert error.code == 405
        assert not [name for name in error.headers if name.lower().startswith("access-control")]


def test_it_tells_what_it_counted(shared: Collector) -> None:
    with urlopen(f"{shared.http_endpoint}/healthz", timeout=10) as answer:
        assert "spans_stored" in json.loads(answer.read())


@pytest.mark.parametrize("error", [duckdb.ConstraintException, RuntimeError, MemoryError])
def test_a_request_that_cannot_be_stored_does_not_take_others_along(
    collector: Collector, path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def picky(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, object]]) -> int:
        if any(row["name"] == "poison" for row in rows):
            raise error()
        return store_spans(connection, rows)

    monkeypatch.setattr("analytics.collect.intake.store_spans", picky)
    for n, name in enumerate(["fine", "poison", "fine"], 1):
        body = spans_of({"id": n, "name": name}).SerializeToString()
        post(collector, "/v1/traces", body)
    collector.stop()
    assert collector.counters.rows_lost == 1
    assert run_query(path, "SELECT count(*) FROM core.spans").rows == [(2,)]


def test_the_storing_thread_survives_what_nobody_expected(
    collector: Collector,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError("std::bad_cast\nand more")

    with monkeypatch.context() as patch:
        patch.setattr("analytics.collect.intake.store_spans", fail)
        patch.setattr("analytics.collect.intake.drain", fail)
        post(collector, "/v1/traces", spans_of({"id": 1}).SerializeToString())
        assert collector.flush()
    assert collector.counters.rows_lost == 1
    assert collector.counters.unexpected_errors >= 1
    messages = [record.getMessage() for record in caplog.records]
    assert f"{path}: unexpected RuntimeError: std::bad_cast" in messages
    assert f"{path}: a request was dropped: std::bad_cast" in messages

    post(collector, "/v1/traces", spans_of({"id": 2}).SerializeToString())
    assert collector.flush()
    collector.stop()
    assert collector.counters.spans_stored == 1
    assert run_query(path, "SELECT span_id FROM core.spans").rows == [(f"{2:016x}",)]


def test_a_taken_port_is_one_line(path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for ports in ({"grpc_port": port}, {"http_port": port}):
            with pytest.raises(AnalyticsError, match=f"cannot listen on 127.0.0.1:{port}"):
                Collector(path, **ports).start()
    open_warehouse(path).close()


def test_two_collectors_cannot_have_one_warehouse(collector: Collector, path: Path) -> None:
    assert collector.grpc_endpoint
    with pytest.raises(WarehouseBusy, match="writing to it"):
        Collector(path, wait_seconds=0).start()


def test_an_empty_request_is_answered(shared: Collector) -> None:
    empty = ExportTraceServiceRequest().SerializeToString()
    assert post(shared, "/v1/traces", empty)[0] == 200
