"""Temporal's own metrics beside ours: seconds, buckets that reach days, and Python's logging."""

import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.runtime import OpenTelemetryConfig
from temporalio.worker import Worker

from tests.tracer.otlp_servers import GrpcServer, HttpServer, free_port
from tests.tracer.traced_workflows import ACTIVITIES, QUEUE, WORKFLOWS, Child
from tracer._buckets import DURATION_BUCKETS
from tracer._temporal_runtime import temporal_runtime

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SOON = timedelta(milliseconds=200)


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_core_metrics_are_seconds_that_reach_days(
    temporal_address: str, environ: pytest.MonkeyPatch, protocol: str
) -> None:
    environ.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    environ.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme")
    environ.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=a")
    with GrpcServer() if protocol == "grpc" else HttpServer() as server:
        runtime = temporal_runtime("orders", endpoint=server.address, interval=SOON)
        client = await Client.connect(temporal_address, runtime=runtime)
        with ThreadPoolExecutor(2) as threads:
            async with Worker(
                client,
                task_queue=QUEUE,
                workflows=WORKFLOWS,
                activities=ACTIVITIES,
                activity_executor=threads,
            ):
                await client.execute_workflow(
                    Child.run, "x", id=f"core-{uuid.uuid4()}", task_queue=QUEUE
                )
                metric = server.inbox.await_metric("temporal_activity_execution_latency")
                server.inbox.await_metric("temporal_workflow_endtoend_latency")
        assert metric.unit == "s"
        [point] = metric.histogram.data_points
        assert point.count == 1
        assert point.sum < 10
        if "histogram_bucket_overrides" in OpenTelemetryConfig.__dataclass_fields__:
            assert tuple(point.explicit_bounds) == DURATION_BUCKETS
        resource = server.inbox.metrics[-1].resource_metrics[0].resource
        said = {a.key: a.value.string_value for a in resource.attributes}
        assert (said["service.name"], said["team"]) == ("orders", "a")
        assert server.inbox.headers[-1]["x-tenant"] == "acme"


async def test_a_collector_that_is_down_is_no_concern_of_the_client(temporal_address: str) -> None:
    runtime = temporal_runtime("orders", endpoint=f"127.0.0.1:{free_port()}", interval=SOON)
    client = await Client.connect(temporal_address, runtime=runtime)
    assert await client.service_client.check_health()


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")]
)
async def test_metrics_can_be_turned_off(
    temporal_address: str, environ: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environ.setenv(variable, value)
    # No address at all: if it were used, the core would refuse it.
    runtime = temporal_runtime("orders", endpoint="http://")
    client = await Client.connect(temporal_address, runtime=runtime)
    assert await client.service_client.check_health()


def test_an_endpoint_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?i)url|host|endpoint"):
        temporal_runtime("orders", endpoint="http://")


_EXITS = """
import time
from datetime import timedelta
from tracer._temporal_runtime import temporal_runtime

runtime = temporal_runtime("orders", endpoint="127.0.0.1:{port}", interval=timedelta(seconds=0.1))
counter = runtime.metric_meter.create_counter("held")
counter.add(1)
time.sleep({seconds})
print("the end", flush=True)
"""


@pytest.mark.parametrize("seconds", [0.4, 0.5, 0.6])
def test_a_process_ends_though_the_collector_is_down(seconds: float) -> None:
    code = _EXITS.format(port=free_port(), seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "the end\n", "the core's log belongs on no stdout"


_LOGS = """
import asyncio, logging, sys, threading, uuid
from temporalio.client import Client
from temporalio.worker import Worker
from tests.tracer.leaky_workflows import Broken
from tracer._temporal_runtime import CORE_LOGGER, temporal_runtime

class Heard(logging.Handler):
    said = threading.Event()
    def emit(self, record):
        if "Failing workflow task" in record.getMessage():
            print("heard", record.levelname, file=sys.stderr, flush=True)
            self.said.set()

async def main():
    logging.getLogger(CORE_LOGGER).addHandler(Heard())
    client = await Client.connect(sys.argv[1], runtime=temporal_runtime("orders"))
    async with Worker(client, task_queue="broken", workflows=[Broken]):
        name = f"broken-{uuid.uuid4()}"
        handle = await client.start_workflow(Broken.run, id=name, task_queue="broken")
        await asyncio.to_thread(Heard.said.wait, 60)
        await handle.terminate()

asyncio.run(main())
"""


def test_the_core_s_log_goes_to_python(temporal_address: str, environ: pytest.MonkeyPatch) -> None:
    # In a process of its own: all runtimes of a process share one log, and the first one's is kept.
    environ.setenv("OTEL_METRICS_EXPORTER", "none")
    done = subprocess.run(
        [sys.executable, "-c", _LOGS, temporal_address],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert "heard WARNING" in done.stderr, done.stderr
    assert "Failing workflow task" not in done.stdout
