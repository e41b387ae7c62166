"""Collectors that take what they are sent, refuse it, or never answer."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as trace_grpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Mood(StrEnum):
    TAKES = "takes"
    REFUSES = "refuses"
    HANGS = "hangs"


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Inbox:
    """What a collector was sent."""

    def __init__(self) -> None:
        self.traces: list[trace_pb2.ExportTraceServiceRequest] = []
        self.metrics: list[metrics_pb2.ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self._news = threading.Condition()

    def put(self, request: Any, headers: dict[str, str]) -> None:
        with self._news:
            is_trace = isinstance(request, trace_pb2.ExportTraceServiceRequest)
            (self.traces if is_trace else self.metrics).append(request)
            self.headers.append(headers)
            self._news.notify_all()

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metric(self, name: str) -> Metric | None:
        """The newest export of a metric."""
        for request in reversed(self.metrics):
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name == name:
                            return metric
        return None

    def await_metric(self, name: str, seconds: float = 20) -> Metric:
        with self._news:
            assert self._news.wait_for(lambda: self.metric(name) is not None, seconds), name
        metric = self.metric(name)
        assert metric is not None
        return metric

    def wire(self) -> bytes:
        """Every byte that was sent."""
        return b"".join(request.SerializeToString() for request in [*self.traces, *self.metrics])


class GrpcServer(trace_grpc.TraceServiceServicer, metrics_grpc.MetricsServiceServicer):
    """OTLP over gRPC on loopback."""

    def __init__(self, mood: Mood = Mood.TAKES) -> None:
        self.mood = mood
        self.inbox = Inbox()
        self._end = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(4))
        serve: Any = trace_grpc.add_TraceServiceServicer_to_server
        serve(self, self._server)
        serve = metrics_grpc.add_MetricsServiceServicer_to_server
        serve(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: Any, context: Any) -> Any:
        if self.mood is Mood.REFUSES:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")
        if self.mood is Mood.HANGS:
            self._end.wait()
        self.inbox.put(request, dict(context.invocation_metadata()))
        if isinstance(request, trace_pb2.ExportTraceServiceRequest):
            return trace_pb2.ExportTraceServiceResponse()
        return metrics_pb2.ExportMetricsServiceResponse()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._server.stop(None).wait()


class HttpServer:
    """OTLP over HTTP on loopback."""

    def __init__(self, mood: Mood = Mood.TAKES) -> None:
        inbox = self.inbox = Inbox()
        end = self._end = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                if mood is Mood.HANGS:
                    end.wait()
                request: Any = (
                    trace_pb2.ExportTraceServiceRequest()
                    if self.path == "/v1/traces"
                    else metrics_pb2.ExportMetricsServiceRequest()
                )
                request.ParseFromString(data)
                if mood is Mood.TAKES:
                    inbox.put(request, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(403 if mood is Mood.REFUSES else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that gave up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
