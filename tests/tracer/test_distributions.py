"""A distribution tells what the SDK's histogram tells, on every way that it takes."""

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tracer import _distributions
from tracer._distributions import Distribution

SPAN = NonRecordingSpan(SpanContext(7, 8, False, TraceFlags(TraceFlags.SAMPLED)))
IN_SPAN = trace.set_span_in_context(SPAN, Context())
LABELS: dict[str, Any] = {"kind": "step", "name": "charge", "is_local": False}


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """What came of each histogram, without the times of its measurements."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [_told(point) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def _told(point: Any) -> tuple[Any, ...]:
    assert isinstance(point, HistogramDataPoint)
    return (
        dict(point.attributes or {}),
        (point.count, point.sum, point.min, point.max, point.bucket_counts),
        [(e.value, e.trace_id, e.span_id, e.filtered_attributes) for e in point.exemplars],
    )


@pytest.mark.parametrize("views", [[], [View(instrument_name="*", attribute_keys={"name"})]])
@pytest.mark.parametrize("is_known", [True, False])
def test_it_tells_what_the_histogram_would(
    monkeypatch: pytest.MonkeyPatch, views: list[View], is_known: bool
) -> None:
    if not is_known:
        monkeypatch.setattr(_distributions, "Measurement", None)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=views, shutdown_on_exit=False)
    meter = provider.get_meter("test")
    asked, ours = meter.create_histogram("asked"), meter.create_histogram("ours")
    distribution = Distribution(ours, ("kind", "name", "is_local", "absent"))
    for value in (0.0, 0.7, 7, 70_000):
        asked.record(value, LABELS, IN_SPAN)
        distribution.record(value, {**LABELS, "run": "no label"}, IN_SPAN)
    distribution.record(-1.0, LABELS, IN_SPAN)
    told = points(reader)
    provider.shutdown()
    assert told["ours"] == told["asked"]
    [(_, (count, *_), exemplars)] = told["ours"]
    assert count == 4
    assert exemplars


def test_without_an_sdk_it_measures_nothing() -> None:
    histogram = NoOpMeterProvider().get_meter("test").create_histogram("ours")
    Distribution(histogram, ("kind",)).record(1.0, LABELS, Context())
