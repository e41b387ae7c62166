"""Providers from the standard environment variables."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracer.otlp_servers import GrpcServer, HttpServer
from tracer import Telemetry, configure_otlp
from tracer._otlp_env import Protocol, endpoint_of, is_loopback, with_scheme
from tracer.redaction import Redaction

SECRET = "AK" + "IA" + "ABCDEFGHIJ234567"


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    return monkeypatch


@contextmanager
def configured(*args: Any, **options: Any) -> Iterator[Telemetry]:
    telemetry = configure_otlp(*args, **options)
    try:
        yield telemetry
    finally:
        assert telemetry.shutdown()


def say_something(telemetry: Telemetry, text: str = "hello") -> None:
    tracer = telemetry.tracer_provider.get_tracer("test")
    tracer.start_span("greeting", attributes={"text": text}).end()
    telemetry.meter_provider.get_meter("test").create_counter("greetings").add(1, {"text": text})


def texts(server: GrpcServer | HttpServer) -> list[str]:
    return [
        a.value.string_value for s in server.inbox.spans() for a in s.attributes if a.key == "text"
    ]


@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("given", ["argument", "variable"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_on_loopback_is_reached(
    environ: pytest.MonkeyPatch, scheme: str, given: str, protocol: str
) -> None:
    with GrpcServer() if protocol == "grpc" else HttpServer() as server:
        options: dict[str, Any] = {}
        if given == "argument":
            options = {"endpoint": f"{scheme}{server.address}", "protocol": protocol}
        else:
            environ.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{scheme}{server.address}")
            environ.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        with configured("orders", **options) as telemetry:
            say_something(telemetry)
        assert texts(server) == ["hello"]
        assert server.inbox.metric("greetings")
        assert sum(telemetry.lost_spans.values()) == 0


def test_an_address_for_one_signal_precedes_that_for_all(environ: pytest.MonkeyPatch) -> None:
    with GrpcServer() as traces, HttpServer() as others:
        environ.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{others.address}")
        environ.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        environ.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.address)
        environ.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
        with configured("orders") as telemetry:
            say_something(telemetry)
        assert texts(traces) == ["hello"]
        assert not traces.inbox.metrics
        assert others.inbox.metric("greetings")
        assert not others.inbox.traces


def test_headers_resource_and_redaction_reach_the_wire(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme")
    environ.setenv("OTEL_RESOURCE_ATTRIBUTES", f"deployment.environment.name=prod,cmd={SECRET}")
    environ.setenv("OTEL_SERVICE_NAME", "from-the-variable")
    with GrpcServer() as server:
        with configured(endpoint=server.address, attributes={"team": "a"}) as telemetry:
            say_something(telemetry, f"key {SECRET}")
        assert SECRET.encode() not in server.inbox.wire()
        assert texts(server) == ["key [redacted:aws-key]"]
        assert all(headers["x-tenant"] == "acme" for headers in server.inbox.headers)
        resource = server.inbox.traces[0].resource_spans[0].resource
        said = {a.key: a.value.string_value for a in resource.attributes}
        assert said["service.name"] == "from-the-variable"
        assert said["deployment.environment.name"] == "prod"
        assert said["team"] == "a"


def test_redaction_can_be_changed_and_turned_off() -> None:
    with GrpcServer() as server:
        with configured("s", endpoint=server.address, redaction=None) as telemetry:
            say_something(telemetry, SECRET)
        with configured(
            "s", endpoint=server.address, redaction=Redaction(replacement="***")
        ) as telemetry:
            say_something(telemetry, SECRET)
        assert texts(server) == [SECRET, "***"]


def test_the_service_name_of_the_program_precedes_the_variable(
    environ: pytest.MonkeyPatch,
) -> None:
    environ.setenv("OTEL_SERVICE_NAME", "variable")
    environ.setenv("OTEL_TRACES_EXPORTER", "none")
    environ.setenv("OTEL_METRICS_EXPORTER", "none")
    with configured("program") as telemetry:
        assert telemetry.tracer_provider.resource.attributes["service.name"] == "program"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")],
)
def test_traces_can_be_turned_off(environ: pytest.MonkeyPatch, variable: str, value: str) -> None:
    with GrpcServer() as server:
        environ.setenv(variable, value)
        with configured("orders", endpoint=server.address) as telemetry:
            say_something(telemetry)
        assert telemetry.processors == ()
        assert not server.inbox.traces
        assert bool(server.inbox.metrics) is (variable != "OTEL_SDK_DISABLED")


def test_metrics_can_be_turned_off(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_METRICS_EXPORTER", "none")
    with GrpcServer() as server:
        with configured("orders", endpoint=server.address) as telemetry:
            say_something(telemetry)
        assert server.inbox.traces
        assert not server.inbox.metrics


def test_several_exporters_each_get_all(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_TRACES_EXPORTER", "otlp, otlp_proto_grpc")
    with GrpcServer() as server:
        environ.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{server.address}")
        with configured("orders") as telemetry:
            say_something(telemetry, SECRET)
        assert texts(server) == ["[redacted:aws-key]"] * 2


def test_the_sampler_is_the_environment_s(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with GrpcServer() as server:
        with configured("orders", endpoint=server.address) as telemetry:
            say_something(telemetry)
        assert not server.inbox.traces


def test_the_temporality_is_the_environment_s(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    with GrpcServer() as server:
        with configured("orders", endpoint=server.address) as telemetry:
            say_something(telemetry)
        metric = server.inbox.metric("greetings")
        assert metric is not None
        assert metric.sum.aggregation_temporality == 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTLP protocol is 'http/json'; expected grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin9", "'zipkin9', which no installed package offers"),
        ("OTEL_METRICS_EXPORTER", "zipkin9", "OTEL_METRICS_EXPORTER names 'zipkin9'"),
    ],
)
def test_a_wrong_variable_is_named(
    environ: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    environ.setenv("OTEL_TRACES_EXPORTER", "none")
    environ.setenv(variable, value)
    with pytest.raises(ValueError, match=message):
        configure_otlp("orders")


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("127.0.0.1:4317", "http://127.0.0.1:4317"),
        ("localhost:4317", "http://localhost:4317"),
        ("127.9.9.9", "http://127.9.9.9"),
        ("[::1]:4317", "http://[::1]:4317"),
        ("::1", "http://::1"),
        ("otel.example.test:4317", "https://otel.example.test:4317"),
        ("127.0.0.1.example.test:4317", "https://127.0.0.1.example.test:4317"),
        ("10.0.0.1:4317", "https://10.0.0.1:4317"),
        ("http://otel.example.test:4317", "http://otel.example.test:4317"),
        ("https://127.0.0.1:4317", "https://127.0.0.1:4317"),
    ],
)
def test_only_loopback_is_plain_by_itself(endpoint: str, expected: str) -> None:
    assert with_scheme(endpoint, "traces") == expected


def test_insecure_asks_for_plain(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
    assert with_scheme("otel.example.test:4317", "traces") == "http://otel.example.test:4317"


@given(st.text(max_size=30))
def test_no_host_breaks_the_test_for_loopback(host: str) -> None:
    assert is_loopback(host) in (True, False)
    assert "://" in with_scheme(host, "metrics")


def test_the_address_of_one_signal_over_http_is_used_as_it_is(
    environ: pytest.MonkeyPatch,
) -> None:
    environ.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:4318/custom")
    environ.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/base/")
    assert endpoint_of("traces", "http/protobuf", None) == "http://127.0.0.1:4318/custom"
    assert endpoint_of("metrics", "http/protobuf", None) == "http://127.0.0.1:4318/base/v1/metrics"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_every_endpoint_gets_the_same(protocol: Protocol) -> None:
    made = GrpcServer if protocol == "grpc" else HttpServer
    first: GrpcServer | HttpServer = made()
    second: GrpcServer | HttpServer = made()
    with first, second:
        soon = timedelta(milliseconds=50)
        options: dict[str, Any] = {"also": [second.address], "protocol": protocol}
        with configured("orders", endpoint=first.address, interval=soon, **options) as telemetry:
            say_something(telemetry)
            for server in (first, second):
                server.inbox.await_metric("greetings")
        assert texts(first) == texts(second) == ["hello"]
