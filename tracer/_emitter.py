"""From span records to OpenTelemetry, away from workflow threads.

Records are queued and ended on a thread of our own: ending a span runs the user's processors, and
one that exports synchronously would block a workflow task, or open files in its sandbox.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, Literal

from opentelemetry import context, metrics, trace
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link
from opentelemetry.trace import SpanKind as OTelKind
from opentelemetry.trace.status import Status, StatusCode

from tracer._activation_clock import ActivationClock
from tracer._branching import DEFAULT_BRANCHES, Branching
from tracer._finished import FinishedSpans, finished_spans, unsampled
from tracer._guard import Guard
from tracer._ids import IDS, tracer_of
from tracer._latent import LatentSpan
from tracer._meters import Measured, Meters
from tracer._open_waits import OpenWaits
from tracer._otel import otel_kind, parent_context, remote_span, span_context
from tracer._outbox import Item, Outbox, OverdueSpan
from tracer._previous import FailureMemory
from tracer._tenant import TenantSource
from tracer._workers import Workers
from tracer.branches import BranchSettings
from tracer.context import SpanRef
from tracer.genai._chosen import Chosen
from tracer.limits import Limits
from tracer.names import TRACER_NAME, SpanKind
from tracer.redaction.content import ContentPolicy
from tracer.settings import DEFAULT_SETTINGS, SpanSettings
from tracer.spans import SpanRecord, Value

_QUEUE_SIZE: Final = 10_000
"""Records that may wait. At 1 KB each this bounds memory when the processors are slow."""

_REMEMBERED: Final = 10_000
"""Spans of kinds that may come up again, whose ids are remembered."""

type Chains = Literal["linked", "nested"]
"""What becomes of runs that continue each other: a trace each, or one for all."""

_POLL_SECONDS: Final = 0.25
"""How often the thread looks for spans. Waking it for each one would make it take the interpreter
from the workflows once for each."""

_WAKE_AT: Final = 1_000
"""So many records wake it at once."""


class _Around(AbstractContextManager[None]):
    """`trace.use_span` and `using_providers` in one: both are generators, which cost more."""

    __slots__ = ("_before", "_chosen", "_guard", "_providers", "_span")

    def __init__(self, span: trace.Span, chosen: Chosen, guard: Guard) -> None:
        self._guard = guard
        self._span = span
        self._chosen = chosen

    def __enter__(self) -> None:
        with self._guard.shielded("making a span current"):
            self._before = context.attach(trace.set_span_in_context(self._span))
            self._providers = self._chosen.enter()

    def __exit__(self, *_: object) -> None:
        with self._guard.shielded("making a span current"):
            self._chosen.leave(self._providers)
            context.detach(self._before)


class Emitter:
    """Turns records into spans and metrics of the given, or the global, providers."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        guard: Guard | None = None,
        settings: SpanSettings = DEFAULT_SETTINGS,
        *,
        nests_chains: bool = False,
        branches: BranchSettings | None = DEFAULT_BRANCHES,
    ) -> None:
        self.guard = guard or Guard()
        self.branching = Branching(branches, self.guard)
        self.clock = ActivationClock(
            settings.limits.slow * settings.limits.activation_seconds,
            self.branching.is_workflow_code,
            self.branching.shown,
            self.guard,
        )
        self.settings = settings
        self.nests_chains = nests_chains
        """Whether a run that another one continues is its parent."""
        self._is_by_tenant = settings.tenant is not None and settings.tenant.metric_label
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._chosen = Chosen(tracer_provider, meter_provider, self.guard)
        self._tracer: trace.Tracer | None = None
        self._client_tracer: trace.Tracer | None = None
        self._meters: Meters | None = None
        self._finished: FinishedSpans | None = None
        self._queue: deque[Item | Measured | threading.Event] = deque()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        self.memory = FailureMemory()
        self.open_waits = OpenWaits()
        self.workers = Workers()
        self._told: OrderedDict[int, None] = OrderedDict()
        self._told_branches: OrderedDict[int, None] = OrderedDict()
        self.outbox = Outbox(self.emit)

    @property
    def tracer(self) -> trace.Tracer:
        """The tracer whose next ids `start` gives.

        Resolved at first use: a program may set its global provider after it made the plugin.
        """
        if self._tracer is None:
            provider = self._tracer_provider or trace.get_tracer_provider()
            tracer = tracer_of(provider)
            if isinstance(provider, trace.ProxyTracerProvider):
                return tracer
            self._tracer = tracer
        return self._tracer

    @property
    def client_tracer(self) -> trace.Tracer:
        """A tracer with ids of its own, for spans that no history knows."""
        if self._client_tracer is None:
            provider = self._tracer_provider or trace.get_tracer_provider()
            self._client_tracer = provider.get_tracer(f"{TRACER_NAME}.client")
        return self._client_tracer

    def around(self, span: trace.Span, tenant: str = "") -> AbstractContextManager[None]:
        """Inside, the span is current, and `llm_call` and `tool_call` use our providers.

        Args:
            span: Of what runs inside.
            tenant: Whom it is for: GenAI metrics carry that if the user wants it on metrics.
        """
        chosen = self._chosen
        if tenant and self._is_by_tenant:
            chosen = replace(chosen, tenant=tenant)
        return _Around(span, chosen, self.guard)

    @property
    def meters(self) -> Meters:
        """The instruments, made at first use."""
        if self._meters is None:
            provider = self._meter_provider or metrics.get_meter_provider()
            self._meters = Meters(
                provider.get_meter(TRACER_NAME),
                self,
                self.open_waits,
                by_tenant=self._is_by_tenant,
                limits=self.settings.limits,
            )
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

    def emit(self, item: Item | Measured) -> None:
        """Queue a finished span, or a measurement. Never blocks; counts what does not fit."""
        self._ensure_thread()
        waiting = len(self._queue)
        if waiting >= _QUEUE_SIZE:
            self.dropped += 1
            return
        self._queue.append(item)
        if waiting >= _WAKE_AT:
            self._wake.set()

    def emit_once(self, record: SpanRecord) -> None:
        """Queue a span that a retried task may tell again; from the second time on, count it."""
        told = self._told_of(record)
        with self._lock:
            is_known = record.span_id in told
            told[record.span_id] = None
            if len(told) > _REMEMBERED:
                told.popitem(last=False)
        if not is_known:
            self.emit(record)
        elif record.kind is not SpanKind.BRANCH:
            ref = SpanRef(record.trace_id, record.span_id, record.sampled)
            self.meters.observe(record, remote_span(ref))

    def is_new(self, record: SpanRecord) -> bool:
        """Whether the span was not told by a task that failed."""
        return record.span_id not in self._told_of(record)

    def _told_of(self, record: SpanRecord) -> OrderedDict[int, None]:
        # Branches are many: they must not make the others forgotten.
        return self._told_branches if record.kind is SpanKind.BRANCH else self._told

    def hold(self, run_id: str, task_id: int, items: Iterable[Item]) -> None:
        """Queue what a workflow task did, as soon as the server is known to have accepted it."""
        self._ensure_thread()
        self.outbox.hold(run_id, task_id, items)

    def end(self, span: trace.Span, record: SpanRecord, *, in_task_of: str | None = None) -> None:
        """End and measure a span that was begun with `start`.

        Args:
            span: The span.
            record: What it stands for, with the time of its end.
            in_task_of: The run whose workflow task it is part of and has to wait for.
        """
        slept = isinstance(span, LatentSpan) and span.slept_through()
        if in_task_of is not None:
            self._ensure_thread()
            self.outbox.add(in_task_of, OverdueSpan(span, record))
        elif slept:
            self.emit(OverdueSpan(span, record))
        else:
            self._finish_live(span, record)

    def start(self, record: SpanRecord) -> trace.Span:
        """Begin a span now, for one that something else will nest under.

        The caller ends it with `end`. What there is to add comes through `learn`.
        """
        short = self._short_way() if record.sampled else None
        if short is None or not short.is_foreseeable:
            return self._start_live(record)
        found = short.sampled(record)
        return LatentSpan(found[0], record, self._wake_up) if found else unsampled(record)

    def _wake_up(self, record: SpanRecord) -> trace.Span:
        # Called by the user's code, which must not get to see what goes wrong here.
        with self.guard.shielded("waking a span"):
            return self._start_live(record)
        return unsampled(record)

    def learn(self, span: trace.Span, record: SpanRecord, attributes: Mapping[str, Value]) -> None:
        """Add to a span that was begun with `start`, and to what it stands for."""
        record.attributes.update(attributes)
        live = span.if_live() if isinstance(span, LatentSpan) else span
        if live is not None:
            # For the SDK a few attributes are less work one by one.
            for key, value in attributes.items():
                live.set_attribute(key, value)

    def _short_way(self) -> FinishedSpans | None:
        """The way for spans that nobody notices before their end, if there is one now."""
        if self._finished is None or not self._finished.is_current():
            self._finished = finished_spans(self.tracer)
        return self._finished

    def _start_live(self, record: SpanRecord) -> trace.Span:
        IDS.give(record.trace_id, record.span_id)
        return self.tracer.start_span(
            record.name,
            context=parent_context(record.parent, sampled=record.sampled, remote=True),
            kind=otel_kind(record.kind),
            attributes=record.attributes,
            links=[Link(span_context(link)) for link in record.links],
            start_time=record.start_ns,
        )

    def flush(self, timeout_seconds: float = 10.0) -> bool:
        """Wait until all held and queued spans are ended; whether that came in time."""
        self.outbox.release_all()
        self._ensure_thread()
        done = threading.Event()
        self._queue.append(done)
        self._wake.set()
        return done.wait(timeout_seconds)

    def _ensure_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._work, name="retrospan-emitter", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
            with self.guard.shielded("releasing spans"):
                self.outbox.release_due()
            self._drain()

    def _drain(self) -> None:
        """Finish what waits."""
        if self._queue:
            with self.guard.shielded("looking at the processors"):
                self._finished = finished_spans(self.tracer)
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, threading.Event):
                self._tell_counters()
                item.set()
                continue
            with self.guard.shielded("emitting a span"):
                self._finish(item)
        self._tell_counters()

    def _tell_counters(self) -> None:
        # Who has nothing to count, as a replayer, makes no instruments either.
        if self._meters is not None:
            with self.guard.shielded("counting"):
                self._meters.flush()

    def _finish(self, item: Item | Measured) -> None:
        if isinstance(item, Measured):
            self.meters.observe_activation(item)
        elif isinstance(item, OverdueSpan):
            self._finish_overdue(item.span, item.record)
        elif not item.sampled:
            self.meters.observe(item)
        elif self._finished is not None:
            self.meters.observe(item, self._finished.send(item))
        else:
            self._finish_live(self._start_live(item), item)

    def _finish_overdue(self, span: trace.Span, record: SpanRecord) -> None:
        if not isinstance(span, LatentSpan) or span.if_live() is not None:
            self._finish_live(span, record)
        elif self._finished is not None:
            # Samplers that were asked about such a span leave its attributes alone.
            self._finished.send_sampled(record, span.get_span_context())
            self.meters.observe(record, span)
        else:
            # A processor that came since it began wants to see it start.
            self._finish_live(self._start_live(record), record)

    def _finish_live(self, span: trace.Span, record: SpanRecord) -> None:
        if record.sampled:
            if record.is_error:
                span.set_status(Status(StatusCode.ERROR, record.status_message))
            span.end(record.end_ns)
        self.meters.observe(record, span)


def emitter_with(
    tracer_provider: trace.TracerProvider | None,
    meter_provider: metrics.MeterProvider | None,
    tenant: TenantSource | None,
    content: ContentPolicy,
    chains: Chains,
    branches: BranchSettings | None,
    limits: Limits,
) -> Emitter:
    """An emitter from what users say of it.

    Raises:
        ValueError: There are no such chains.
    """
    if chains not in ("linked", "nested"):
        raise ValueError(f"chains is {chains!r}; expected 'linked' or 'nested'")
    return Emitter(
        tracer_provider,
        meter_provider,
        settings=SpanSettings(tenant, content, limits),
        nests_chains=chains == "nested",
        branches=branches,
    )
