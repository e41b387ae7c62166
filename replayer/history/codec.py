"""User codecs, for showing payloads that a worker encrypted or compressed.

A codec is the user's code or a server of theirs: it may fail, hang, answer nonsense or too much.
Each of those ends in a `CodecError`, and `decoded_payloads` then shows the payload as it was
recorded, with the reason. A codec server is asked only when its URL was given, and neither
redirects nor proxies are followed: payloads must not travel to a host that nobody named.
"""

from __future__ import annotations

import asyncio
import copy
import http.client
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from replayer.history.errors import one_line
from replayer.history.limits import MAX_PAYLOAD_BYTES
from replayer.history.payloads import DecodedPayload, decode, iter_payloads

if TYPE_CHECKING:
    from temporalio.converter import PayloadCodec

    from replayer.history.model import RunHistory

__all__ = [
    "Codec",
    "CodecError",
    "CodecServer",
    "apply_codec",
    "decoded_history",
    "decoded_payloads",
]

type DecodeFunction = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
type Codec = PayloadCodec | CodecServer | DecodeFunction


_BATCH = 100
"""Payloads that a codec is given at once: codec servers limit the size of a request."""


class CodecError(Exception):
    """A codec that did not decode; one line."""


async def apply_codec(codec: Codec, payloads: Sequence[Payload]) -> list[Payload]:
    """Decode payloads with a user's codec.

    Args:
        codec: The SDK's `PayloadCodec`, a `CodecServer`, or an async function of the same kind.
        payloads: As recorded. They are not changed.

    Raises:
        CodecError: The codec failed, or did not return one payload for each.
    """
    run = codec if callable(codec) else codec.decode
    try:
        decoded = list(await run(list(payloads)))
    except CodecError:
        raise
    # A user's codec may raise anything.
    except Exception as error:
        name = type(error).__name__
        raise CodecError(one_line(f"the codec failed: {name}: {error}")) from error
    if len(decoded) != len(payloads):
        raise CodecError(f"the codec returned {len(decoded)} payloads, expected {len(payloads)}")
    return decoded


async def decoded_payloads(
    payloads: Sequence[Payload], codec: Codec | None = None
) -> list[DecodedPayload]:
    """Show payloads, through a codec when there is one; never raises.

    Where the codec fails, the payloads are shown as recorded with the failure as their note.
    """
    if codec is None or not payloads:
        return [decode(payload) for payload in payloads]
    try:
        return [decode(payload) for payload in await apply_codec(codec, payloads)]
    except CodecError as error:
        return [replace(decode(payload), note=str(error)) for payload in payloads]


async def decoded_history(history: RunHistory, codec: Codec) -> RunHistory:
    """The same run with its payloads decoded: to look at, never to replay or to archive.

    The given history is not changed, and `raw` stays what was recorded.

    Raises:
        CodecError: The codec failed; nothing is decoded by half.
    """
    events = tuple(copy.deepcopy(event) for event in history.events)
    payloads = [payload for event in events for _, _, payload in iter_payloads(event)]
    for start in range(0, len(payloads), _BATCH):
        batch = payloads[start : start + _BATCH]
        for payload, decoded in zip(batch, await apply_codec(codec, batch), strict=True):
            payload.CopyFrom(decoded)
    return replace(history, events=events)


@dataclass(frozen=True, slots=True)
class CodecServer:
    """A remote codec, as the Temporal UI and CLI use it: `POST {url}/decode`."""

    url: str
    """`http://` or `https://`, without the trailing `/decode`."""
    namespace: str | None = None
    """Sent as `X-Namespace` when given."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers, such as `Authorization`; never shown in errors."""
    timeout: float = 10.0
    """Seconds to wait for each read of the answer."""
    max_bytes: int = MAX_PAYLOAD_BYTES
    """The longest answer that is accepted."""

    def __post_init__(self) -> None:
        """Refuse other schemes: urllib would read local files."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise CodecError(f"{one_line(self.url)!r} is no codec server, expected http(s)://host")

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Ask the server, on a thread of its own.

        Raises:
            CodecError: The server cannot be reached, refuses, or answers something else.
        """
        return await asyncio.to_thread(self._decode, payloads)

    def _decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        body = orjson.dumps(json_format.MessageToDict(Payloads(payloads=payloads)))
        answer = self._post(body)
        try:
            parsed: Any = orjson.loads(answer)
            message = json_format.ParseDict(parsed, Payloads(), ignore_unknown_fields=True)
        except (ValueError, TypeError, AttributeError, RecursionError, json_format.Error) as error:
            raise CodecError(one_line(f"{self._name} did not answer payloads: {error}")) from None
        return list(message.payloads)

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", **self.headers}
        if self.namespace is not None:
            headers["X-Namespace"] = self.namespace
        url = f"{self.url.rstrip('/')}/decode"
        request = urllib.request.Request(url, body, headers, method="POST")
        try:
            with _OPENER.open(request, timeout=self.timeout) as response:
                answer: bytes = response.read(self.max_bytes + 1)
        except urllib.error.HTTPError as error:
            error.close()
            raise CodecError(f"{self._name} answered {error.code}, expected 200") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise CodecError(one_line(f"{self._name} cannot be asked: {reason}")) from None
        if len(answer) > self.max_bytes:
            raise CodecError(f"{self._name} answered more than {self.max_bytes} bytes")
        return answer

    @property
    def _name(self) -> str:
        # A URL may carry a password.
        host = urlsplit(self.url).hostname
        return f"the codec server at {one_line(host or '')}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an HTTP error."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
