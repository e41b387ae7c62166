"""The instruments of `names.METRICS`, fed by the spans that are emitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

from tracer import names
from tracer._guard import Guard
from tracer._headrooms import Headrooms
from tracer._otel import span_context
from tracer._totals import Totals
from tracer.context import SpanRef
from tracer.limits import DEFAULT_LIMITS, Limit, Limits
from tracer.names import Attribute, Metric, SpanKind
from tracer.spans import SpanRecord, Value

_STEPS = frozenset(
    {SpanKind.STEP, SpanKind.LOCAL, SpanKind.CHILD, SpanKind.NEXUS, SpanKind.EXTERNAL}
)


_OF_PAYLOAD: Final = tuple(str(label) for label in names.PAYLOAD_BYTES.attributes)


class Measured(NamedTuple):
    """What one activation took, and how far the history of its run has grown."""

    run: tuple[str, str]
    """Namespace and workflow type."""
    seconds: float
    cpu_seconds: float
    history_events: int
    history_bytes: int


class Losses(Protocol):
    """What is counted of the tracer itself."""

    dropped: int
    guard: Guard


class Meters:
    """Records the metrics that a finished span stands for."""

    def __init__(
        self,
        meter: Meter,
        losses: Losses,
        *,
        by_tenant: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Make the instruments.

        Args:
            meter: Of the provider that exports them.
            losses: What the tracer itself lost.
            by_tenant: Whether each tenant has series of its own.
            limits: What to measure headroom against.
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
        self._limits = limits
        self._payload_bytes = _summed(meter, names.PAYLOAD_BYTES)
        self._cpu_time = _summed(meter, names.ACTIVATION_CPU_TIME)
        self._activations = _summed(meter, names.ACTIVATIONS)
        self._headrooms = _gauge(meter, names.HEADROOM)
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
        run, limits = measured.run, self._limits
        self._cpu_time.add(run, measured.cpu_seconds)
        self._activations.add(run, 1)
        note = self._headrooms.note
        note((*run, Limit.ACTIVATION), measured.seconds, limits.activation_seconds)
        note((*run, Limit.HISTORY_EVENTS), measured.history_events, limits.history_events)
        note((*run, Limit.HISTORY_BYTES), measured.history_bytes, limits.history_bytes)

    def _observe_payload(self, record: SpanRecord) -> None:
        found = record.attributes
        sizes = (found.get(Attribute.INPUT_BYTES.value), found.get(Attribute.RESULT_BYTES.value))
        given, came = (size if isinstance(size, int) else 0 for size in sizes)
        if given or came:
            key = tuple(str(found.get(label, "")) for label in _OF_PAYLOAD)
            self._payload_bytes.add(key, given + came)
            limited = (*key[:2], Limit.PAYLOAD)
            self._headrooms.note(limited, max(given, came), self._limits.payload_bytes)

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


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS,
    )


def _summed(meter: Meter, metric: Metric) -> Totals:
    """A counter whose sums are kept here, by its attributes."""
    totals = Totals()

    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(total, _named(metric, key)) for key, total in totals.sums()]

    meter.create_observable_counter(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )
    return totals


def _gauge(meter: Meter, metric: Metric) -> Headrooms:
    headrooms = Headrooms()

    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(least, _named(metric, key)) for key, least in headrooms.least()]

    meter.create_observable_gauge(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )
    return headrooms


def _named(metric: Metric, values: tuple[str, ...]) -> dict[str, str]:
    pairs = zip(metric.attributes, values, strict=True)
    return {str(name): str(value) for name, value in pairs if value}


def _observed(meter: Meter, metric: Metric, read: Callable[[], int]) -> None:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    meter.create_observable_counter(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )
