"""Spans that come to life only if somebody takes notice of them.

User code runs inside the span of its attempt and may do with it what it likes; most never touches
it. A live span pays for what may happen to it, so this one has its ids, which is all that children
and logs ask for, and becomes a live span of the SDK at the first thing that is done to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanContext
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

from tracer.spans import SpanRecord

__all__ = ["LatentSpan"]


class LatentSpan(trace.Span):
    """Stands for a span, live or not yet. May be used from several threads."""

    def __init__(
        self,
        context: SpanContext,
        record: SpanRecord,
        wake: Callable[[SpanRecord], trace.Span],
    ) -> None:
        """Create it.

        Args:
            context: Its ids and flags.
            record: What is known of it so far.
            wake: Makes the live span, with this context; called at most once.
        """
        self._context = context
        self._record = record
        self._wake = wake
        self._live: trace.Span | None = None
        self._is_told = False
        self._lock = threading.Lock()

    def slept_through(self) -> bool:
        """Whether nobody touched it to its end, which is now; from here on nobody can."""
        with self._lock:
            self._is_told = self._live is None
            return self._is_told

    def if_live(self) -> trace.Span | None:
        """The live span if there is one."""
        with self._lock:
            return self._live

    @property
    def live(self) -> trace.Span:
        """The live span; after its end, one that takes everything and keeps nothing."""
        with self._lock:
            if self._is_told:
                return trace.NonRecordingSpan(self._context)
            if self._live is None:
                self._live = self._wake(self._record)
            return self._live

    def get_span_context(self) -> SpanContext:
        """See base class."""
        return self._context

    def is_recording(self) -> bool:
        """See base class."""
        return not self._is_told if self._live is None else self._live.is_recording()

    def end(self, end_time: int | None = None) -> None:
        """See base class."""
        self.live.end(end_time)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """See base class."""
        self.live.set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """See base class."""
        self.live.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """See base class."""
        self.live.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """See base class."""
        self.live.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """See base class."""
        self.live.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """See base class."""
        self.live.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """See base class."""
        self.live.record_exception(exception, attributes, timestamp, escaped)

    def __getattr__(self, name: str) -> Any:
        # What the SDK's spans have beside the API: attributes, events, resource and so on.
        return getattr(self.live, name)
