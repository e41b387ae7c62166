"""Finished spans go to the processors the short way, unless somebody would notice."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from opentelemetry.context import Context
from opentelemetry.metrics import Counter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    Tracer,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from tracer._emitter import Emitter
from tracer._finished import finished_spans
from tracer._otel import span_context
from tracer._tally import Tally
from tracer.context import SpanRef
from tracer.genai import GenAIEnricher
from tracer.names import SpanKind
from tracer.spans import SpanRecord

PARENT = SpanRef(7, 8)
RECORD = SpanRecord(
    trace_id=7,
    span_id=9,
    parent=PARENT,
    kind=SpanKind.STEP,
    name="step charge",
    start_ns=1_000,
    end_ns=3_000,
    is_error=True,
    status_message="declined",
    attributes={"retrospan.step.name": "charge", "retrospan.step.occurrence": 1},
    links=(SpanRef(5, 6),),
)


class Listener(SpanProcessor):
    """One that wants to know when a span starts."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.names.append(span.name)


def emitted(processors: Sequence[SpanProcessor], record: SpanRecord = RECORD) -> str:
    """What arrives of a record at the end of a provider with these processors, too."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    for processor in (*processors, SimpleSpanProcessor(exporter)):
        provider.add_span_processor(processor)
    emitter = Emitter(provider, MeterProvider(shutdown_on_exit=False))
    emitter.emit(replace(record, attributes=dict(record.attributes)))
    assert emitter.flush()
    assert not emitter.guard.errors
    [span] = exporter.get_finished_spans()
    return told(span)


def told(span: ReadableSpan) -> str:
    assert span.instrumentation_scope is not None
    return f"{span.instrumentation_scope.name} {span.to_json()}"


def test_both_ways_tell_the_same() -> None:
    listener = Listener()

    assert emitted([]) == emitted([listener])

    assert listener.names == ["step charge"]


@pytest.mark.parametrize(
    ("provider", "is_short"),
    [
        (TracerProvider(shutdown_on_exit=False), True),
        (TracerProvider(shutdown_on_exit=False, sampler=ALWAYS_OFF), True),
        (TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(max_links=1)), False),
        (
            TracerProvider(
                shutdown_on_exit=False, span_limits=SpanLimits(max_span_attribute_length=8)
            ),
            False,
        ),
    ],
)
def test_limits_of_the_provider_are_kept(provider: TracerProvider, is_short: bool) -> None:
    assert (finished_spans(provider.get_tracer("retrospan")) is not None) is is_short


@pytest.mark.parametrize("wrapped", [None, Listener()])
def test_what_an_enricher_stands_before_decides(wrapped: SpanProcessor | None) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(GenAIEnricher(wrapped))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))

    is_short = finished_spans(provider.get_tracer("retrospan")) is not None
    provider.shutdown()

    assert is_short is (wrapped is None)


@pytest.mark.parametrize(("sampler", "count"), [(ALWAYS_ON, 1), (ALWAYS_OFF, 0)])
def test_the_sampler_has_the_last_word(sampler: Sampler, count: int) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("retrospan")
    assert isinstance(tracer, Tracer)
    tracer.sampler = sampler
    short = finished_spans(tracer)
    assert short is not None

    exemplar = short.send(RECORD).get_span_context()

    assert len(exporter.get_finished_spans()) == count
    assert (exemplar.span_id, exemplar.trace_flags.sampled) == (9, bool(count))


def test_a_counter_is_told_of_many_at_once_with_the_last_as_exemplar() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter: Counter = provider.get_meter("retrospan").create_counter("runs")
    tally = Tally(counter, ("type", "tenant"))
    for number in (1, 2):
        span = NonRecordingSpan(span_context(SpanRef(7, number)))
        tally.add(("Order", None), set_span_in_context(span, Context()))
    tally.flush()
    tally.flush()

    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    [metric] = data.resource_metrics[0].scope_metrics[0].metrics
    [point] = metric.data.data_points

    assert dict(point.attributes or {}) == {"type": "Order"}
    assert getattr(point, "value", None) == 2
    assert [exemplar.span_id for exemplar in point.exemplars] == [2]
