"""Providers whose spans and metrics stay here, and whose tracer must make no error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tracer import names
from tracer._guard import Guard
from tracer.genai import using_providers

KNOWN_KEYS = {str(key) for key in (*names.Attribute, *names.GenAI)}


class Recording:
    """What was emitted."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.spans_to = TracerProvider(shutdown_on_exit=False)
        self.meters_to = MeterProvider([self.reader], shutdown_on_exit=False)
        self.guard = Guard()

    def processor(self) -> SpanProcessor:
        return SimpleSpanProcessor(self.exporter)

    @contextmanager
    def active(self) -> Iterator[None]:
        with using_providers(self.spans_to, self.meters_to, guard=self.guard):
            yield

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def span(self) -> ReadableSpan:
        [span] = self.spans()
        return span

    def told(self) -> dict[str, Any]:
        """Attributes of the only span."""
        return dict(self.span().attributes or {})

    def points(self) -> dict[str, list[Any]]:
        """Data points by metric."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        found: dict[str, list[Any]] = {}
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found

    def total(self, metric: names.Metric, **labels: str) -> float:
        """Sum of all values of a metric whose labels end in these."""
        total = 0.0
        for point in self.points().get(metric.name, []):
            short = {key.rpartition(".")[2]: value for key, value in point.attributes.items()}
            if labels.items() <= short.items():
                total += point.sum if hasattr(point, "sum") else point.value
        return total

    def assert_keeps_to_the_names(self) -> None:
        """Every key and every label is declared."""
        for span in self.spans():
            assert set(span.attributes or {}) <= KNOWN_KEYS, span.name
        declared = {m.name: {str(key) for key in m.attributes} for m in names.GENAI_METRICS}
        for name, points in self.points().items():
            for point in points:
                assert set(point.attributes) <= declared[name], name


@contextmanager
def recording() -> Iterator[Recording]:
    kept = Recording()
    kept.spans_to.add_span_processor(kept.processor())
    with kept.active():
        yield kept
    assert kept.guard.errors == []
