"""OTLP from the standard environment variables, for programs that set up nothing themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Providers that export over OTLP. Hand them to `TracerPlugin` and to instrumentations."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider

    def shutdown(self) -> None:
        """Export what is left, and stop."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


def configure_otlp(
    service_name: str,
    *,
    endpoint: str | None = None,
    protocol: Literal["grpc", "http/protobuf"] = "grpc",
    attributes: dict[str, str] | None = None,
) -> Telemetry:
    """Providers for this process; the global ones stay as they are.

    Args:
        service_name: The resource's `service.name`; `OTEL_SERVICE_NAME` and
            `OTEL_RESOURCE_ATTRIBUTES` add to it.
        endpoint: Such as `http://127.0.0.1:4317`; left out, `OTEL_EXPORTER_OTLP_ENDPOINT` decides.
        protocol: What the endpoint speaks.
        attributes: More attributes of the resource.
    """
    resource = Resource.create({SERVICE_NAME: service_name, **(attributes or {})})
    spans, points = _exporters(endpoint, protocol)
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(BatchSpanProcessor(spans))
    meter_provider = MeterProvider(
        [PeriodicExportingMetricReader(points)], resource=resource, shutdown_on_exit=False
    )
    return Telemetry(tracer_provider, meter_provider)


def _exporters(endpoint: str | None, protocol: str) -> tuple[SpanExporter, MetricExporter]:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint), OTLPMetricExporter(endpoint=endpoint)
    from opentelemetry.exporter.otlp.proto.http import metric_exporter, trace_exporter

    def path(signal: str) -> str | None:
        return f"{endpoint.rstrip('/')}/v1/{signal}" if endpoint else None

    return (
        trace_exporter.OTLPSpanExporter(endpoint=path("traces")),
        metric_exporter.OTLPMetricExporter(endpoint=path("metrics")),
    )
