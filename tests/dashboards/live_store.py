"""A store full of what real workers emitted, and the warehouse with their histories."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from temporalio.api.history.v1 import History

from analytics.query import run_query
from tests.dashboards import fleet_of_one
from tests.dashboards.stores import instant, victoria_metrics
from tests.event_builder import EventBuilder

EARLIER_SECONDS = 7 * 3600
"""How long ago the store believes that decisions of the same places were taken before."""


@dataclass
class LiveStore:
    """Metrics in a store, histories in a warehouse, spans here."""

    client: httpx.Client
    warehouse: Path
    spans: list[Span] = field(default_factory=list, repr=False)

    def ask(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """What a query finds now."""
        return instant(self.client, promql)

    def over_time(self, promql: str, seconds: int = 600) -> int:
        """How many points a query has over the last minutes."""
        # Beyond the present: a point of the grid has to come after the newest samples.
        end = time.time() + 10
        asked = {"query": promql, "start": end - seconds, "end": end, "step": "5s", "nocache": "1"}
        body = self.client.post("/api/v1/query_range", data=asked).json()
        assert body["status"] == "success", body
        points = (value for series in body["data"]["result"] for _, value in series["values"])
        return sum(value != "NaN" for value in points)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """What the warehouse says, made from histories."""
        return run_query(self.warehouse, query).rows


@contextmanager
def live_store(folder: Path) -> Iterator[LiveStore]:
    """The demo and a synthetic fleet, in a store; the demo's warehouse beside it."""
    with victoria_metrics(folder) as client:
        store = LiveStore(client, folder / "demo" / "warehouse.duckdb")
        metrics = f"{client.base_url}/opentelemetry/v1/metrics"
        with _collector(store, metrics) as endpoint:
            subprocess.run(
                [
                    *(sys.executable, "-m", "tui", "demo"),
                    *("--dir", str(folder / "demo"), "--otlp", endpoint),
                ],
                check=True,
                capture_output=True,
                timeout=280,
            )
        _import_waiting(store.warehouse, folder / "approval-1.json")
        fleet_of_one.emit(metrics)
        flush(client)
        _remember_earlier(client)
        flush(client)
        yield store


def _import_waiting(warehouse: Path, file: Path) -> None:
    """One run more in the warehouse: it waits for an approval, and no worker told of it."""
    story = EventBuilder()
    story.start("Approval")
    story.task(1.0)
    story.timer("1", 1.0, "approval: first line")
    file.write_text(MessageToJson(History(events=story.events)))
    # A process of its own writes, as people do it: workers may still run in this one.
    subprocess.run(
        [sys.executable, "-m", "tui", "import", str(file), "--warehouse", str(warehouse)],
        check=True,
        capture_output=True,
        timeout=60,
    )


def flush(client: httpx.Client) -> None:
    """Make what was written visible."""
    assert client.get("/internal/force_flush").is_success


@contextmanager
def _collector(store: LiveStore, metrics: str) -> Iterator[str]:
    """OTLP over HTTP: metrics go on to the store, spans stay."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            status = 200
            if self.path.endswith("/v1/traces"):
                request = ExportTraceServiceRequest.FromString(data)
                store.spans.extend(
                    span
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                )
            else:
                passed = {
                    name: self.headers[name]
                    for name in ("content-type", "content-encoding")
                    if name in self.headers
                }
                status = httpx.post(metrics, content=data, headers=passed).status_code
            self.send_response(200 if status < 300 else status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/otlp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _remember_earlier(client: httpx.Client) -> None:
    """Decisions of a time before, so that drift has something to compare with."""
    found = client.get(
        "/api/v1/export",
        params={"match[]": 'retrospan_branches_total{temporal_namespace="default"}'},
    )
    lines = found.text.splitlines()
    assert lines
    assert client.post("/api/v1/import", content="\n".join(map(_shifted, lines))).is_success


def _shifted(line: str) -> str:
    series = json.loads(line)
    series["metric"]["temporal_namespace"] = "earlier"
    series["timestamps"] = [at - EARLIER_SECONDS * 1000 for at in series["timestamps"]]
    # A series that grew from nothing: what came first was counted in that time too.
    series["values"] = [0, *series["values"]]
    series["timestamps"] = [series["timestamps"][0] - 2000, *series["timestamps"]]
    return json.dumps(series)
