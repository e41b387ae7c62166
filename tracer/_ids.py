"""Spans with ids of our choice, on any provider that is the SDK's or wraps it.

An id generator belongs to a tracer, so only our own tracer is given one. Wrappers, such as
temporalio's `ReplaySafeTracerProvider`, are looked into: what they add is for spans that workflow
code makes itself, and ours are made outside of it.
"""

from __future__ import annotations

import threading
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from tracer.names import TRACER_NAME

_DEEPEST: Final = 3
"""Wrappers around wrappers."""


class GivenIds(RandomIdGenerator):
    """Hands out the ids that the caller set just before, on the same thread; else random ones."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, trace_id: int, span_id: int) -> None:
        """The ids of the next span that this thread starts."""
        self._given.trace_id, self._given.span_id = trace_id, span_id

    def generate_span_id(self) -> int:
        """See base class."""
        given, self._given.span_id = getattr(self._given, "span_id", None), None
        return super().generate_span_id() if given is None else int(given)

    def generate_trace_id(self) -> int:
        """See base class."""
        given, self._given.trace_id = getattr(self._given, "trace_id", None), None
        return super().generate_trace_id() if given is None else int(given)


IDS: Final = GivenIds()
"""One for the process: two plugins with one provider share a tracer."""


def tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    """A tracer that gives its spans the ids of `IDS`, if the provider is, or wraps, the SDK's."""
    found = sdk_provider(provider)
    tracer = (found or provider).get_tracer(TRACER_NAME)
    if isinstance(tracer, Tracer):
        tracer.id_generator = IDS
    return tracer


def sdk_provider(provider: object, depth: int = 0) -> TracerProvider | None:
    """The SDK's provider that this is, or that it wraps."""
    if isinstance(provider, TracerProvider):
        return provider
    if depth == _DEEPEST or not isinstance(provider, trace.TracerProvider):
        return None
    inner = (sdk_provider(value, depth + 1) for value in vars(provider).values())
    return next((found for found in inner if found is not None), None)
