"""Real workflows with collectors that are down, slow or refuse, and with secrets to leak."""

import os
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import duckdb
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from temporalio.client import Client
from temporalio.worker import Worker

from analytics.collect import Collector
from tests.tracer.leaky_workflows import QUEUE, Charge, Chatter, Shop, nod
from tests.tracer.otlp_servers import GrpcServer, HttpServer, Mood, free_port
from tracer import Telemetry, TracerPlugin, configure_otlp
from tracer.names import Attribute

pytestmark = pytest.mark.slow

KEY = "AK" + "IA" + "ABCDEFGHIJ234567"
QUEUE_SIZE = 64


class Produced(SpanProcessor):
    """Counts what is handed to the exporters' queues."""

    def __init__(self) -> None:
        self.count = 0
        self.most_waiting = 0
        self.telemetry: Telemetry | None = None

    def on_end(self, span: ReadableSpan) -> None:
        self.count += 1
        assert self.telemetry is not None
        waiting = sum(processor.waiting for processor in self.telemetry.processors)
        self.most_waiting = max(self.most_waiting, waiting)


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    return monkeypatch


@asynccontextmanager
async def working(address: str, telemetry: Telemetry | None) -> AsyncIterator[Client]:
    plugins = []
    shop = None
    if telemetry is not None:
        plugins = [
            TracerPlugin(
                tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
            )
        ]
        shop = Shop(telemetry.tracer_provider)
    client = await Client.connect(address, plugins=plugins)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Charge, Chatter],
        activities=[nod, *(shop.activities if shop else [])],
    ):
        yield client
    for plugin in plugins:
        assert plugin.flush()
        assert plugin.guard.errors == []


async def latencies(address: str, telemetry: Telemetry | None) -> Sequence[float]:
    """Seconds of runs that produce far more spans than the queue holds."""
    seconds = []
    async with working(address, telemetry) as client:
        for _ in range(9):
            start = time.monotonic()
            steps = await client.execute_workflow(
                Chatter.run, 30, id=f"chatter-{uuid.uuid4()}", task_queue=QUEUE
            )
            seconds.append(time.monotonic() - start)
            assert steps == 30
    return seconds


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("trouble", ["down", Mood.REFUSES, Mood.HANGS])
async def test_a_collector_in_trouble_changes_no_workflow(
    temporal_address: str, environ: pytest.MonkeyPatch, trouble: str, protocol: str
) -> None:
    environ.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(QUEUE_SIZE))
    environ.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    environ.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    environ.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    environ.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    environ.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    untraced = statistics.median(await latencies(temporal_address, None))
    with ExitStack() as stack:
        address = f"127.0.0.1:{free_port()}"
        if trouble != "down":
            made = GrpcServer if protocol == "grpc" else HttpServer
            server: GrpcServer | HttpServer = made(Mood(trouble))
            address = server.address
            stack.enter_context(server)
        telemetry = configure_otlp("orders", endpoint=address)
        produced = Produced()
        produced.telemetry = telemetry
        telemetry.tracer_provider.add_span_processor(produced)
        troubled = statistics.median(await latencies(temporal_address, telemetry))
        telemetry.shutdown(timeout_seconds=20)
    # A failing export takes up to a second here; a run takes a tenth of that.
    assert troubled < 2 * untraced + 0.3, (untraced, troubled)
    assert produced.count > 3 * QUEUE_SIZE
    assert produced.most_waiting <= QUEUE_SIZE
    assert sum(telemetry.lost_spans.values()) == produced.count, telemetry.lost_spans


async def test_no_secret_reaches_the_wire(temporal_address: str) -> None:
    with GrpcServer() as server:
        telemetry = configure_otlp("orders", endpoint=server.address)
        async with working(temporal_address, telemetry) as client:
            result = await client.execute_workflow(
                Charge.run, KEY, id=f"charge-{uuid.uuid4()}", task_queue=QUEUE
            )
        assert telemetry.shutdown()
        assert result == "charged by attempt 2"
        assert KEY.encode() not in server.inbox.wire()
        failed = [span for span in server.inbox.spans() if span.status.message]
        assert {span.name for span in failed} == {"POST", "attempt charge"}
        for span in failed:
            said = {a.key: a.value for a in span.attributes}
            assert said[Attribute.REDACTED_FIELDS.value].int_value >= 2
            assert "[redacted:" in span.status.message


async def test_no_secret_reaches_the_warehouse(temporal_address: str, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    with Collector(warehouse) as collector:
        telemetry = configure_otlp("orders", endpoint=collector.grpc_endpoint)
        async with working(temporal_address, telemetry) as client:
            await client.execute_workflow(
                Charge.run, KEY, id=f"charge-{uuid.uuid4()}", task_queue=QUEUE
            )
        assert telemetry.shutdown()
        assert collector.flush()
    assert rows_with(warehouse, "attempt charge")
    assert rows_with(warehouse, KEY) == 0


def rows_with(warehouse: Path, text: str) -> int:
    """Rows of all tables that have the text in any column."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        tables = connection.sql("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        counts = [
            connection.execute(
                f'SELECT count(*) FROM "{schema}"."{table}" AS r'
                " WHERE contains(CAST(r AS VARCHAR), ?)",
                [text],
            ).fetchall()
            for schema, table in tables
        ]
    return sum(count for [(count,)] in counts)


async def test_no_span_is_lost_with_a_healthy_collector(temporal_address: str) -> None:
    with GrpcServer() as server:
        telemetry = configure_otlp("orders", endpoint=server.address)
        produced = Produced()
        produced.telemetry = telemetry
        telemetry.tracer_provider.add_span_processor(produced)
        await latencies(temporal_address, telemetry)
        assert telemetry.shutdown()
        assert sum(telemetry.lost_spans.values()) == 0
        assert len(server.inbox.spans()) == produced.count
