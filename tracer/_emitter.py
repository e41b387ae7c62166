"""From span records to OpenTelemetry, away from workflow threads.

Records are queued and ended on a thread of our own: ending a span runs the user's processors, and
one that exports synchronously would block a workflow task, or open files in its sandbox.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace import SpanKind as OTelKind
from opentelemetry.trace.status import Status, StatusCode

from tracer._guard import Guard
from tracer._meters import Meters
from tracer.context import SpanRef
from tracer.genai import using_providers
from tracer.names import TRACER_NAME, SpanKind
from tracer.spans import SpanRecord

_QUEUE_SIZE: Final = 10_000
"""Records that may wait. At 1 KB each this bounds memory when the processors are slow."""

_OTEL_KINDS = {SpanKind.ATTEMPT: OTelKind.SERVER, SpanKind.START: OTelKind.CLIENT}


class _GivenIds(IdGenerator):
    """Hands out the ids that the caller set just before, on the same thread."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, trace_id: int, span_id: int) -> None:
        self._given.trace_id, self._given.span_id = trace_id, span_id

    def generate_span_id(self) -> int:
        return int(self._given.span_id)

    def generate_trace_id(self) -> int:
        return int(self._given.trace_id)


class Emitter:
    """Turns records into spans and metrics of the given, or the global, providers."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard or Guard()
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._ids = _GivenIds()
        self._tracer: trace.Tracer | None = None
        self._client_tracer: trace.Tracer | None = None
        self._meters: Meters | None = None
        self._queue: queue.Queue[SpanRecord] = queue.Queue(_QUEUE_SIZE)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.dropped = 0

    @property
    def tracer(self) -> trace.Tracer:
        """The tracer whose next ids `start` gives.

        Resolved at first use: a program may set its global provider after it made the plugin.
        """
        if self._tracer is None:
            provider = self._tracer_provider or trace.get_tracer_provider()
            tracer = provider.get_tracer(TRACER_NAME)
            if isinstance(tracer, Tracer):
                tracer.id_generator = self._ids
            self._tracer = tracer
        return self._tracer

    @property
    def client_tracer(self) -> trace.Tracer:
        """A tracer with ids of its own, for spans that no history knows."""
        if self._client_tracer is None:
            provider = self._tracer_provider or trace.get_tracer_provider()
            self._client_tracer = provider.get_tracer(f"{TRACER_NAME}.client")
        return self._client_tracer

    def providers_in_use(self) -> AbstractContextManager[None]:
        """Inside, `llm_call` and `tool_call` use the providers of this emitter."""
        return using_providers(self._tracer_provider, self._meter_provider, guard=self.guard)

    @property
    def meters(self) -> Meters:
        """The instruments, made at first use."""
        if self._meters is None:
            provider = self._meter_provider or metrics.get_meter_provider()
            self._meters = Meters(provider.get_meter(TRACER_NAME), self)
        return self._meters

    def is_sampled(self, trace_id: int, caller: SpanRef | None, name: str) -> bool:
        """Whether the run's trace is recorded: as its caller decided, else as the sampler does.

        Samplers decide by trace id, so that workers and activities come to the same answer.
        """
        if caller is not None:
            return caller.sampled
        tracer = self.tracer
        if not isinstance(tracer, Tracer):
            return True
        decision = tracer.sampler.should_sample(None, trace_id, name, OTelKind.INTERNAL, {}, ())
        return decision.decision is Decision.RECORD_AND_SAMPLE

    def emit(self, record: SpanRecord) -> None:
        """Queue a finished span. Never blocks; counts what does not fit."""
        self._ensure_thread()
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def start(
        self, record: SpanRecord, *, sampled: bool = True, remote_parent: bool = True
    ) -> trace.Span:
        """Begin a span now, for one that something else will nest under. The caller ends it."""
        self._ids.give(record.trace_id, record.span_id)
        return self.tracer.start_span(
            record.name,
            context=_parent_context(record.parent, sampled=sampled, remote=remote_parent),
            kind=_OTEL_KINDS.get(record.kind, OTelKind.INTERNAL),
            attributes=record.attributes,
            links=[Link(_span_context(link)) for link in record.links],
            start_time=record.start_ns,
        )

    def count(self, record: SpanRecord, end_ns: int) -> None:
        """Measure a span that was begun with `start` and has been ended by its owner."""
        self.meters.observe(replace(record, end_ns=end_ns))

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until all queued spans are ended; whether that came in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._queue.all_tasks_done.wait(remaining)
        return True

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._work, name="retrospan-emitter", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            record = self._queue.get()
            with self.guard.shielded("emitting a span"):
                self._end(record)
            self._queue.task_done()

    def _end(self, record: SpanRecord) -> None:
        span = self.start(record)
        if record.is_error:
            span.set_status(Status(StatusCode.ERROR, record.status_message))
        span.end(record.end_ns)
        self.meters.observe(record)


def _span_context(ref: SpanRef, *, sampled: bool = True, remote: bool = True) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(ref.trace_id, ref.span_id, is_remote=remote, trace_flags=flags)


def _parent_context(parent: SpanRef | None, *, sampled: bool, remote: bool) -> Context:
    # An empty context, not the current one: what runs on this thread is nobody's parent here.
    if parent is None:
        return Context()
    context = _span_context(parent, sampled=sampled and parent.sampled, remote=remote)
    return trace.set_span_in_context(NonRecordingSpan(context), Context())
