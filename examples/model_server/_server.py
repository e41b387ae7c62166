"""The HTTP side: one endpoint on loopback, served from a thread of its own.

A thread, because the server must answer while the caller's event loop is busy, and must be
usable from code that has no loop. The context is entered when the port accepts requests and left
when the thread is gone; nothing outlives it.
"""

import asyncio
import json
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from examples.model_server._answer import Reply, chunks, make_reply, whole
from examples.model_server._request import (
    ChatRequest,
    Matched,
    RequestError,
    find_rule,
    parse_request,
)
from examples.model_server._script import Fault, Script, load_script

STOP_SECONDS = 5.0
"""How long `stop` waits for the thread; requests in flight are cut off well before."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the server saw it."""

    conversation: str
    model: str
    rule: str | None
    """Name of the rule that answered; None when no rule matched."""
    outcome: str
    """`answer`, `no_rule`, or the kind of the fault that struck."""
    stream: bool


class ModelServer:
    """An OpenAI-compatible chat endpoint that answers from a script.

    Use it as a context manager, plain or async. One instance serves one context.
    """

    def __init__(self, script: Path | Script) -> None:
        """Load the script; nothing listens yet.

        Raises:
            ScriptError: The file is no valid script.
        """
        self._script_name = script.name if isinstance(script, Path) else "script"
        self._script = load_script(script) if isinstance(script, Path) else script
        self._seen: Counter[tuple[int, str]] = Counter()
        self._calls: list[Call] = []
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self._app(),
                log_config=None,
                access_log=False,
                lifespan="off",
                http="h11",
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def base_url(self) -> str:
        """Address for the `base_url` of an OpenAI client.

        Raises:
            RuntimeError: The server is not running.
        """
        if self._socket is None:
            raise RuntimeError("the model server is not running; enter its context first")
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request so far, in order of arrival."""
        return tuple(self._calls)

    def start(self) -> None:
        """Listen on a free loopback port; returns when requests are served.

        Raises:
            RuntimeError: It was started before, or its thread died while starting.
        """
        if self._thread is not None:
            raise RuntimeError("a model server runs once; make a new one")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(
            target=self._serve, args=(self._socket,), name="model-server", daemon=True
        )
        self._thread.start()
        self._uvicorn.settled.wait()
        if not self._uvicorn.started:
            self.stop()
            raise RuntimeError("the model server stopped while starting")

    def stop(self) -> None:
        """Stop serving and wait for the thread; harmless when it is not running."""
        self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _serve(self, listener: socket.socket) -> None:
        try:
            self._uvicorn.run(sockets=[listener])
        finally:
            self._uvicorn.settled.set()

    def _app(self) -> Starlette:
        route = Route("/v1/chat/completions", self._chat, methods=["POST"])
        return Starlette(routes=[route])

    async def _chat(self, http: Request) -> Response:
        try:
            request = parse_request(await http.body())
        except RequestError as error:
            return _error(400, str(error), "invalid_request_error", "invalid_request")
        matched = find_rule(self._script, request)
        if matched is None:
            self._record(request, None, "no_rule")
            return self._no_rule(request)
        nth = self._count(matched, request)
        fault = _fault_for(matched, nth)
        self._record(request, matched, fault.kind if fault else "answer")
        return await _respond(request, matched, nth, fault)

    def _count(self, matched: Matched, request: ChatRequest) -> int:
        key = (matched.index, request.conversation)
        self._seen[key] += 1
        return self._seen[key]

    def _record(self, request: ChatRequest, matched: Matched | None, outcome: str) -> None:
        name = matched.rule.name if matched else None
        call = Call(request.conversation, request.model, name, outcome, request.stream)
        self._calls.append(call)

    def _no_rule(self, request: ChatRequest) -> Response:
        last = " ".join(request.messages[-1].split())[:120]
        message = (
            f"{self._script_name}: no rule matches model {request.model!r}, "
            f"tools {list(request.tools)}, last message {last!r}; add a rule for it"
        )
        return _error(400, message, "invalid_request_error", "no_matching_rule")


class _Uvicorn(uvicorn.Server):
    """Tells a waiting thread when the server accepts requests, or never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.settled.set()


def _fault_for(matched: Matched, nth: int) -> Fault | None:
    fault = matched.rule.fault
    if fault is None or (fault.first is not None and nth > fault.first):
        return None
    return fault


async def _respond(
    request: ChatRequest, matched: Matched, nth: int, fault: Fault | None
) -> Response:
    if fault is not None and fault.kind == "rate_limit":
        return _rate_limited(request.model, fault.seconds)
    if fault is not None and fault.kind == "server_error":
        return _error(
            500, "The server had an error while processing the request", "server_error", None
        )
    if fault is not None and fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
    answer = matched.rule.answer
    if answer is None:
        raise AssertionError("a rule without an answer has a fault that replaces it")
    reply = make_reply(request, answer, matched.groups, nth=nth, created=int(time.time()))
    return _success(request, reply, malformed=fault is not None and fault.kind == "malformed")


def _success(request: ChatRequest, reply: Reply, *, malformed: bool) -> Response:
    headers = {"x-request-id": reply.reply_id.replace("chatcmpl-", "req_")}
    if request.stream:
        events = _events(reply, include_usage=request.include_usage, malformed=malformed)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    body = json.dumps(whole(reply))
    if malformed:
        body = body[: len(body) // 2]
    return Response(body, media_type="application/json", headers=headers)


async def _events(reply: Reply, *, include_usage: bool, malformed: bool) -> AsyncIterator[str]:
    for nth, chunk in enumerate(chunks(reply, include_usage=include_usage)):
        body = json.dumps(chunk)
        if malformed and nth == 1:
            yield f"data: {body[: len(body) // 2]}\n\n"
            return
        yield f"data: {body}\n\n"
    yield "data: [DONE]\n\n"


def _rate_limited(model: str, seconds: float) -> Response:
    message = f"Rate limit reached for {model}. Please try again in {seconds:g}s."
    response = _error(429, message, "requests", "rate_limit_exceeded")
    response.headers["retry-after"] = str(math.ceil(seconds))
    response.headers["retry-after-ms"] = str(math.ceil(seconds * 1000))
    return response


def _error(status: int, message: str, kind: str, code: str | None) -> Response:
    error: dict[str, Any] = {"message": message, "type": kind, "param": None, "code": code}
    # json.dumps escapes what a caller may have sent and UTF-8 cannot carry (lone surrogates).
    return Response(json.dumps({"error": error}), status_code=status, media_type="application/json")
