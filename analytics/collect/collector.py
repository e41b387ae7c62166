"""The collector as a whole: both receivers in front of one writer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from analytics.collect.grpc_receiver import GrpcReceiver
from analytics.collect.http_receiver import HttpReceiver
from analytics.collect.intake import Counters, Intake, IntakeLimits

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Collector"]

_MAX_REQUEST_BYTES: Final = 16 << 20


class Collector:
    """Receives OTLP and writes to a warehouse from `start` to `stop`. A context manager.

    It must not share a process with a worker whose workflows run in Temporal's sandbox. DuckDB asks
    for `sys.modules` as a dict when it is given Arrow data; while workflow code runs, the sandbox
    has a stand-in there that is none. Storing then fails with `RuntimeError: std::bad_cast`, which
    loses the request and is counted, or the process aborts. Run it as a process of its own:
    `retrospan collect`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        http_port: int = 0,
        limits: IntakeLimits | None = None,
        max_request_bytes: int = _MAX_REQUEST_BYTES,
        wait_seconds: float = 10.0,
    ) -> None:
        """Describe a collector; nothing is opened yet.

        Args:
            path: The warehouse.
            host: Address to listen on. Anybody who can reach it can write.
            grpc_port: For OTLP/gRPC; 0 takes a free one. Senders expect 4317.
            http_port: For OTLP/HTTP; 0 takes a free one. Senders expect 4318.
            limits: Of the queue.
            max_request_bytes: Of one request, decompressed.
            wait_seconds: How long to wait for another process to let go of the warehouse.
        """
        self._host = host
        self._ports = grpc_port, http_port
        self._max_bytes = max_request_bytes
        self._wait_seconds = wait_seconds
        self._intake = Intake(Path(path).absolute(), limits or IntakeLimits())
        self._grpc: GrpcReceiver | None = None
        self._http: HttpReceiver | None = None

    def start(self) -> Self:
        """Open the warehouse and begin to listen.

        Raises:
            WarehouseBusy: Another process is writing to the warehouse.
            AnalyticsError: The warehouse cannot be used, or a port is taken.
        """
        self._intake.start(self._wait_seconds)
        try:
            grpc_port, http_port = self._ports
            self._grpc = GrpcReceiver(self._intake, self._host, grpc_port, self._max_bytes)
            self._http = HttpReceiver(self._intake, self._host, http_port, self._max_bytes)
        except BaseException:
            self._intake.stop()
            raise
        self._grpc.start()
        self._http.start()
        return self

    def stop(self) -> None:
        """Stop to listen, store everything that was received, and close. May be called again."""
        receivers = self._grpc, self._http
        self._grpc = self._http = None
        for receiver in receivers:
            if receiver is not None:
                receiver.stop()
        self._intake.stop()

    def flush(self, seconds: float = 30.0) -> bool:
        """Wait until what was received so far is stored; `False` if that takes too long."""
        return self._intake.flush(seconds)

    @property
    def grpc_endpoint(self) -> str:
        """`host:port` for OTLP/gRPC exporters, without TLS. Only while it runs."""
        assert self._grpc is not None, "the collector is not running"
        return f"{self._shown_host}:{self._grpc.port}"

    @property
    def http_endpoint(self) -> str:
        """`http://host:port` for OTLP/HTTP exporters; they append `/v1/traces`."""
        assert self._http is not None, "the collector is not running"
        return f"http://{self._shown_host}:{self._http.port}"

    @property
    def _shown_host(self) -> str:
        return f"[{self._host}]" if ":" in self._host else self._host

    @property
    def counters(self) -> Counters:
        """What came in and what became of it. Live: they go on counting."""
        return self._intake.counters

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
