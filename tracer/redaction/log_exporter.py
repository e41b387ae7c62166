"""Redaction in front of an exporter of log records, GenAI events among them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from tracer.redaction.parts import Origins, bounded, with_fields
from tracer.redaction.redactor import Redactor

__all__ = ["LogRecordExporter", "RedactingLogExporter"]


class RedactingLogExporter(LogRecordExporter):
    """Passes log records on, redacted."""

    def __init__(self, exporter: LogRecordExporter, redactor: Redactor) -> None:
        self._exporter = exporter
        self._logs = _Logs(redactor)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """See base class."""
        return self._exporter.export([self._logs.redacted(record) for record in batch])

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See base class."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """See base class."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK left it out


class _Logs:
    """Makes redacted copies of log records."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._origins = Origins(redactor)

    def redacted(self, record: ReadableLogRecord) -> ReadableLogRecord:
        log = record.log_record
        body = self._redactor.value(log.body)
        attributes, touched = self._redactor.attributes(log.attributes)
        if touched or body is not log.body:
            dropped = record.dropped_attributes
            log = copy.copy(log)
            log.body, log.attributes = body, bounded(attributes, dropped)
        return with_fields(
            record,
            log_record=log,
            resource=self._origins.resource(record.resource),
            instrumentation_scope=self._origins.scope(record.instrumentation_scope),
        )
