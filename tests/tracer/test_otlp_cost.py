"""Cost on the spans of other instrumentations, on their way out through `configure_otlp`."""

import os

import pytest
from opentelemetry.trace import SpanKind

from tests.tracer.otlp_servers import GrpcServer
from tests.tracer.test_genai_enricher import CHAT, COST
from tracer import configure_otlp, names
from tracer.names import GenAI


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("exporters", ["otlp", "otlp,console"])
def test_a_model_call_of_any_instrumentation_is_priced_once(
    environ: pytest.MonkeyPatch, exporters: str
) -> None:
    environ.setenv("OTEL_TRACES_EXPORTER", exporters)
    with GrpcServer() as server:
        telemetry = configure_otlp("orders", endpoint=server.address)
        tracer = telemetry.tracer_provider.get_tracer("some.instrumentation")
        tracer.start_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=CHAT).end()
        tracer.start_span("GET").end()
        assert telemetry.shutdown()
        spans = {span.name: span for span in server.inbox.spans()}
        told = {a.key: a.value for a in spans["chat gpt-4o"].attributes}
        assert told[GenAI.COST.value].double_value == pytest.approx(COST)
        assert GenAI.COST.value not in {a.key for a in spans["GET"].attributes}
        metric = server.inbox.metric(names.COST.name)
    assert metric is not None
    [point] = metric.histogram.data_points
    assert point.count == 1
    assert point.sum == pytest.approx(COST)
    [exemplar] = point.exemplars
    assert exemplar.span_id == spans["chat gpt-4o"].span_id


def test_cost_is_measured_without_exporting_spans(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OTEL_TRACES_EXPORTER", "none")
    with GrpcServer() as server:
        telemetry = configure_otlp("orders", endpoint=server.address)
        tracer = telemetry.tracer_provider.get_tracer("some.instrumentation")
        tracer.start_span("chat gpt-4o", attributes=CHAT).end()
        assert telemetry.shutdown()
        assert server.inbox.metric(names.COST.name) is not None
        assert server.inbox.spans() == []
