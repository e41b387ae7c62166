"""User codecs: what they decode is shown, and what they break is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from replayer.history import CodecError, CodecServer, apply_codec, decoded_payloads

SECRET = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"7")


class Reversing(PayloadCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        raise NotImplementedError

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"encoding": b"json/plain"}, data=p.data) for p in payloads]


async def test_codec_of_the_sdk_and_async_functions() -> None:
    for codec in (Reversing(), Reversing().decode):
        (decoded,) = await decoded_payloads([SECRET], codec)
        assert (decoded.json, decoded.note) == (7, None)
    assert SECRET.metadata["encoding"] == b"binary/encrypted"


async def test_without_a_codec_payloads_are_shown_as_recorded() -> None:
    (decoded,) = await decoded_payloads([SECRET])
    assert decoded.note == "encrypted"
    assert await decoded_payloads([], Reversing()) == []


async def test_failing_codec_is_named_and_the_payload_shown_as_recorded() -> None:
    async def fails(_payloads: Sequence[Payload]) -> list[Payload]:
        raise KeyError("no\nkey")

    async def loses(_payloads: Sequence[Payload]) -> list[Payload]:
        return []

    (decoded,) = await decoded_payloads([SECRET], fails)
    assert decoded.encoding == "binary/encrypted"
    assert decoded.note == "the codec failed: KeyError: 'no\\nkey'"
    with pytest.raises(CodecError, match="returned 0 payloads, expected 1"):
        await apply_codec(loses, [SECRET])


Answer = Callable[[BaseHTTPRequestHandler, Any], None]


@contextmanager
def codec_server(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer(self, json.loads(body))

        def log_message(self, *_arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def respond(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


async def test_codec_server() -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def answer(handler: BaseHTTPRequestHandler, body: Any) -> None:
        headers = handler.headers
        asked.append((handler.path, headers["X-Namespace"], headers["Authorization"]))
        payloads = ParseDict(body, Payloads())
        for payload in payloads.payloads:
            payload.metadata["encoding"] = b"json/plain"
        respond(handler, json.dumps(MessageToDict(payloads)).encode())

    with codec_server(answer) as url:
        server = CodecServer(f"{url}/codec/", namespace="prod", headers={"Authorization": "B x"})
        decoded = await decoded_payloads([SECRET, SECRET], server)

    assert [d.json for d in decoded] == [7, 7]
    assert asked == [("/codec/decode", "prod", "B x")]


def redirect(handler: BaseHTTPRequestHandler, _body: Any) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


BROKEN: dict[str, tuple[Answer, str]] = {
    "refuses": (lambda h, _: respond(h, b"no", 403), "answered 403, expected 200"),
    "redirects": (redirect, "answered 302, expected 200"),
    "nonsense": (lambda h, _: respond(h, b"<html>"), "did not answer payloads"),
    "other JSON": (lambda h, _: respond(h, b'{"payloads": 7}'), "did not answer payloads"),
    "not an object": (lambda h, _: respond(h, b"[1]"), "did not answer payloads"),
    "too deep": (lambda h, _: respond(h, b"[" * 49_000 + b"]" * 49_000), "did not answer payloads"),
    "too few": (lambda h, _: respond(h, b"{}"), "returned 0 payloads, expected 1"),
    "too much": (lambda h, _: respond(h, b" " * 200_000), "answered more than 100000 bytes"),
    "hangs up": (lambda h, _: h.connection.close(), "cannot be asked"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_codec_servers(name: str) -> None:
    answer, expected = BROKEN[name]
    with codec_server(answer) as url:
        (decoded,) = await decoded_payloads([SECRET], CodecServer(url, max_bytes=100_000))

    assert decoded.encoding == "binary/encrypted"
    assert decoded.note is not None
    assert decoded.note.isprintable()
    assert expected in decoded.note


def assert_released(event: threading.Event) -> None:
    assert event.wait(30)


async def test_silent_codec_server_times_out() -> None:
    released = threading.Event()
    with codec_server(lambda _handler, _body: assert_released(released)) as url:
        (decoded,) = await decoded_payloads([SECRET], CodecServer(url, timeout=0.2))
        released.set()

    assert decoded.note is not None
    assert "cannot be asked: timed out" in decoded.note


async def test_server_that_is_not_there() -> None:
    with codec_server(redirect) as url:
        pass
    with pytest.raises(CodecError, match=r"the codec server at .* cannot be asked"):
        await CodecServer(url).decode([SECRET])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host", "localhost:8081", "http://"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(CodecError, match="is no codec server"):
        CodecServer(url)
