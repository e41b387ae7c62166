"""OTLP metric points into `raw.metric_points`: enough to see what a worker reported, no more.

Dashboards are fed by a metrics store; this is for a warehouse that stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analytics.span_attributes import attributes_of, first_text, json_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from analytics.tables import Row

__all__ = ["metric_rows"]

_MAX_TIME: Final = 2**63
_MAX_COUNT: Final = 2**63 - 1


def metric_rows(request: ExportMetricsServiceRequest) -> list[Row]:
    """One row per data point that has a time."""
    rows: list[Row] = []
    for resource_metrics in request.resource_metrics:
        resource = attributes_of(resource_metrics.resource.attributes)
        common = {
            "service_name": first_text(resource, ("service.name",)),
            "resource_attributes": json_text(resource),
        }
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                rows.extend(common | row for row in _points(metric))
    return rows


def _points(metric: Metric) -> Iterator[dict[str, object]]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    for point in getattr(metric, kind).data_points:
        if not 0 < point.time_unix_nano < _MAX_TIME:
            continue
        value, count = _number(point) if kind in ("gauge", "sum") else _distribution(point)
        yield {
            "time_unix_nano": point.time_unix_nano,
            "name": metric.name,
            "unit": metric.unit or None,
            "metric_type": kind,
            "value": value,
            "count": count,
            "metric_attributes": json_text(attributes_of(point.attributes)),
        }


def _number(point: Any) -> tuple[float | None, None]:
    kind = point.WhichOneof("value")
    return (float(getattr(point, kind)) if kind else None), None


def _distribution(point: Any) -> tuple[float, int]:
    return point.sum, min(point.count, _MAX_COUNT)
