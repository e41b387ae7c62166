"""OTLP over gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import grpc

from analytics.collect.decode import BadRequest, Signal, from_protobuf
from analytics.collect.receive import Full, receive
from analytics.errors import AnalyticsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from analytics.collect.intake import Intake

__all__ = ["GrpcReceiver"]

_THREADS: Final = 4
_GRACE_SECONDS: Final = 5.0


class GrpcReceiver:
    """A gRPC server for the three OTLP services."""

    def __init__(self, intake: Intake, host: str, port: int, max_bytes: int) -> None:
        """Bind the port; 0 takes a free one.

        Raises:
            AnalyticsError: The port is taken, or the host is not one of this machine.
        """
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, "retrospan-otlp-grpc"),
            options=[
                ("grpc.max_receive_message_length", max_bytes),
                # Two collectors on one port would each get half of the spans.
                ("grpc.so_reuseport", 0),
            ],
        )
        for signal in Signal:
            self._server.add_generic_rpc_handlers((_handler(intake, signal),))
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise AnalyticsError(
                f"cannot listen on {host}:{port} for OTLP/gRPC; is another collector running?"
            ) from error

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self) -> None:
        """Finish what is under way and stop."""
        self._server.stop(_GRACE_SECONDS).wait()


def _handler(intake: Intake, signal: Signal) -> grpc.GenericRpcHandler:
    # Requests are parsed in the method and not by gRPC, which would answer INTERNAL to bad ones
    # and print a traceback for each.
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        _export(intake, signal)
    )
    return grpc.method_handlers_generic_handler(signal.value.service, {"Export": method})


def _export(intake: Intake, signal: Signal) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def export(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return receive(intake, from_protobuf(signal, data)).SerializeToString()
        except BadRequest as error:
            intake.count(requests_bad=1)
            status, reason = grpc.StatusCode.INVALID_ARGUMENT, str(error)
        except Full as error:
            status, reason = grpc.StatusCode.UNAVAILABLE, str(error)
        context.abort(status, reason)

    return export
