"""The instruments of `names.METRICS`, fed by the spans that are emitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Meter, Observation

from tracer import names
from tracer._buckets import DURATION_BUCKETS
from tracer._distributions import Distribution
from tracer._guard import Guard
from tracer._headrooms import Headrooms
from tracer._open_waits import OpenWaits
from tracer._tally import Tally
from tracer._totals import Totals
from tracer.limits import DEFAULT_LIMITS, Limit, Limits
from tracer.names import Attribute, Metric, SpanKind
from tracer.spans import SpanRecord

_STEPS: Final = (SpanKind.STEP, SpanKind.LOCAL, SpanKind.CHILD, SpanKind.NEXUS, SpanKind.EXTERNAL)

_QUEUE_SECONDS: Final = Attribute.QUEUE_SECONDS.value
_INPUT_BYTES: Final = Attribute.INPUT_BYTES.value
_RESULT_BYTES: Final = Attribute.RESULT_BYTES.value
_BRANCH_OUTCOME: Final = Attribute.BRANCH_OUTCOME.value
_EMPTY: Final = Context()


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
        open_waits: OpenWaits,
        *,
        by_tenant: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Make the instruments.

        Args:
            meter: Of the provider that exports them.
            losses: What the tracer itself lost.
            open_waits: The runs that may stand still.
            by_tenant: Whether each tenant has series of its own.
            limits: What to measure headroom against.
        """
        more = (Attribute.TENANT.value,) if by_tenant else ()
        self._limits = limits
        self._runs = _tally(meter, names.RUNS, more)
        self._run_duration = _distribution(meter, names.RUN_DURATION, more)
        self._step_duration = _distribution(meter, names.STEP_DURATION, more)
        self._attempts = _tally(meter, names.ATTEMPT_COUNT, more)
        self._queue_time = _distribution(meter, names.QUEUE_TIME, more)
        self._wait_duration = _distribution(meter, names.WAIT_DURATION, more)
        self._task_failures = _tally(meter, names.TASK_FAILURES, more)
        self._branches = _tally(meter, names.BRANCHES, more)
        self._payload_bytes = _summed(meter, names.PAYLOAD_BYTES)
        self._cpu_time = _summed(meter, names.ACTIVATION_CPU_TIME)
        self._activations = _summed(meter, names.ACTIVATIONS)
        self._headrooms = _gauge(meter, names.HEADROOM)
        _sampled(meter, names.OPEN_WAITS, open_waits.counts)
        _sampled(meter, names.OPEN_WAIT_AGE, open_waits.oldest)
        _observed(meter, names.DROPPED_SPANS, lambda: losses.dropped)
        _observed(meter, names.TRACER_ERRORS, lambda: losses.guard.count)
        self._by_kind: dict[SpanKind, Callable[[SpanRecord, Context], None]] = {
            SpanKind.WORKFLOW: self._observe_run,
            SpanKind.WAIT: self._observe_wait,
            SpanKind.TASK_FAILURE: self._observe_task_failure,
            SpanKind.BRANCH: self._observe_branch,
            SpanKind.ATTEMPT: self._observe_attempt,
            **dict.fromkeys(_STEPS, self._observe_step),
        }

    def observe(self, record: SpanRecord, span: trace.Span | None = None) -> None:
        """Count and measure one finished span.

        Args:
            record: What the span says.
            span: The exemplar, if there is one.
        """
        observe = self._by_kind.get(record.kind)
        if observe is not None:
            observe(record, trace.set_span_in_context(span, _EMPTY) if span else _EMPTY)

    def observe_activation(self, measured: Measured) -> None:
        """Measure an activation, and how near it found its run to the limits."""
        run, limits = measured.run, self._limits
        self._cpu_time.add(run, measured.cpu_seconds)
        self._activations.add(run, 1)
        note = self._headrooms.note
        note((*run, Limit.ACTIVATION), measured.seconds, limits.activation_seconds)
        note((*run, Limit.HISTORY_EVENTS), measured.history_events, limits.history_events)
        note((*run, Limit.HISTORY_BYTES), measured.history_bytes, limits.history_bytes)

    def flush(self) -> None:
        """Tell the counters what was counted since the last call."""
        for tally in (self._runs, self._attempts, self._task_failures, self._branches):
            tally.flush()

    def _observe_run(self, record: SpanRecord, context: Context) -> None:
        _count(self._runs, record, context)
        self._run_duration.record(_seconds(record), record.attributes, context)

    def _observe_wait(self, record: SpanRecord, context: Context) -> None:
        self._wait_duration.record(_seconds(record), record.attributes, context)

    def _observe_task_failure(self, record: SpanRecord, context: Context) -> None:
        _count(self._task_failures, record, context)

    def _observe_branch(self, record: SpanRecord, context: Context) -> None:
        found = record.attributes
        if not isinstance(found.get(_BRANCH_OUTCOME), bool | str):
            # A score would make a series of its own for each run.
            found = {key: value for key, value in found.items() if key != _BRANCH_OUTCOME}
        self._branches.add(tuple(map(found.get, self._branches.keys)), context)

    def _observe_attempt(self, record: SpanRecord, context: Context) -> None:
        _count(self._attempts, record, context)
        queued = record.attributes.get(_QUEUE_SECONDS)
        if isinstance(queued, float):
            self._queue_time.record(queued, record.attributes, context)

    def _observe_step(self, record: SpanRecord, context: Context) -> None:
        self._step_duration.record(_seconds(record), record.attributes, context)
        found = record.attributes
        sizes = found.get(_INPUT_BYTES), found.get(_RESULT_BYTES)
        given, came = (size if isinstance(size, int) else 0 for size in sizes)
        if given or came:
            key = tuple([str(found.get(label, "")) for label in _OF_PAYLOAD])
            self._payload_bytes.add(key, given + came)
            limited = (*key[:2], Limit.PAYLOAD)
            self._headrooms.note(limited, max(given, came), self._limits.payload_bytes)


def _seconds(record: SpanRecord) -> float:
    return (record.end_ns - record.start_ns) / 1e9


def _count(tally: Tally, record: SpanRecord, context: Context) -> None:
    tally.add(tuple(map(record.attributes.get, tally.keys)), context)


def _tally(meter: Meter, metric: Metric, more: tuple[str, ...]) -> Tally:
    return Tally(_counter(meter, metric), metric.attributes + more)


def _counter(meter: Meter, metric: Metric) -> Counter:
    return meter.create_counter(metric.name, unit=metric.unit, description=metric.brief)


def _distribution(meter: Meter, metric: Metric, more: tuple[str, ...]) -> Distribution:
    histogram = meter.create_histogram(
        metric.name,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=DURATION_BUCKETS,
    )
    return Distribution(histogram, metric.attributes + more)


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
    _sampled(meter, metric, headrooms.least)
    return headrooms


def _sampled(
    meter: Meter, metric: Metric, read: Callable[[], Iterable[tuple[tuple[str, ...], float]]]
) -> None:
    """A gauge whose values are looked up when they are exported."""

    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, _named(metric, key)) for key, value in read()]

    meter.create_observable_gauge(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )


def _named(metric: Metric, values: tuple[str, ...]) -> dict[str, str]:
    pairs = zip(metric.attributes, values, strict=True)
    return {str(name): str(value) for name, value in pairs if value}


def _observed(meter: Meter, metric: Metric, read: Callable[[], int]) -> None:
    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    meter.create_observable_counter(
        metric.name, [callback], unit=metric.unit, description=metric.brief
    )
