"""OTLP over HTTP: `/v1/traces`, `/v1/metrics` and `/v1/logs`, protobuf or JSON, plain or gzip.

It answers no other origin's scripts: a page in a browser on this machine may not feed a warehouse.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
import uvicorn
from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from analytics.collect.decode import (
    BadRequest,
    Signal,
    TooLarge,
    from_json,
    from_protobuf,
    gunzipped,
)
from analytics.collect.receive import Full, receive
from analytics.errors import AnalyticsError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from analytics.collect.intake import Intake

__all__ = ["HttpReceiver"]

type _Scope = MutableMapping[str, Any]
type _Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type _Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_PATHS: Final = {f"/v1/{signal.name.lower()}": signal for signal in Signal}
_BODY_SECONDS: Final = 30.0
"""How long a sender may take to send one request."""
_CONNECTIONS: Final = 100
_STOP_SECONDS: Final = 5


class HttpReceiver:
    """An HTTP server on a thread of its own."""

    def __init__(self, intake: Intake, host: str, port: int, max_bytes: int) -> None:
        """Bind the port; 0 takes a free one.

        Raises:
            AnalyticsError: The port is taken, or the host is not one of this machine.
        """
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            _App(intake, max_bytes),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="retrospan-otlp-http", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way and stop."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # Senders may connect from now on; they are served as soon as the loop runs.
        bound.listen()
    except OSError as error:
        bound.close()
        raise AnalyticsError(
            f"cannot listen on {host}:{port} for OTLP/HTTP: {error.strerror}; "
            "is another collector running?"
        ) from error
    return bound


class _Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _App:
    """The ASGI application."""

    def __init__(self, intake: Intake, max_bytes: int) -> None:
        self._intake = intake
        self._max_bytes = max_bytes

    async def __call__(self, scope: _Scope, receive_: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET" and scope["path"] in ("/", "/healthz"):
            await _reply(send, HTTPStatus.OK, _JSON, orjson.dumps(asdict(self._intake.counters)))
            return
        content_type = _header(scope, b"content-type").split(";")[0].strip().lower() or _PROTOBUF
        try:
            response = await self._export(scope, receive_, content_type)
        except _Refusal as refusal:
            status, response = refusal.status, Status(message=str(refusal))
        else:
            status = HTTPStatus.OK
        is_json = content_type == _JSON
        body = (
            MessageToJson(response, indent=None).encode()
            if is_json
            else response.SerializeToString()
        )
        await _reply(send, status, _JSON if is_json else _PROTOBUF, body)

    async def _export(self, scope: _Scope, receive_: _Receive, content_type: str) -> Message:
        signal = _PATHS.get(scope["path"])
        if signal is None:
            raise _Refusal(HTTPStatus.NOT_FOUND, f"no such path; there are {', '.join(_PATHS)}")
        if scope["method"] != "POST":
            raise _Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "POST is the only method")
        if content_type not in (_PROTOBUF, _JSON):
            raise _Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type is {_PROTOBUF} or {_JSON}"
            )
        try:
            data = await self._body(scope, receive_)
            # Parsing keeps a thread busy; the loop goes on to serve the others.
            return await asyncio.to_thread(self._take, signal, content_type, data)
        except Full as error:
            raise _Refusal(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error
        except BadRequest as error:
            self._intake.count(requests_bad=1)
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                if isinstance(error, TooLarge)
                else HTTPStatus.BAD_REQUEST
            )
            raise _Refusal(status, str(error)) from error

    def _take(self, signal: Signal, content_type: str, data: bytes) -> Message:
        parse = from_json if content_type == _JSON else from_protobuf
        return receive(self._intake, parse(signal, data))

    async def _body(self, scope: _Scope, receive_: _Receive) -> bytes:
        encoding = _header(scope, b"content-encoding").strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise _Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is gzip or identity"
            )
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                data = await self._read(receive_)
        except TimeoutError as error:
            raise _Refusal(HTTPStatus.REQUEST_TIMEOUT, "the request came too slowly") from error
        return gunzipped(data, self._max_bytes) if encoding == "gzip" else data

    async def _read(self, receive_: _Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive_()
            if message["type"] == "http.disconnect":
                raise BadRequest("the sender went away")
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise TooLarge(f"longer than {self._max_bytes} bytes")
            if not message.get("more_body"):
                return bytes(body)


def _header(scope: _Scope, name: bytes) -> str:
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if values else ""


async def _reply(send: _Send, status: HTTPStatus, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
