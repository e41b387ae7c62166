"""From histories to the spans that the tracer would have made, sent to any exporter.

For what workers could not send: they died with spans unsent, the collector was down, no worker
looked when the server ended the run, or the tracer was not there yet. The spans have the ids that
workers gave theirs, so sending them again, twice or beside the live ones, leaves one of each in any
store that drops duplicates by id.

Nothing of a history's payloads leaves unless its type was opted in: the spans carry what live ones
carry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tracer._finished import readable
from tracer._otlp import DEFAULT_REDACTION
from tracer._otlp_env import endpoint_of, protocol_of
from tracer.attempts import attempts_of
from tracer.context import caller_of
from tracer.model.words import Run
from tracer.redaction.exporters import redact_exporter
from tracer.redaction.policy import Redaction
from tracer.settings import DEFAULT_SETTINGS, SpanSettings
from tracer.spans import SpanRecord, spans_of

_BATCH: Final = 512
"""As many as OpenTelemetry's own batch processor sends at once."""


class BackfillError(Exception):
    """The exporter did not take the spans."""


@dataclass(frozen=True, slots=True)
class Backfilled:
    """How far it has come."""

    runs: int = 0
    """Runs whose spans were all sent."""
    spans: int = 0
    skipped_runs: int = 0
    """Runs whose starter asked that they be not recorded."""


def backfilled_spans(run: Run, settings: SpanSettings = DEFAULT_SETTINGS) -> list[SpanRecord]:
    """Every span that the run's history tells; none if its trace was not sampled."""
    caller = caller_of(run.headers)
    if caller is not None and not caller.sampled:
        return []
    return [*spans_of(run, settings), *attempts_of(run, settings)]


def backfill(
    runs: Iterable[Run],
    exporter: SpanExporter,
    *,
    resource: Resource | None = None,
    settings: SpanSettings = DEFAULT_SETTINGS,
    spans_per_second: float | None = None,
    on_progress: Callable[[Backfilled], None] = lambda _: None,
) -> Backfilled:
    """Send the spans of these runs. Sending them again changes nothing.

    Args:
        runs: Models of runs, as `run_from_events` makes them; read one by one.
        exporter: Where the spans go. It is not shut down.
        resource: What the spans say of their service; the environment's if left out.
        settings: Those that the workers' tracer has.
        spans_per_second: How fast to send, so that a collector in production keeps up.
        on_progress: Called after each run.

    Raises:
        BackfillError: The exporter failed. Everything before is sent; start again at will.
        ValueError: The rate is not positive.
    """
    pace = _Pace(spans_per_second)
    origin = resource or Resource.create()
    done = Backfilled()
    for run in runs:
        records = backfilled_spans(run, settings)
        for batch in pace.batches(records):
            spans = [readable(record, origin) for record in batch]
            if exporter.export(spans) is not SpanExportResult.SUCCESS:
                raise BackfillError(
                    f"the collector did not take the spans of run {run.key}, after "
                    f"{done.spans:,} spans of {done.runs:,} runs; check that it is up and start "
                    "again: what is there already is not doubled"
                )
            done = Backfilled(done.runs, done.spans + len(spans), done.skipped_runs)
        skipped = not records
        done = Backfilled(done.runs + (not skipped), done.spans, done.skipped_runs + skipped)
        on_progress(done)
    return done


def otlp_exporter(
    endpoint: str | None = None,
    *,
    protocol: str | None = None,
    service_name: str | None = None,
    redaction: Redaction | None = DEFAULT_REDACTION,
) -> tuple[SpanExporter, Resource]:
    """An exporter and a resource from the standard environment variables, for `backfill`.

    Args:
        endpoint: Such as `http://127.0.0.1:4317`; left out, `OTEL_EXPORTER_OTLP_ENDPOINT` decides.
        protocol: `grpc` or `http/protobuf`; left out, `OTEL_EXPORTER_OTLP_PROTOCOL` decides.
        service_name: The resource's `service.name`; left out, `OTEL_SERVICE_NAME` decides.
        redaction: What may leave the process; `None` lets everything pass.

    Raises:
        ValueError: There is no such protocol.
    """
    exporter = _exporter(endpoint, protocol)
    if redaction is not None:
        exporter = redact_exporter(exporter, redaction)
    named = {SERVICE_NAME: service_name} if service_name else {}
    return exporter, Resource.create(named)


def _exporter(endpoint: str | None, protocol: str | None) -> SpanExporter:
    speaks = protocol_of("traces", protocol)
    address = endpoint_of("traces", speaks, endpoint)
    # Each of them takes a while to load, and only one is needed.
    if speaks == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc

        return grpc.OTLPSpanExporter(endpoint=address)
    from opentelemetry.exporter.otlp.proto.http import trace_exporter as http

    return http.OTLPSpanExporter(endpoint=address)


class _Pace:
    """Batches, handed out no faster than a rate allows."""

    def __init__(self, spans_per_second: float | None) -> None:
        if spans_per_second is not None and spans_per_second <= 0:
            raise ValueError(f"spans_per_second is {spans_per_second}; expected more than 0")
        self._rate = spans_per_second
        self._began = time.monotonic()
        self._sent = 0

    def batches(self, records: list[SpanRecord]) -> Iterator[tuple[SpanRecord, ...]]:
        # A slow rate asks for small batches, or the collector gets them in lumps.
        size = _BATCH if self._rate is None else max(1, min(_BATCH, int(self._rate / 4)))
        for batch in batched(records, size):
            self._wait()
            yield batch
            self._sent += len(batch)

    def _wait(self) -> None:
        if self._rate is not None:
            due = self._began + self._sent / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
