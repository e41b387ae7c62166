"""Temporal's own metrics, from the core of its SDK, to the same place as ours.

Left alone, the core reports milliseconds, in histograms that end at a minute where activities call
models and people, and logs to the console in a format of its own. Here it reports seconds in
buckets that reach days, and hands its log to Python's `logging`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from datetime import timedelta
from typing import Any, Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    OpenTelemetryConfig,
    OpenTelemetryMetricTemporality,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from tracer._buckets import DURATION_BUCKETS
from tracer._otlp_env import Protocol, endpoint_of, exporter_names, headers_of, protocol_of

CORE_LOGGER: Final = "temporalio.core"
"""The logger that the core's log goes to."""

_TASK_BUCKETS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600,
)  # fmt: skip
"""Seconds in which a worker answers, and an hour for the queues of a worker that does not."""

_LOG_FILTER: Final = ",".join(
    [
        TelemetryFilter(core_level="WARN", other_level="ERROR").formatted(),
        # A line that is on its way to Python when the interpreter ends keeps the process from
        # ending (temporalio 1.35: 9 of 11 exits with a collector down, none with this). Our own
        # exporter of metrics goes to the same address and says that it is down.
        "temporalio_common::telemetry::otel=off",
    ]
)

CORE_BUCKETS: Final = {
    "workflow_endtoend_latency": DURATION_BUCKETS,
    "activity_execution_latency": DURATION_BUCKETS,
    "activity_succeed_endtoend_latency": DURATION_BUCKETS,
    "activity_schedule_to_start_latency": DURATION_BUCKETS,
    "local_activity_execution_latency": DURATION_BUCKETS,
    "local_activity_succeed_endtoend_latency": DURATION_BUCKETS,
    "nexus_task_execution_latency": DURATION_BUCKETS,
    "nexus_task_endtoend_latency": DURATION_BUCKETS,
    "nexus_task_schedule_to_start_latency": DURATION_BUCKETS,
    "workflow_task_schedule_to_start_latency": _TASK_BUCKETS,
    "workflow_task_execution_latency": _TASK_BUCKETS,
    "workflow_task_replay_latency": _TASK_BUCKETS,
    "request_latency": _TASK_BUCKETS,
    "long_request_latency": _TASK_BUCKETS,
}
"""Upper bounds in seconds, by the metric's name without `temporal_`."""


def temporal_runtime(
    service_name: str | None = None,
    *,
    endpoint: str | None = None,
    protocol: Protocol | None = None,
    interval: timedelta | None = None,
    logger: logging.Logger | None = None,
) -> Runtime:
    """A runtime for `Client.connect(…, runtime=…)` whose core metrics are exported over OTLP.

    Make one for the whole process and keep it. The standard `OTEL_*` variables for metrics apply,
    `OTEL_METRICS_EXPORTER=none` and `OTEL_SDK_DISABLED` among them. The SDK's buckets can be
    set from temporalio 1.31 on; before that, histograms end where the core ends them.

    Args:
        service_name: As in `configure_otlp`.
        endpoint: As in `configure_otlp`.
        protocol: As in `configure_otlp`.
        interval: Between two exports; left out, `OTEL_METRIC_EXPORT_INTERVAL`, or a minute.
        logger: Receives the core's log; `temporalio.core` by default. Its level decides.

    Raises:
        ValueError: The endpoint is no address, or the protocol does not exist.
    """
    metrics = (
        _metrics(endpoint, protocol, interval) if "otlp" in exporter_names("metrics") else None
    )
    telemetry = TelemetryConfig(
        metrics=metrics,
        logging=LoggingConfig(
            _LOG_FILTER, forwarding=LogForwardingConfig(logger or logging.getLogger(CORE_LOGGER))
        ),
        # Tags become attributes of the resource, where the core calls every service
        # "temporal-core-sdk".
        attach_service_name=False,
        global_tags=_resource(service_name),
    )
    return Runtime(telemetry=telemetry)


def _metrics(
    endpoint: str | None, protocol: str | None, interval: timedelta | None
) -> OpenTelemetryConfig:
    speaks = protocol_of("metrics", protocol)
    options: dict[str, Any] = {"histogram_bucket_overrides": CORE_BUCKETS}
    known = {field.name for field in dataclasses.fields(OpenTelemetryConfig)}
    return OpenTelemetryConfig(
        url=endpoint_of("metrics", speaks, endpoint),
        headers=headers_of("metrics"),
        metric_periodicity=interval or _interval(),
        metric_temporality=_temporality(),
        durations_as_seconds=True,
        http=speaks != "grpc",
        **{name: value for name, value in options.items() if name in known},
    )


def _resource(service_name: str | None) -> dict[str, str]:
    """What `configure_otlp` says of the process, but for the SDK, which is another one here."""
    attributes = Resource.create({SERVICE_NAME: service_name} if service_name else {}).attributes
    return {
        key: str(value)
        for key, value in attributes.items()
        if not key.startswith("telemetry.") and isinstance(value, str | int | float)
    }


def _interval() -> timedelta:
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    milliseconds = int(text) if text.isdecimal() and int(text) > 0 else 60_000
    return timedelta(milliseconds=milliseconds)


def _temporality() -> OpenTelemetryMetricTemporality:
    name = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    is_delta = name in ("delta", "lowmemory")
    return (
        OpenTelemetryMetricTemporality.DELTA
        if is_delta
        else OpenTelemetryMetricTemporality.CUMULATIVE
    )
