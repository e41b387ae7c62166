"""Redaction in front of an exporter of metrics.

Two series that differ only in a secret become two points of one series. Secrets do not belong into
the attributes of metrics; this keeps them in, not the sums right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)

from tracer.redaction.parts import Origins, with_fields
from tracer.redaction.redactor import Redactor


class RedactingMetricExporter(MetricExporter):
    """Passes metrics on, redacted."""

    def __init__(self, exporter: MetricExporter, redactor: Redactor) -> None:
        # The reader asks the exporter it was given for these two, and has no public way to.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter = exporter
        self._metrics = _Metrics(redactor)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """See base class."""
        data = self._metrics.redacted(metrics_data)
        return self._exporter.export(data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """See base class."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """See base class."""
        self._exporter.shutdown(timeout_millis, **kwargs)


class _Metrics:
    """Makes redacted copies of metrics."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._origins = Origins(redactor)

    def redacted(self, data: MetricsData) -> MetricsData:
        return with_fields(data, resource_metrics=_mapped(self._resource, data.resource_metrics))

    def _resource(self, part: ResourceMetrics) -> ResourceMetrics:
        return with_fields(
            part,
            resource=self._origins.resource(part.resource),
            scope_metrics=_mapped(self._scope, part.scope_metrics),
        )

    def _scope(self, part: ScopeMetrics) -> ScopeMetrics:
        return with_fields(
            part,
            scope=self._origins.scope(part.scope),
            metrics=_mapped(self._metric, part.metrics),
        )

    def _metric(self, metric: Metric) -> Metric:
        points = _mapped(self._point, metric.data.data_points)
        return with_fields(metric, data=with_fields(metric.data, data_points=points))

    def _point(self, point: Any) -> Any:
        attributes, _ = self._redactor.attributes(point.attributes)
        return with_fields(
            point,
            attributes=point.attributes if attributes == point.attributes else attributes,
            exemplars=_mapped(self._exemplar, point.exemplars),
        )

    def _exemplar(self, exemplar: Any) -> Any:
        attributes, touched = self._redactor.attributes(exemplar.filtered_attributes)
        return replace(exemplar, filtered_attributes=attributes) if touched else exemplar


def _mapped[T](change: Callable[[T], T], items: Sequence[T]) -> Sequence[T]:
    changed = [change(item) for item in items]
    return items if all(a is b for a, b in zip(changed, items, strict=True)) else changed
