"""Spans that are over when they are told: handed to the processors without having lived.

A live span pays for what may still happen to it: locks, limits, a cleaning of each attribute. Of a
finished one only the processors' `on_end` is to be called. That is right as long as nobody would
have noticed its life, which is asked anew each time, because processors may be added at any time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    Tracer,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, TraceFlags
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import Attributes

from tracer._exporting import CountingSpanProcessor
from tracer._otel import otel_kind, parent_context, span_context
from tracer.context import SpanRef
from tracer.genai.enricher import GenAIEnricher
from tracer.names import TRACER_NAME
from tracer.spans import SpanRecord

_MOST_ATTRIBUTES: Final = 64
"""More than any span of ours has, unless it is live."""
_MOST_LINKS: Final = 2
_SILENT: Final = frozenset({CountingSpanProcessor, BatchSpanProcessor, SimpleSpanProcessor})
"""Processors that do nothing before a span ends."""
_FANS: Final = frozenset({SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor})
_STEADY: Final = (StaticSampler, TraceIdRatioBased)
"""Samplers that go by the trace's id or by nothing."""
_OF_PARENTS: Final = (
    "_root",
    "_remote_parent_sampled",
    "_remote_parent_not_sampled",
    "_local_parent_sampled",
    "_local_parent_not_sampled",
)
_INTERNAL_METRICS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_UNSET: Final = Status()
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_SCOPE: Final = InstrumentationScope(TRACER_NAME)


def readable(
    record: SpanRecord,
    resource: Resource,
    scope: InstrumentationScope = _SCOPE,
    context: SpanContext | None = None,
    attributes: Attributes = None,
) -> ReadableSpan:
    """The finished span that OpenTelemetry's processors and exporters take.

    Args:
        record: What it says.
        resource: What it says of its service. Left out, each span would look for its own anew, a
            millisecond each time.
        scope: Who made it.
        context: Its ids and flags, if there is more to say than that it is sampled.
        attributes: What a sampler made of its attributes.
    """
    return ReadableSpan(
        name=record.name,
        context=context or span_context(SpanRef(record.trace_id, record.span_id), remote=False),
        parent=_parent(record.parent) if record.parent else None,
        resource=resource,
        attributes=record.attributes if attributes is None else attributes,
        links=[Link(span_context(link), {}) for link in record.links] if record.links else (),
        kind=otel_kind(record.kind),
        status=Status(StatusCode.ERROR, record.status_message) if record.is_error else _UNSET,
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=scope,
    )


@lru_cache(maxsize=1024)
def _parent(ref: SpanRef) -> SpanContext:
    return span_context(ref, sampled=ref.sampled)


class FinishedSpans:
    """Hands finished spans to the processors of a tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._resource = tracer.resource
        self._scope: InstrumentationScope = getattr(tracer, "_instrumentation_scope", _SCOPE)
        self._sampler: Sampler = tracer.sampler
        self._processor: SpanProcessor = tracer.span_processor
        self._seen = _processors_of(self._processor)
        self.is_foreseeable = _is_steady(self._sampler)
        """Whether the sampler, asked twice, says the same."""
        self._goes_by_parent = self.is_foreseeable and _takes_what_is_sampled(self._sampler)

    def is_current(self) -> bool:
        """Whether the tracer has the sampler and processors that it had when this was made."""
        return (
            self._tracer.sampler is self._sampler and _processors_of(self._processor) is self._seen
        )

    def sampled(self, record: SpanRecord) -> tuple[SpanContext, Attributes] | None:
        """The span's context and attributes by what the sampler says; `None` if it is against."""
        if self._goes_by_parent and record.parent is not None and record.parent.sampled:
            return SpanContext(record.trace_id, record.span_id, False, _SAMPLED), record.attributes
        result = self._sampler.should_sample(
            parent_context(record.parent, sampled=True, remote=True),
            record.trace_id,
            record.name,
            otel_kind(record.kind),
            record.attributes,
        )
        if result.decision is Decision.DROP:
            return None
        context = SpanContext(
            record.trace_id,
            record.span_id,
            is_remote=False,
            trace_flags=_SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else _NOT_SAMPLED,
            trace_state=result.trace_state,
        )
        return context, result.attributes

    def send(self, record: SpanRecord) -> trace.Span:
        """Hand over a span, unless the sampler is against it.

        Returns:
            One that stands for it as an exemplar.
        """
        found = self.sampled(record)
        if found is None:
            return unsampled(record)
        context, attributes = found
        self.send_sampled(record, context, attributes)
        return trace.NonRecordingSpan(context)

    def send_sampled(
        self, record: SpanRecord, context: SpanContext, attributes: Attributes = None
    ) -> None:
        """Hand over a span that the sampler was asked about."""
        span = readable(record, self._resource, self._scope, context, attributes)
        self._processor.on_end(span)


def unsampled(record: SpanRecord) -> trace.Span:
    """What stands for a span that the sampler is against."""
    context = SpanContext(record.trace_id, record.span_id, False, _NOT_SAMPLED)
    return trace.NonRecordingSpan(context)


def finished_spans(tracer: trace.Tracer) -> FinishedSpans | None:
    """The short way for finished spans, as long as nobody could tell it from the long one."""
    if not isinstance(tracer, Tracer) or os.environ.get(_INTERNAL_METRICS):
        return None
    is_enabled: Callable[[], bool] | None = getattr(tracer, "_is_enabled", None)
    if callable(is_enabled) and not is_enabled():
        return None
    if _is_limited(getattr(tracer, "_span_limits", None)) or not _is_silent(tracer.span_processor):
        return None
    return FinishedSpans(tracer)


def _is_limited(limits: SpanLimits | None) -> bool:
    if limits is None or limits.max_span_attribute_length is not None:
        return True
    attributes, links = limits.max_span_attributes, limits.max_links
    is_roomy = attributes is None or attributes >= _MOST_ATTRIBUTES
    return not (is_roomy and (links is None or links >= _MOST_LINKS))


def _is_silent(processor: Any) -> bool:
    """Whether a processor takes no notice of a span before its end."""
    kind = type(processor)
    if kind in _FANS:
        return all(map(_is_silent, processor._span_processors))
    if kind is GenAIEnricher:
        return processor.forward_to is None or _is_silent(processor.forward_to)
    return kind in _SILENT


def _processors_of(processor: SpanProcessor) -> object:
    """What is another object as soon as a provider gets one more processor."""
    return getattr(processor, "_span_processors", None)


def _is_steady(sampler: object) -> bool:
    if type(sampler).__module__ != ParentBased.__module__:
        return False
    if isinstance(sampler, ParentBased):
        return all(_is_steady(getattr(sampler, name, None)) for name in _OF_PARENTS)
    return isinstance(sampler, _STEADY)


def _takes_what_is_sampled(sampler: object) -> bool:
    """Whether a steady sampler records whatever has a remote parent that was sampled."""
    if isinstance(sampler, ParentBased):
        return _takes_what_is_sampled(getattr(sampler, "_remote_parent_sampled", None))
    decision = getattr(sampler, "_decision", None)
    return isinstance(sampler, StaticSampler) and decision is Decision.RECORD_AND_SAMPLE
