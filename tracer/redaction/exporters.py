"""Redaction in front of an exporter: nothing passes that the policy has not seen.

The exporter is the only place where everything can still be changed, whoever made it: a span
processor is handed a span that has ended and cannot be altered, and the spans of model, tool and
HTTP instrumentation never pass through the tracer at all. It also runs on the exporter's thread,
where its time delays no workflow and no activity.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, overload

from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

from tracer.names import Attribute
from tracer.redaction.metric_exporter import RedactingMetricExporter
from tracer.redaction.parts import Origins, bounded
from tracer.redaction.policy import Redaction
from tracer.redaction.redactor import Redactor

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter

_logger = logging.getLogger("retrospan.tracer")


@overload
def redact_exporter(exporter: SpanExporter, policy: Redaction | None = None) -> SpanExporter: ...
@overload
def redact_exporter(
    exporter: MetricExporter, policy: Redaction | None = None
) -> MetricExporter: ...
@overload
def redact_exporter(
    exporter: LogRecordExporter, policy: Redaction | None = None
) -> LogRecordExporter: ...
def redact_exporter(
    exporter: SpanExporter | MetricExporter | LogRecordExporter, policy: Redaction | None = None
) -> SpanExporter | MetricExporter | LogRecordExporter:
    """The exporter, with a policy applied to everything before it sees it.

        provider.add_span_processor(BatchSpanProcessor(redact_exporter(OTLPSpanExporter())))

    Spans are searched in name, attributes, events, links, status description, resource and scope;
    metrics in attributes, exemplars, resource and scope; log records in body, attributes, resource
    and scope. A span that was touched says how often in `retrospan.redacted.fields`.

    Args:
        exporter: Of spans, metrics or log records.
        policy: What may pass; the default takes out credentials.

    Raises:
        TypeError: It is no exporter.
    """
    redactor = Redactor(policy)
    if isinstance(exporter, SpanExporter):
        return RedactingSpanExporter(exporter, redactor)
    if isinstance(exporter, MetricExporter):
        return RedactingMetricExporter(exporter, redactor)
    # The SDK renamed its classes for logs more than once; who has no logs must not feel it.
    from tracer.redaction.log_exporter import LogRecordExporter, RedactingLogExporter

    if isinstance(exporter, LogRecordExporter):
        return RedactingLogExporter(exporter, redactor)
    raise TypeError(
        f"redact_exporter got {type(exporter).__name__}; expected a SpanExporter, MetricExporter"
        " or LogRecordExporter"
    )


class RedactingSpanExporter(SpanExporter):
    """Passes spans on, redacted."""

    def __init__(self, exporter: SpanExporter, redactor: Redactor) -> None:
        self._exporter = exporter
        self._spans = _Spans(redactor)
        self.failed = 0
        """Spans that could not be redacted, and were therefore not exported."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See base class."""
        redacted = [span for span in map(self._redacted, spans) if span is not None]
        return self._exporter.export(redacted) if redacted else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """See base class."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See base class."""
        return self._exporter.force_flush(timeout_millis)

    def _redacted(self, span: ReadableSpan) -> ReadableSpan | None:
        try:
            return self._spans.redacted(span)
        except Exception:
            # What cannot be searched must not leave, and must not take the others with it.
            self.failed += 1
            if self.failed == 1:
                _logger.exception("retrospan: a span could not be redacted and is not exported")
            return None


class _Spans:
    """Makes redacted copies of spans."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._origins = Origins(redactor)

    def redacted(self, span: ReadableSpan) -> ReadableSpan:
        name = self._redactor.text(span.name)
        status, in_status = self._status(span.status)
        attributes, in_attributes = self._redactor.attributes(span.attributes)
        events, in_events = self._each(span.events, self._event)
        links, in_links = self._each(span.links, self._link)
        touched = (name != span.name) + in_status + in_attributes + in_events + in_links
        resource = self._origins.resource(span.resource)
        scope = self._origins.scope(span.instrumentation_scope)
        if not touched and resource is span.resource and scope is span.instrumentation_scope:
            return span
        if touched:
            attributes = {**attributes, Attribute.REDACTED_FIELDS.value: touched}
        return ReadableSpan(
            name=name,
            context=span.context,
            parent=span.parent,
            resource=resource,
            attributes=bounded(attributes, span.dropped_attributes),
            events=_listed(events, span.dropped_events),
            links=_listed(links, span.dropped_links),
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=scope,
        )

    def _status(self, status: Status) -> tuple[Status, int]:
        description = status.description
        found = self._redactor.text(description) if description else description
        if found == description:
            return status, 0
        return Status(status.status_code, found), 1

    def _event(self, event: Event) -> tuple[Event, int]:
        name = self._redactor.text(event.name)
        attributes, touched = self._redactor.attributes(event.attributes)
        touched += name != event.name
        if not touched:
            return event, 0
        return Event(name, bounded(attributes, event.dropped_attributes), event.timestamp), touched

    def _link(self, link: Link) -> tuple[Link, int]:
        attributes, touched = self._redactor.attributes(link.attributes)
        if not touched:
            return link, 0
        return Link(link.context, bounded(attributes, link.dropped_attributes)), touched

    @staticmethod
    def _each[T](
        items: Sequence[T], redacted: Callable[[T], tuple[T, int]]
    ) -> tuple[Sequence[T], int]:
        pairs = [redacted(item) for item in items]
        return [item for item, _ in pairs], sum(touched for _, touched in pairs)


def _listed[T](items: Sequence[T], dropped: int) -> BoundedList[T]:
    listed: BoundedList[T] = BoundedList.from_seq(len(items), items)
    listed.dropped = dropped
    return listed
