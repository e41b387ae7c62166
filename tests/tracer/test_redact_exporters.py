"""Redaction in front of exporters: no byte of a secret reaches the wire, whoever made the span."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Tracer
from opentelemetry.trace.status import Status, StatusCode

from tracer.names import Attribute
from tracer.redaction import Redaction, redact_exporter
from tracer.redaction.exporters import RedactingSpanExporter
from tracer.redaction.redactor import Redactor

SECRET = "AK" + "IA" + "ABCDEFGHIJ234567"
NEIGHBOUR = SpanContext(0xABC, 0xDEF, is_remote=True)


class Pipeline:
    """A provider whose exporter is behind the policy."""

    def __init__(self, policy: Redaction | None = None, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(SimpleSpanProcessor(redact_exporter(self.exporter, policy)))
        self.tracer: Tracer = provider.get_tracer("test", attributes={"scope": f"by {SECRET}"})
        self.plain: Tracer = provider.get_tracer("plain")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def wire(self) -> bytes:
        return encode_spans(self.spans).SerializeToString()


def test_every_part_of_a_span_is_searched() -> None:
    pipeline = Pipeline(resource=Resource({"service.name": "orders", "cmd": ("run", SECRET)}))
    started = pipeline.tracer.start_span(
        f"GET {SECRET}",
        attributes={"url.full": f"https://x/?{SECRET}", "n": 1, "list": ["a", SECRET]},
        links=[Link(NEIGHBOUR, {"why": SECRET}), Link(NEIGHBOUR, {"why": "cause"})],
    )
    started.add_event(f"sent {SECRET}", {"body": f'{{"k": "{SECRET}"}}'}, timestamp=7)
    error = ConnectionError(f"refused {SECRET}")
    started.record_exception(error)
    started.set_status(Status(StatusCode.ERROR, f"ConnectionError: {error}"))
    started.end()
    [span] = pipeline.spans
    assert SECRET.encode() not in pipeline.wire()
    found = "[redacted:aws-key]"
    assert span.name == f"GET {found}"
    assert span.status.description == f"ConnectionError: refused {found}"
    assert dict(span.attributes or {}) == {
        "url.full": f"https://x/?{found}",
        "n": 1,
        "list": ("a", found),
        # Name, status, two attributes, one link, an event's name and body, message and stack trace.
        Attribute.REDACTED_FIELDS.value: 9,
    }
    assert [dict(link.attributes or {}) for link in span.links] == [
        {"why": found},
        {"why": "cause"},
    ]
    assert [event.name for event in span.events] == [f"sent {found}", "exception"]
    assert span.events[0].timestamp == 7
    assert dict(span.resource.attributes) == {"service.name": "orders", "cmd": ("run", found)}
    scope = span.instrumentation_scope
    assert scope is not None
    assert dict(scope.attributes or {}) == {"scope": f"by {found}"}


def test_a_span_keeps_its_identity_and_times() -> None:
    pipeline = Pipeline()
    with pipeline.tracer.start_as_current_span("outer") as outer:
        inner = pipeline.tracer.start_span("inner", attributes={"k": SECRET}, start_time=5)
        inner.end(end_time=9)
    span = pipeline.spans[0]
    assert span.context == inner.get_span_context()
    assert span.parent is not None
    assert span.parent.span_id == outer.get_span_context().span_id
    assert (span.start_time, span.end_time) == (5, 9)


def test_what_is_clean_is_not_copied() -> None:
    exported: list[ReadableSpan] = []

    class Keeping(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            exported.extend(spans)
            return SpanExportResult.SUCCESS

    pipeline = Pipeline()
    pipeline.plain.start_span("clean", attributes={"k": "v"}).end()
    exporter = RedactingSpanExporter(Keeping(), Redactor())
    assert exporter.export(pipeline.spans) is SpanExportResult.SUCCESS
    assert exported[0] is pipeline.spans[0]


def test_what_the_sdk_dropped_stays_counted() -> None:
    limits = SpanLimits(max_attributes=2, max_events=1, max_links=1, max_event_attributes=1)
    pipeline = Pipeline(span_limits=limits)
    links = [Link(NEIGHBOUR, {"k": SECRET})] * 3
    span = pipeline.tracer.start_span("s", attributes={"a": 1, "b": 2, "c": SECRET}, links=links)
    span.add_event("e", {"a": 1})
    span.add_event("f", {"a": 1, "b": SECRET})
    span.end()
    [redacted] = pipeline.spans
    assert (redacted.dropped_attributes, redacted.dropped_events, redacted.dropped_links) == (
        1,
        1,
        2,
    )
    assert redacted.events[0].dropped_attributes == 1


def test_spans_of_one_resource_still_share_it() -> None:
    # Exporters group by resource; equal but separate ones would each be hashed and sent.
    pipeline = Pipeline(resource=Resource({"cmd": SECRET}))
    for _ in range(3):
        pipeline.tracer.start_span("s").end()
    assert len({id(span.resource) for span in pipeline.spans}) == 1
    assert Attribute.REDACTED_FIELDS.value not in (pipeline.spans[0].attributes or {})


def test_an_allow_list_reaches_events_and_links() -> None:
    pipeline = Pipeline(Redaction(allow=frozenset({"kept"})))
    span = pipeline.plain.start_span(
        "s", attributes={"kept": 1, "gone": 2}, links=[Link(NEIGHBOUR, {"gone": 3, "kept": 4})]
    )
    span.add_event("e", {"gone": 5})
    span.set_status(Status(StatusCode.ERROR, "why"))
    span.end()
    [redacted] = pipeline.spans
    assert dict(redacted.attributes or {}) == {"kept": 1, Attribute.REDACTED_FIELDS.value: 3}
    assert dict(redacted.links[0].attributes or {}) == {"kept": 4}
    assert dict(redacted.events[0].attributes or {}) == {}
    assert redacted.status.description == "why"


values = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.binary(max_size=8),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.just(f"x {SECRET} y"),
        st.just(f"x={SECRET}".encode()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab", min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), values, max_size=4), values)
def test_no_shape_of_attributes_lets_a_secret_through(
    attributes: dict[str, Any], value: Any
) -> None:
    pipeline = Pipeline()
    span = pipeline.plain.start_span(
        "s", attributes=attributes, links=[Link(NEIGHBOUR, attributes)]
    )
    span.add_event("e", {"v": value})
    span.end()
    assert SECRET.encode() not in pipeline.wire()
    assert len(pipeline.spans) == 1


def test_what_cannot_be_searched_is_not_exported(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Redactor):
        def text(self, text: str, key: str = "") -> str:
            if text == "poison":
                raise RecursionError
            return super().text(text, key)

    memory = InMemorySpanExporter()
    exporter = RedactingSpanExporter(memory, Broken())
    source = Pipeline()
    for name in ("a", "poison", "b"):
        source.plain.start_span(name).end()
    assert exporter.export(source.spans) is SpanExportResult.SUCCESS
    assert [span.name for span in memory.get_finished_spans()] == ["a", "b"]
    assert exporter.failed == 1
    assert "could not be redacted" in caplog.text
    exporter.shutdown()


class KeepingMetrics(MetricExporter):
    def __init__(self) -> None:
        super().__init__({Counter: AggregationTemporality.DELTA})
        self.exported: list[MetricsData] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


def test_metrics_are_searched() -> None:
    memory = KeepingMetrics()
    reader = PeriodicExportingMetricReader(redact_exporter(memory), math.inf)
    metrics = MeterProvider([reader], resource=Resource({"cmd": SECRET}), shutdown_on_exit=False)
    meter = metrics.get_meter("test")
    spans = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with spans.start_as_current_span("sampled, so that there is an exemplar"):
        meter.create_counter("calls").add(1, {"url": f"https://x/{SECRET}", "ok": True})
        meter.create_histogram("seconds").record(0.5, {"key": f"k {SECRET}"})
        meter.create_gauge("clean").set(1, {"k": "v"})
    assert metrics.force_flush()
    metrics.shutdown()
    [data] = memory.exported
    assert SECRET.encode() not in encode_metrics(data).SerializeToString()
    points = {
        metric.name: metric.data.data_points[0]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert dict(points["calls"].attributes or {}) == {
        "url": "https://x/[redacted:aws-key]",
        "ok": True,
    }
    assert dict(points["clean"].attributes or {}) == {"k": "v"}
    assert points["calls"].exemplars
    calls: Any = data.resource_metrics[0].scope_metrics[0].metrics[0].data
    assert calls.aggregation_temporality is AggregationTemporality.DELTA, (
        "the exporter's preference"
    )


def test_log_records_are_searched() -> None:
    memory = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call] # the SDK left it out
    provider = LoggerProvider(resource=Resource({"cmd": SECRET}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(redact_exporter(memory)))
    logger = provider.get_logger("test")
    logger.emit(body=f"told {SECRET}", attributes={"k": SECRET, "n": 1})
    logger.emit(
        body={"messages": [{"role": "user", "content": SECRET}]},
        event_name="gen_ai.client.inference.operation.details",
    )
    logger.emit(body="clean", attributes={"k": "v"})
    records = memory.get_finished_logs()
    assert SECRET.encode() not in encode_logs(records).SerializeToString()
    assert [record.log_record.body for record in records] == [
        "told [redacted:aws-key]",
        {"messages": ({"role": "user", "content": "[redacted:aws-key]"},)},
        "clean",
    ]
    assert dict(records[0].log_record.attributes or {}) == {"k": "[redacted:aws-key]", "n": 1}
    provider.shutdown()


def test_only_exporters_are_taken() -> None:
    not_an_exporter: Any = "http://127.0.0.1:4317"
    with pytest.raises(TypeError, match="redact_exporter got str; expected a SpanExporter"):
        redact_exporter(not_an_exporter)
