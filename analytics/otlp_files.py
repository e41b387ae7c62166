"""Spans from files, as the file exporter of the OpenTelemetry collector writes them.

That is a line of OTLP's JSON for each export, or length-prefixed protobuf messages, each compressed
with zstd where the exporter was told so; a rotated file may be compressed as a whole. Metrics and
logs that share a file are left out and counted. A line or message that is damaged is rejected
alone: unlike the events of a run, spans do not need their neighbours.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics.spans import SpanBatch, span_rows
from replayer.history import HistoryError, Rejected, SourceFile, members_of

if TYPE_CHECKING:
    import io

__all__ = ["is_otlp_file", "read_otlp_files"]

_HEAD: Final = 4096
_JSON: Final = re.compile(
    rb'[\xef\xbb\xbf\s]*\{\s*"resource_?(Spans|spans|Metrics|metrics|Logs|logs)"'
)
_LENGTH: Final = struct.Struct(">I")
_FIRST_FIELD: Final = b"\x0a"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MAX_MESSAGE: Final = 256 << 20
"""Bytes of one line or message, decompressed."""
_BATCH_BYTES: Final = 4 << 20


class _Damaged(Exception):
    """A record that is not what it should be; the text tells why."""


@dataclass(slots=True)
class _Found:
    """What a file had, beside spans."""

    others: int = 0
    """Exports of metrics and logs."""
    rejects: list[Rejected] = field(default_factory=list)


def is_otlp_file(file: SourceFile) -> bool:
    """Whether a file starts as an export of the collector does."""
    try:
        with file.path.open("rb") as opened:
            head = opened.read(_HEAD)
    except (OSError, ValueError):
        return False
    if head.startswith((_GZIP, _ZSTD)):
        with suppress(HistoryError, StopIteration):
            member = next(members_of(file))
            head = b"" if isinstance(member, Rejected) else member.stream.peek(_HEAD)
    return _is_json(head) or _is_protobuf(head)


def _is_json(head: bytes) -> bool:
    return _JSON.match(head) is not None


def _is_protobuf(head: bytes) -> bool:
    # No history starts with a zero byte, and no export has 16 MiB: exporters stay below 4.
    return head[:1] == b"\0" and (head[4:5] == _FIRST_FIELD or head[4:8] == _ZSTD)


def read_otlp_files(files: Iterable[SourceFile]) -> Iterator[SpanBatch | Rejected | str]:
    """Read the spans in files.

    Yields:
        Spans as they are found, what was not read with the reason, and the path of each file that
        is done.
    """
    for file in files:
        for member in members_of(file):
            if isinstance(member, Rejected):
                yield member
                continue
            found = _Found()
            yield from _batched(_requests(member.uri, member.stream, found))
            yield from found.rejects
            if found.others:
                reason = f"{found.others:,} exports of metrics or logs were left out"
                yield Rejected(member.uri, HistoryError(member.uri, reason), is_notice=True)
        yield str(file.path)


def _batched(requests: Iterable[bytes]) -> Iterator[SpanBatch]:
    # Protobuf messages of one type merge when their bytes are joined.
    batch: list[bytes] = []
    for request in requests:
        batch.append(request)
        if sum(map(len, batch)) >= _BATCH_BYTES:
            yield SpanBatch(b"".join(batch))
            batch = []
    if batch:
        yield SpanBatch(b"".join(batch))


def _requests(uri: str, stream: io.BufferedReader, found: _Found) -> Iterator[bytes]:
    """Serialized requests of a file."""
    messages = _messages if _is_protobuf(stream.peek(_HEAD)) else _lines
    number = 0
    try:
        for number, message in enumerate(messages(stream), 1):
            try:
                request = _request(message, found)
            except _Damaged as error:
                found.rejects.append(_rejected(uri, f"record {number} is {error}"))
                continue
            if request is not None:
                yield request
    except (_Damaged, HistoryError, OSError) as error:
        reason = error.reason if isinstance(error, HistoryError) else str(error)
        found.rejects.append(_rejected(uri, f"after record {number}: {reason}"))


def _rejected(uri: str, reason: str) -> Rejected:
    return Rejected(uri, HistoryError(uri, reason))


def _request(message: bytes, found: _Found) -> bytes | None:
    """A serialized request; `None` for one that carries something else than spans."""
    # The room of the receivers loads their servers, which an import of histories does not need.
    from analytics.collect.decode import BadRequest, Signal, from_json, from_protobuf

    try:
        if message[:1] != b"{":
            return _of_spans(from_protobuf(Signal.TRACES, message).SerializeToString(), found)
        match = _JSON.match(message)
        if match is not None and match[1].lower() != b"spans":
            found.others += 1
            return None
        return from_json(Signal.TRACES, message).SerializeToString()
    except BadRequest as error:
        raise _Damaged(str(error)) from None


def _of_spans(data: bytes, found: _Found) -> bytes | None:
    """Protobuf does not say what it carries: metrics and logs have no spans with ids and times."""
    rows = span_rows(ExportTraceServiceRequest.FromString(data))
    if rows.rejected and not rows.rows:
        found.others += 1
        return None
    return data


def _lines(stream: io.BufferedReader) -> Iterator[bytes]:
    while line := stream.readline(_MAX_MESSAGE + 1):
        if len(line) > _MAX_MESSAGE:
            raise _Damaged(f"a line has more than {_MAX_MESSAGE >> 20} MiB")
        if line := line.removeprefix(b"\xef\xbb\xbf").strip():
            yield line


def _messages(stream: io.BufferedReader) -> Iterator[bytes]:
    while prefix := stream.read(_LENGTH.size):
        if len(prefix) < _LENGTH.size:
            raise _Damaged("it is truncated")
        (length,) = _LENGTH.unpack(prefix)
        if length > _MAX_MESSAGE:
            raise _Damaged(f"a message of {length:,} bytes, expected at most {_MAX_MESSAGE:,}")
        data = stream.read(length)
        if len(data) < length:
            raise _Damaged("it is truncated")
        yield _decompressed(data) if data.startswith(_ZSTD) else data


def _decompressed(data: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            plain = reader.read(_MAX_MESSAGE + 1)
    except zstandard.ZstdError as error:
        raise _Damaged(f"not zstd: {error}") from None
    if len(plain) > _MAX_MESSAGE:
        raise _Damaged(f"longer than {_MAX_MESSAGE:,} bytes when decompressed")
    return plain
