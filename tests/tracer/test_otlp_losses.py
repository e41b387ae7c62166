"""The queue in front of an exporter: bounded, never blocking, and with exact books."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.tracer.otlp_servers import GrpcServer, free_port
from tracer import configure_otlp
from tracer._exporting import CountingSpanProcessor, LossReason
from tracer.names import LOST_SPANS, Attribute
from tracer.redaction.exporters import RedactingSpanExporter
from tracer.redaction.redactor import Redactor

QUEUE, BATCH = 64, 16


class Gate(SpanExporter):
    """An exporter that waits until it is opened, and then answers as told."""

    def __init__(self, answer: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.answer = answer
        self.exported = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        assert self.open.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.exported += len(spans)
        return self.answer

    def shutdown(self) -> None:
        self.open.set()


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(QUEUE))
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(BATCH))
    return monkeypatch


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def processor(gate: Gate) -> Iterator[CountingSpanProcessor]:
    processor = CountingSpanProcessor(gate)
    yield processor
    gate.open.set()
    processor.shutdown()


def emit(processor: CountingSpanProcessor, count: int) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"s{number}").end()


def lost(processor: CountingSpanProcessor) -> dict[str, int]:
    return {reason.value: count for reason, count in processor.lost.items() if count}


def test_an_exporter_that_hangs_costs_spans_and_nothing_else(
    gate: Gate, processor: CountingSpanProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    start = time.monotonic()
    emit(processor, BATCH)
    assert gate.entered.wait(10)
    emit(processor, 1_000)
    assert time.monotonic() - start < 5, "ending a span must not wait for the exporter"
    assert processor.waiting == QUEUE
    assert lost(processor) == {"queue_full": 1_000 - QUEUE}
    gate.open.set()
    assert processor.force_flush()
    assert gate.exported == BATCH + QUEUE
    assert processor.waiting == 0
    assert lost(processor) == {"queue_full": 1_000 - QUEUE}
    said = [record.message for record in caplog.records if record.name == "retrospan.tracer"]
    assert len(said) == 1, "once, not for every span"
    assert "spans are lost (queue_full); workflows are unaffected" in said[0]


@pytest.mark.parametrize(
    "answer", [SpanExportResult.FAILURE, ConnectionError("no"), SpanExportResult.SUCCESS]
)
def test_a_failed_export_is_counted(
    gate: Gate, processor: CountingSpanProcessor, answer: SpanExportResult | Exception
) -> None:
    gate.answer = answer
    gate.open.set()
    emit(processor, 40)
    assert processor.force_flush()
    failed = {} if answer is SpanExportResult.SUCCESS else {"export_failed": 40}
    assert lost(processor) == failed


def test_what_comes_after_the_end_is_counted(gate: Gate, processor: CountingSpanProcessor) -> None:
    gate.open.set()
    emit(processor, 3)
    processor.shutdown()
    assert gate.exported == 3
    emit(processor, 2)
    assert lost(processor) == {"shut_down": 2}


def test_what_cannot_be_searched_is_counted_apart(environ: pytest.MonkeyPatch, gate: Gate) -> None:
    def broken(self: Redactor, text: str, key: str = "") -> str:
        raise RecursionError

    environ.setattr(Redactor, "text", broken)
    processor = CountingSpanProcessor(RedactingSpanExporter(gate, Redactor()))
    gate.open.set()
    emit(processor, 5)
    assert processor.force_flush()
    processor.shutdown()
    assert lost(processor) == {"not_redacted": 5}


def test_unsampled_spans_are_not_lost(gate: Gate, processor: CountingSpanProcessor) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("s").end()
    assert processor.waiting == 0
    assert lost(processor) == {}


def test_many_threads_keep_the_books_right(gate: Gate, processor: CountingSpanProcessor) -> None:
    gate.open.set()
    threads = [threading.Thread(target=emit, args=(processor, 500)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert processor.force_flush()
    assert gate.exported + sum(processor.lost.values()) == 8 * 500


@pytest.mark.parametrize("size", ["", "0", "-5", "many"])
def test_a_wrong_queue_size_leaves_the_default(environ: pytest.MonkeyPatch, size: str) -> None:
    environ.setenv("OTEL_BSP_MAX_QUEUE_SIZE", size)
    gate = Gate()
    processor = CountingSpanProcessor(gate)
    emit(processor, BATCH)
    assert gate.entered.wait(10)
    emit(processor, 3_000)
    assert processor.waiting == 2_048
    gate.open.set()
    processor.shutdown()


def test_losses_are_a_metric(environ: pytest.MonkeyPatch) -> None:
    with GrpcServer() as server:
        environ.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", server.address)
        environ.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"127.0.0.1:{free_port()}")
        environ.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1")
        telemetry = configure_otlp("orders")
        for number in range(10):
            telemetry.tracer_provider.get_tracer("t").start_span(f"s{number}").end()
        telemetry.tracer_provider.force_flush()
        assert telemetry.lost_spans[LossReason.EXPORT_FAILED] == 10
        assert telemetry.shutdown()
        metric = server.inbox.metric(LOST_SPANS.name)
        assert metric is not None
        counts = {
            point.attributes[0].value.string_value: point.as_int for point in metric.sum.data_points
        }
        assert {point.attributes[0].key for point in metric.sum.data_points} == {
            Attribute.LOSS_REASON.value
        }
        assert counts == {
            "queue_full": 0,
            "export_failed": 10,
            "not_redacted": 0,
            "shut_down": 0,
        }


def test_the_end_does_not_wait_for_a_collector_for_ever(environ: pytest.MonkeyPatch) -> None:
    # Nobody accepts what connects here.
    with socket.create_server(("127.0.0.1", 0)) as silence:
        environ.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
        telemetry = configure_otlp("orders", endpoint=f"127.0.0.1:{silence.getsockname()[1]}")
        telemetry.tracer_provider.get_tracer("t").start_span("s").end()
        start = time.monotonic()
        assert not telemetry.shutdown(timeout_seconds=0.3)
        assert time.monotonic() - start < 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_starts_with_an_empty_queue(
    gate: Gate, processor: CountingSpanProcessor
) -> None:
    emit(processor, BATCH)
    assert gate.entered.wait(10)
    emit(processor, QUEUE)
    child = os.fork()
    if child == 0:
        os._exit(0 if processor.waiting == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert processor.waiting == QUEUE
