"""OTLP from the standard environment variables, for programs that set up nothing themselves.

Everything that leaves through these providers has passed the redaction policy, whoever made it.
A collector that is down, slow or refuses costs telemetry and nothing else: queues are bounded, what
is lost is counted, and `Telemetry.shutdown` ends in time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from tracer._exporting import CountingSpanProcessor, LossReason
from tracer._otlp_env import (
    Protocol,
    Signal,
    endpoint_of,
    exporter_names,
    load_exporter,
    protocol_of,
)
from tracer.genai.enricher import GenAIEnricher
from tracer.names import LOST_SPANS, TRACER_NAME, Attribute
from tracer.redaction.exporters import redact_exporter
from tracer.redaction.policy import Redaction

_logger = logging.getLogger("retrospan.tracer")

DEFAULT_REDACTION = Redaction()
"""Takes out credentials and lets all else pass."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Providers that export over OTLP. Hand them to `TracerPlugin` and to instrumentations."""

    tracer_provider: TracerProvider
    meter_provider: MeterProvider
    processors: tuple[CountingSpanProcessor, ...] = field(default=())
    """The queues in front of the span exporters."""

    @property
    def lost_spans(self) -> Mapping[LossReason, int]:
        """Finished spans that did not reach a collector, by reason.

        The metric `retrospan.lost_spans` says the same.
        """
        return {
            reason: sum(processor.lost[reason] for processor in self.processors)
            for reason in LossReason
        }

    def shutdown(self, timeout_seconds: float = 10.0) -> bool:
        """Export what is left, and stop.

        Args:
            timeout_seconds: How long to wait for a collector that does not answer. The exporters'
                own limits add up to a minute, and orchestrators kill a process after half of that.

        Returns:
            Whether everything was exported, or given up, in time.
        """
        stopping = threading.Thread(target=self._stop, name="retrospan-shutdown", daemon=True)
        stopping.start()
        stopping.join(timeout_seconds)
        if stopping.is_alive():
            waiting = sum(processor.waiting for processor in self.processors)
            _logger.warning(
                "retrospan: the collector did not answer within %.0f s of the end;"
                " %d spans were still waiting",
                timeout_seconds,
                waiting,
            )
        return not stopping.is_alive()

    def _stop(self) -> None:
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


def configure_otlp(
    service_name: str | None = None,
    *,
    endpoint: str | None = None,
    also: Sequence[str] = (),
    protocol: Protocol | None = None,
    interval: timedelta | None = None,
    attributes: dict[str, str] | None = None,
    redaction: Redaction | None = DEFAULT_REDACTION,
) -> Telemetry:
    """Providers for this process; the global ones stay as they are.

    Model calls that other instrumentations trace get their cost on the way out, where the extra
    `retrospan[cost]` is installed.

    All standard `OTEL_*` variables apply: exporters, endpoint, protocol, headers, timeout,
    certificates, sampler, limits, batch sizes, intervals, temporality, resource, and
    `OTEL_SDK_DISABLED`. An argument precedes its variable.

    Args:
        service_name: The resource's `service.name`; left out, `OTEL_SERVICE_NAME` decides.
        endpoint: Such as `http://127.0.0.1:4317`, for traces and metrics alike; left out,
            `OTEL_EXPORTER_OTLP_ENDPOINT` decides. Without a scheme it is plain on loopback and TLS
            elsewhere.
        also: More endpoints, which get the same. Each has a queue of its own: one that is down
            keeps nothing from the others.
        protocol: What the endpoints speak; left out, `OTEL_EXPORTER_OTLP_PROTOCOL` decides, and
            gRPC is the default.
        interval: Between two exports of metrics; left out, `OTEL_METRIC_EXPORT_INTERVAL` decides,
            and a minute is the default.
        attributes: More attributes of the resource.
        redaction: What may leave the process; `None` lets everything pass.

    Raises:
        ValueError: A variable names a protocol or an exporter that does not exist.
    """
    named = {SERVICE_NAME: service_name} if service_name else {}
    resource = Resource.create({**named, **(attributes or {})})
    readers = [
        _reader(name, address, protocol, redaction, interval)
        for name, address in _exporters("metrics", endpoint, also)
    ]
    meter_provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    tracer_provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processors = tuple(
        CountingSpanProcessor(_redacted(_span_exporter(name, address, protocol), redaction))
        for name, address in _exporters("traces", endpoint, also)
    )
    if processors or readers:
        exporting = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call] # as the SDK is
        for processor in processors:
            exporting.add_span_processor(processor)
        # One for all exporters: each would count what it sees.
        tracer_provider.add_span_processor(GenAIEnricher(exporting, meter_provider=meter_provider))
    telemetry = Telemetry(tracer_provider, meter_provider, processors)
    _observe_losses(telemetry)
    return telemetry


def _exporters(
    signal: Signal, endpoint: str | None, also: Sequence[str]
) -> Iterable[tuple[str, str | None]]:
    """Name and address of each exporter; only those of OTLP have an address to choose."""
    for name in exporter_names(signal):
        for address in (endpoint, *also) if name == "otlp" else (None,):
            yield name, address


def _redacted(exporter: SpanExporter, redaction: Redaction | None) -> SpanExporter:
    return exporter if redaction is None else redact_exporter(exporter, redaction)


def _span_exporter(name: str, endpoint: str | None, protocol: str | None) -> SpanExporter:
    if name != "otlp":
        exporter: SpanExporter = load_exporter("traces", name)
        return exporter
    speaks = protocol_of("traces", protocol)
    address = endpoint_of("traces", speaks, endpoint)
    if speaks == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=address)
    from opentelemetry.exporter.otlp.proto.http import trace_exporter

    return trace_exporter.OTLPSpanExporter(endpoint=address)


def _reader(
    name: str,
    endpoint: str | None,
    protocol: str | None,
    redaction: Redaction | None,
    interval: timedelta | None,
) -> MetricReader:
    exporter: Any = (
        _metric_exporter(endpoint, protocol) if name == "otlp" else load_exporter("metrics", name)
    )
    if isinstance(exporter, MetricReader):
        # One that is asked, such as Prometheus': nothing is exported that could be redacted.
        return exporter
    return PeriodicExportingMetricReader(
        exporter if redaction is None else redact_exporter(exporter, redaction),
        export_interval_millis=interval / timedelta(milliseconds=1) if interval else None,
    )


def _metric_exporter(endpoint: str | None, protocol: str | None) -> MetricExporter:
    speaks = protocol_of("metrics", protocol)
    address = endpoint_of("metrics", speaks, endpoint)
    if speaks == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(endpoint=address)
    from opentelemetry.exporter.otlp.proto.http import metric_exporter

    return metric_exporter.OTLPMetricExporter(endpoint=address)


def _observe_losses(telemetry: Telemetry) -> None:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, {Attribute.LOSS_REASON.value: reason.value})
            for reason, count in telemetry.lost_spans.items()
        ]

    telemetry.meter_provider.get_meter(TRACER_NAME).create_observable_counter(
        LOST_SPANS.name, [read], unit=LOST_SPANS.unit, description=LOST_SPANS.brief
    )
