"""A local stand-in for the systems of a port: customs, dock and carrier, over HTTP on loopback.

Customs limits calls: the first calls for a shipment get `429` with `Retry-After`. The carrier may
refuse a shipment with `409`. Customs does not cancel a clearance while its shipment holds a dock
slot. What answers whom is set up beforehand, and state is kept per `Idempotency-Key`, so that a
retried call changes nothing and many executions can share one server.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY_HEADER = "Idempotency-Key"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Rules:
    """How the stand-in treats shipments, by shipment id."""

    busy: Mapping[str, int] = field(default_factory=dict)
    """Calls to customs that are answered with 429 before one is answered."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Shipments that the carrier does not take, and its reason."""
    retry_after_seconds: int = 1
    """What a 429 asks the caller to wait."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the stand-in answered."""

    method: str
    path: str
    """Without the id of what is deleted: `/customs`, `/dock` or `/carrier`."""
    key: str
    """Its idempotency key."""
    status: int
    """HTTP status of the answer."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    body: Mapping[str, str]
    retry_after_seconds: int | None = None


class _Port:
    """The state behind the endpoints; one lock, because each request has its own thread."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._customs_calls: Counter[str] = Counter()
        self.calls: list[Call] = []
        self.held: dict[str, set[str]] = {"/customs": set(), "/dock": set(), "/carrier": set()}

    def answer(self, method: str, path: str, key: str, shipment_id: str) -> _Answer:
        with self._lock:
            answer = self._decide(method, path, key, shipment_id)
            self.calls.append(Call(method, path, key, answer.status))
            return answer

    def _decide(self, method: str, path: str, key: str, shipment_id: str) -> _Answer:
        if path not in self.held:
            return _Answer(HTTPStatus.NOT_FOUND, {"error": f"no such system: {path}"})
        if method == "DELETE":
            return self._give_back(path, key)
        refusal = self._refusal(path, key, shipment_id)
        if refusal is not None:
            return refusal
        self.held[path].add(key)
        return _Answer(HTTPStatus.CREATED, {"id": _number(path, key)})

    def _refusal(self, path: str, key: str, shipment_id: str) -> _Answer | None:
        if path == "/customs":
            self._customs_calls[key] += 1
            if self._customs_calls[key] <= self._rules.busy.get(shipment_id, 0):
                wait = self._rules.retry_after_seconds
                return _Answer(HTTPStatus.TOO_MANY_REQUESTS, {"error": "too many calls"}, wait)
        if path == "/carrier" and shipment_id in self._rules.refused:
            return _Answer(HTTPStatus.CONFLICT, {"error": self._rules.refused[shipment_id]})
        return None

    def _give_back(self, path: str, key: str) -> _Answer:
        if path == "/customs" and key in self.held["/dock"]:
            return _Answer(HTTPStatus.CONFLICT, {"error": "a dock slot is still held"})
        self.held[path].discard(key)
        return _Answer(HTTPStatus.OK, {})


def _number(path: str, key: str) -> str:
    prefix = {"/customs": "CLR", "/dock": "SLOT", "/carrier": "BKG"}[path]
    return f"{prefix}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


class CustomsServer:
    """The stand-in, served by a thread inside the `with` block."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._port = _Port(rules or Rules())
        self._http = ThreadingHTTPServer((_LOOPBACK, 0), _handler(self._port))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://{_LOOPBACK}:{self._http.server_port}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request so far, oldest first."""
        return tuple(self._port.calls)

    @property
    def open_clearances(self) -> frozenset[str]:
        """Keys of the clearances that were given and not cancelled."""
        return frozenset(self._port.held["/customs"])

    @property
    def held_slots(self) -> frozenset[str]:
        """Keys of the dock slots that were reserved and not released."""
        return frozenset(self._port.held["/dock"])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _handler(port: _Port) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._respond(str(json.loads(self.rfile.read(length))["shipment_id"]))

        def do_DELETE(self) -> None:
            self._respond("")

        def _respond(self, shipment_id: str) -> None:
            key = self.headers.get(KEY_HEADER, "")
            answer = port.answer(self.command, self.path, key, shipment_id)
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            if answer.retry_after_seconds is not None:
                self.send_header("Retry-After", str(answer.retry_after_seconds))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing: `calls` has it all."""

    return Handler
