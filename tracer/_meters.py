"""The instruments of `names.METRICS`, fed by the spans that are emitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

from tracer import names
from tracer._guard import Guard
from tracer._headrooms import Headrooms
from tracer._otel import span_context
from tracer.context import SpanRef
from tracer.limits import Limit, Use
from tracer.names import Attribute, Metric, SpanKind
from tracer.spans import SpanRecord, Value

_STEPS = frozenset(
    {SpanKind.STEP, SpanKind.LOCAL, SpanKind.CHILD, SpanKind.NEXUS, SpanKind.EXTERNAL}
)


_LIMIT_NAME: Final = Attribute.LIMIT_NAME.value
_OF_RUN: Final = (Attribute.NAMESPACE.value, Attribute.WORKFLOW_TYPE.value)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one activation took, and how near its run is to its limits."""

    namespace: str
    workflow_type: str
    cpu_seconds: float
    uses: tuple[Use, ...]


class Losses(Protocol):
    """What is counted of the tracer itself."""

    dropped: int
    guard: Guard


class Meters:
    """Records the metrics that a finished span stands for."""

    def __init__(self, meter: Meter, losses: Losses, *, by_tenant: bool = False) -> None:
        """Make the instruments.

        Args:
            meter: Of the provider that exports them.
            losses: What the tracer itself lost.
            by_tenant: Whether each tenant has series of its own.
        """
        self._more: tuple[str, ...] = (Attribute.TENANT.value,) if by_tenant else ()
        self._runs = _counter(meter, names.RUNS)
        self._run_duration = _histogram(meter, names.RUN_DURATION)
        self._step_duration = _histogram(meter, names.STEP_DURATION)
        self._attempts = _counter(meter, names.ATTEMPT_COUNT)
        self._queue_time = _histogram(meter, names.QUEUE_TIME)
        self._wait_duration = _histogram(meter, names.WAIT_DURATION)
        self._task_failures = _counter(meter, names.TASK_FAILURES)
        self._branches = _counter(meter, names.BRANCHES)
        self._payload_bytes = _histogram(meter, names.PAYLOAD_BYTES, names.PAYLOAD_BUCKETS)
        self._cpu_time = _histogram(meter, names.ACTIVATION_CPU_TIME, names.CPU_BUCKETS)
        self._headrooms = Headrooms()
        _gauge(meter, names.HEADROOM, self._headrooms)
        _observed(meter, names.DROPPED_SPANS, lambda: losses.dropped)
        _observed(meter, names.TRACER_ERRORS, lambda: losses.guard.count)

    def observe(self, record: SpanRecord) -> None:
        """Count and measure one finished span, which becomes the exemplar."""
        seconds = (record.end_ns - record.start_ns) / 1e9
        match record.kind:
            case SpanKind.WORKFLOW:
                self._count(self._runs, names.RUNS, record)
                self._measure(self._run_duration, names.RUN_DURATION, record, seconds)
            case SpanKind.WAIT:
                self._measure(self._wait_duration, names.WAIT_DURATION, record, seconds)
            case SpanKind.TASK_FAILURE:
                self._count(self._task_failures, names.TASK_FAILURES, record)
            case SpanKind.BRANCH:
                labels = _labels_of_branch(record, self._more)
                self._branches.add(1, labels, context=_context(record))
            case SpanKind.ATTEMPT:
                self._count(self._attempts, names.ATTEMPT_COUNT, record)
                queued = record.attributes.get(Attribute.QUEUE_SECONDS.value)
                if isinstance(queued, float):
                    self._measure(self._queue_time, names.QUEUE_TIME, record, queued)
            case kind if kind in _STEPS:
                self._measure(self._step_duration, names.STEP_DURATION, record, seconds)
                self._observe_payload(record)
            case _:
                pass

    def observe_activation(self, measured: Measured) -> None:
        """Measure an activation, and how near it found its run to the limits."""
        labels = {
            Attribute.NAMESPACE.value: measured.namespace,
            Attribute.WORKFLOW_TYPE.value: measured.workflow_type,
        }
        self._cpu_time.record(measured.cpu_seconds, labels)
        of_run = tuple(labels.items())
        for use in measured.uses:
            self._headrooms.note((*of_run, (_LIMIT_NAME, use.limit.value)), use.headroom)

    def _observe_payload(self, record: SpanRecord) -> None:
        found = record.attributes
        headroom = found.get(Attribute.PAYLOAD_HEADROOM.value)
        if not isinstance(headroom, float):
            return
        sizes = (found.get(Attribute.INPUT_BYTES.value), found.get(Attribute.RESULT_BYTES.value))
        largest = max(size for size in sizes if isinstance(size, int))
        self._measure(self._payload_bytes, names.PAYLOAD_BYTES, record, largest)
        labels = ((key, str(found[key])) for key in _OF_RUN)
        self._headrooms.note((*labels, (_LIMIT_NAME, Limit.PAYLOAD.value)), headroom)

    def _count(self, counter: Counter, metric: Metric, record: SpanRecord) -> None:
        counter.add(1, _labels(metric, record, self._more), context=_context(record))

    def _measure(
        self, histogram: Histogram, metric: Metric, record: SpanRecord, value: float
    ) -> None:
        histogram.record(value, _labels(metric, record, self._more), context=_context(record))


def _context(record: SpanRecord) -> Context:
    """One in which the span is current, so that an exemplar leads to it."""
    ref = SpanRef(record.trace_id, record.span_id)
    context = span_context(ref, sampled=record.sampled, remote=False)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


def _labels(metric: Metric, record: SpanRecord, more: tuple[str, ...] = ()) -> dict[str, Value]:
    found = record.attributes
    return {key: found[key] for key in (*metric.attributes, *more) if key in found}


def _labels_of_branch(record: SpanRecord, more: tuple[str, ...]) -> dict[str, Value]:
    labels = _labels(names.BRANCHES, record, more)
    if not isinstance(labels.get(Attribute.BRANCH_OUTCOME.value), bool | str):
        # A score would make a series of its own for each run.
        labels.pop(Attribute.BRANCH_OUTCOME.value, None)
    return labels


def _counter(meter: Meter, metric: Metric) -> Counter:
    return meter.create_counter(metric.name, unit=metric.unit, description=metric.brief)


def _histogram(
    meter: Meter, metric: Metric, buckets: tuple[float, ...] = names.DURATION_BUCKETS
) -> Histogram:
    return meter.create_histogram(
        metric.name,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=buckets,
    )


def _gauge(meter: Meter, metric: Metric, headrooms: Headrooms) -> None:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(least, dict(labels)) for labels, least in headrooms.least()]

    meter.create_observable_gauge(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )


def _observed(meter: Meter, metric: Metric, read: Callable[[], int]) -> None:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    meter.create_observable_counter(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )
