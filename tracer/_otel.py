"""Our words for spans in OpenTelemetry's classes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace import SpanKind as OTelKind

from tracer.context import SpanRef
from tracer.names import SpanKind

_KINDS: Final = {
    SpanKind.ATTEMPT: OTelKind.SERVER,
    SpanKind.HANDLER: OTelKind.SERVER,
    SpanKind.START: OTelKind.CLIENT,
}


def otel_kind(kind: SpanKind) -> OTelKind:
    """OpenTelemetry's kind of one of our spans."""
    return _KINDS.get(kind, OTelKind.INTERNAL)


def span_context(ref: SpanRef, *, sampled: bool = True, remote: bool = True) -> SpanContext:
    """The context of a span that lives, or lived, elsewhere."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(ref.trace_id, ref.span_id, is_remote=remote, trace_flags=flags)


@lru_cache(maxsize=1024)
def parent_context(parent: SpanRef | None, *, sampled: bool, remote: bool) -> Context:
    """A context in which new spans hang on `parent`.

    Built on an empty one, not on the current: what runs on this thread is nobody's parent here.
    """
    if parent is None:
        return Context()
    context = span_context(parent, sampled=sampled and parent.sampled, remote=remote)
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def remote_span(ref: SpanRef) -> trace.Span:
    """A span of another process, to make current here."""
    return NonRecordingSpan(span_context(ref, sampled=ref.sampled))
