"""Between provider and exporter: a bounded queue that knows exactly what was lost.

`BatchSpanProcessor` drops silently when its queue is full, unless experimental metrics were turned
on before it was made, and it never learns whether an export failed. Here spans are admitted only
while there is room, so that every loss is counted where it happens. What came first stays: the
anchors of runs, and with them the parents of what follows.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tracer.redaction.exporters import RedactingSpanExporter

_logger = logging.getLogger("retrospan.tracer")

_DEFAULT_QUEUE_SIZE: Final = 2_048
"""The SDK's own default."""


class LossReason(StrEnum):
    """Why a finished span did not arrive."""

    QUEUE_FULL = "queue_full"
    """The exporter could not keep up, or its collector is down."""
    EXPORT_FAILED = "export_failed"
    """The collector refused, or did not answer in time."""
    NOT_REDACTED = "not_redacted"
    """It could not be searched for secrets."""
    SHUT_DOWN = "shut_down"
    """It ended after the end, or was still waiting then."""


class CountingSpanProcessor(SpanProcessor):
    """A `BatchSpanProcessor` in which no span disappears uncounted."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Start the queue.

        Args:
            exporter: Where batches go. `OTEL_BSP_*` variables apply.
        """
        self._size = _queue_size()
        self._lost: Counter[LossReason] = Counter()
        self._lock = threading.Lock()
        self._waiting = 0
        self._is_shut_down = False
        self._exporter = _CountingExporter(exporter, self)
        self._batches = BatchSpanProcessor(self._exporter, max_queue_size=self._size)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_weakly(self._forget))

    @property
    def lost(self) -> Mapping[LossReason, int]:
        """Spans lost so far, by reason; all reasons, also those with 0."""
        with self._lock:
            return {reason: self._lost[reason] for reason in LossReason}

    @property
    def waiting(self) -> int:
        """Spans in the queue; never more than `OTEL_BSP_MAX_QUEUE_SIZE`, 2,048 by default."""
        return self._waiting

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See base class."""

    def on_end(self, span: ReadableSpan) -> None:
        """See base class. Never blocks."""
        if not (span.context and span.context.trace_flags.sampled):
            return
        if self._admit():
            self._batches.on_end(span)

    def shutdown(self) -> None:
        """See base class."""
        with self._lock:
            self._is_shut_down = True
        self._batches.shutdown()  # type: ignore[no-untyped-call] # the SDK left it out
        with self._lock:
            left, self._waiting = self._waiting, 0
        self.lose(LossReason.SHUT_DOWN, left)

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """See base class."""
        return self._batches.force_flush(timeout_millis)

    def taken(self, count: int) -> None:
        """The exporter was handed so many of those that waited."""
        with self._lock:
            self._waiting = max(self._waiting - count, 0)

    def lose(self, reason: LossReason, count: int) -> None:
        """Count spans as lost, and say so the first time."""
        if count <= 0:
            return
        with self._lock:
            is_first = not self._lost[reason]
            self._lost[reason] += count
        if is_first:
            _logger.warning(
                "retrospan: spans are lost (%s); workflows are unaffected. Is the collector"
                " reachable? The metric retrospan.lost_spans counts them",
                reason.value,
            )

    def _admit(self) -> bool:
        with self._lock:
            is_full = self._waiting >= self._size
            if not (is_full or self._is_shut_down):
                self._waiting += 1
                return True
        self.lose(LossReason.SHUT_DOWN if self._is_shut_down else LossReason.QUEUE_FULL, 1)
        return False

    def _forget(self) -> None:
        # The SDK empties its queue in a forked child: what waits, waits in the parent.
        self._lock = threading.Lock()
        self._waiting = 0


class _CountingExporter(SpanExporter):
    """Tells the processor what was taken from the queue and what became of it."""

    def __init__(self, exporter: SpanExporter, processor: CountingSpanProcessor) -> None:
        self._exporter = exporter
        self._processor = processor

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._processor.taken(len(spans))
        unsearched = self._not_redacted
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            unsearched = self._not_redacted - unsearched
            self._processor.lose(LossReason.NOT_REDACTED, unsearched)
            if result is not SpanExportResult.SUCCESS:
                self._processor.lose(LossReason.EXPORT_FAILED, len(spans) - unsearched)
        return result

    @property
    def _not_redacted(self) -> int:
        exporter = self._exporter
        return exporter.failed if isinstance(exporter, RedactingSpanExporter) else 0

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _queue_size() -> int:
    text = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "")
    return int(text) if text.isdecimal() and int(text) > 0 else _DEFAULT_QUEUE_SIZE


def _weakly(method: Callable[[], None]) -> Callable[[], Any]:
    # A hook cannot be unregistered: a strong reference would keep every processor for ever.
    reference = weakref.WeakMethod(method)

    def call() -> None:
        bound = reference()
        if bound is not None:
            bound()

    return call
