"""The instruments of `names.METRICS`, fed by the spans that are emitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

from tracer import names
from tracer._guard import Guard
from tracer.names import Attribute, Metric, SpanKind
from tracer.spans import SpanRecord

_STEPS = frozenset(
    {SpanKind.STEP, SpanKind.LOCAL, SpanKind.CHILD, SpanKind.NEXUS, SpanKind.EXTERNAL}
)


class Losses(Protocol):
    """What is counted of the tracer itself."""

    dropped: int
    guard: Guard


class Meters:
    """Records the metrics that a finished span stands for."""

    def __init__(self, meter: Meter, losses: Losses) -> None:
        self._runs = _counter(meter, names.RUNS)
        self._run_duration = _histogram(meter, names.RUN_DURATION)
        self._step_duration = _histogram(meter, names.STEP_DURATION)
        self._attempts = _counter(meter, names.ATTEMPT_COUNT)
        self._queue_time = _histogram(meter, names.QUEUE_TIME)
        self._wait_duration = _histogram(meter, names.WAIT_DURATION)
        self._task_failures = _counter(meter, names.TASK_FAILURES)
        _observed(meter, names.DROPPED_SPANS, lambda: losses.dropped)
        _observed(meter, names.TRACER_ERRORS, lambda: losses.guard.count)

    def observe(self, record: SpanRecord) -> None:
        """Count and measure one finished span."""
        seconds = (record.end_ns - record.start_ns) / 1e9
        match record.kind:
            case SpanKind.WORKFLOW:
                self._runs.add(1, _labels(names.RUNS, record))
                self._run_duration.record(seconds, _labels(names.RUN_DURATION, record))
            case SpanKind.WAIT:
                self._wait_duration.record(seconds, _labels(names.WAIT_DURATION, record))
            case SpanKind.TASK_FAILURE:
                self._task_failures.add(1, _labels(names.TASK_FAILURES, record))
            case SpanKind.ATTEMPT:
                self._attempts.add(1, _labels(names.ATTEMPT_COUNT, record))
                queued = record.attributes.get(Attribute.QUEUE_SECONDS.value)
                if isinstance(queued, float):
                    self._queue_time.record(queued, _labels(names.QUEUE_TIME, record))
            case kind if kind in _STEPS:
                self._step_duration.record(seconds, _labels(names.STEP_DURATION, record))
            case _:
                pass


def _labels(metric: Metric, record: SpanRecord) -> dict[str, str | int | float | bool]:
    found = record.attributes
    return {key: found[key] for key in metric.attributes if key in found}


def _counter(meter: Meter, metric: Metric) -> Counter:
    return meter.create_counter(metric.name, unit=metric.unit, description=metric.brief)


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS,
    )


def _observed(meter: Meter, metric: Metric, read: Callable[[], int]) -> None:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    meter.create_observable_counter(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )
