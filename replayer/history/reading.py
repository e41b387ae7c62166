"""The one entry point for histories that are not on a server: any file in any shape, run by run.

Bad data never raises: what cannot be read comes out as one `Rejected` line in its place, and the
next file goes on. A run comes out whole or not at all.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from replayer.history.checks import ordered_history
from replayer.history.enums import EVENT_TYPE, says_unknown
from replayer.history.errors import HistoryError, Malformed, shown
from replayer.history.keys import Hints, hints_from_path, key_of
from replayer.history.limits import MAX_DOCUMENT_BYTES, MIB
from replayer.history.model import KeySource, Origin, Rejected, RunHistory, UnknownName
from replayer.history.proto import ProtoShape, events_of, history_of_item, proto_shape, records
from replayer.history.protojson import event_from_json
from replayer.history.shapes import Document, documents_in, is_event, parse_json
from replayer.history.sources import members_of, members_of_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from temporalio.api.history.v1 import HistoryEvent

    from replayer.history.sources import Member, SourceFile

    type Progress = Callable[[str, int], None]

__all__ = ["read_bytes", "read_histories"]

_HEAD = 4096
_BULK_BYTES = 4 * MIB
"""To read them with care takes as long as to get the reader for bulk ready."""
_BULK_DOCUMENT_BYTES = 32 * MIB
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r")
_NO_HISTORY = "is neither JSON nor a protobuf history, expected an exported workflow history"
# Cloud archival to gs:// writes one run as `<hashes>_<version>_<part>.history`.
_NUMBERED_PART = re.compile(r"(.*\d+_-?\d+)_\d+\.history$")


def read_histories(
    sources: Iterable[str | Path | SourceFile],
    *,
    namespace: str | None = None,
    progress: Progress | None = None,
) -> Iterator[RunHistory | Rejected]:
    """Read every history in files, folders, archives and stdin.

    Args:
        sources: Paths, files of `files_of`, or `-` for stdin. Folders are read recursively in
            sorted order; zip, tar, gzip and zstd are unpacked. A run may come twice: exports
            repeat themselves.
        namespace: Of all of them, when it is known; nothing in a history says it.
        progress: Called when a file or member is done, with its uri and the decompressed bytes
            that were read of it.

    Yields:
        Whole runs as they are found, and what was not read with the reason.
    """
    hints = Hints(KeySource.CALLER, namespace)
    parts = _Parts()
    for source in sources:
        for member in members_of(source):
            if isinstance(member, Rejected):
                yield member
                continue
            yield from _runs_in(member, hints, parts)
            if progress is not None:
                progress(member.uri, member.stream.tell())
    yield from _finished(parts, hints)


def read_bytes(
    data: bytes,
    *,
    uri: str,
    namespace: str | None = None,
    workflow_id: str | None = None,
    run_id: str | None = None,
) -> list[RunHistory | Rejected]:
    """Read every history in bytes that may be of any format that a file may have.

    Args:
        data: The content of a file, compressed or not.
        uri: What to call it: errors say it, and its name may tell the run's key.
        namespace: Of the run, when it is known.
        workflow_id: Of the run, when the bytes hold one run and it is known.
        run_id: Likewise.
    """
    hints = Hints(KeySource.CALLER, namespace, workflow_id, run_id)
    parts = _Parts()
    results: list[RunHistory | Rejected] = []
    for member in members_of_stream(io.BytesIO(data), uri):
        results.extend([member] if isinstance(member, Rejected) else _runs_in(member, hints, parts))
    return [*results, *_finished(parts, hints)]


@dataclass(slots=True)
class _Parts:
    """The parts of one archived history, which folders and archives give one after another."""

    group: object = None
    uri: str = ""
    documents: list[Document] = field(default_factory=list)


@dataclass(slots=True)
class _Bulk:
    """Whether this process reads so much JSON that getting the reader for bulk ready pays."""

    seen: int = 0
    """Bytes of JSON that were read."""

    def is_worth_it(self, size: int) -> bool:
        """Count a document, and tell."""
        self.seen += size
        return self.seen >= _BULK_BYTES and size <= _BULK_DOCUMENT_BYTES


_bulk = _Bulk()


def _runs_in(member: Member, hints: Hints, parts: _Parts) -> Iterator[RunHistory | Rejected]:
    is_expected = member.expected
    try:
        head = member.stream.peek(_HEAD)
        is_expected = is_expected or b'"eventId"' in head or proto_shape(head)[1]
        for result in _read(member, head, hints, parts):
            is_expected = is_expected or isinstance(result, RunHistory)
            if is_expected:
                yield result
    except HistoryError as error:
        if is_expected:
            yield Rejected(member.uri, error)


def _read(
    member: Member, head: bytes, hints: Hints, parts: _Parts
) -> Iterator[RunHistory | Rejected]:
    if not head:
        raise HistoryError(member.uri, "is empty, expected a workflow history")
    shape, is_certain = proto_shape(head)
    looks_like_text = head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")[:1] in (b"{", b"[")
    if looks_like_text and not is_certain:
        yield from _read_json(member, hints, parts)
    elif shape is None or _is_text(head):
        raise HistoryError(member.uri, _NO_HISTORY)
    elif shape is ProtoShape.EXPORT:
        yield from _read_export(member, hints)
    else:
        raw = _whole(member)
        yield _run(events_of(raw, member.uri), raw, member.uri, "protobuf", [hints])


def _read_export(member: Member, hints: Hints) -> Iterator[RunHistory | Rejected]:
    """Items of a Cloud export; a damaged item is rejected alone."""
    activities = 0
    for number, record in enumerate(records(member.stream, member.uri)):
        if record.field != 1:
            activities += 1
            continue
        uri = f"{member.uri}#{number}"
        try:
            raw = history_of_item(record.data, uri)
            yield _run(events_of(raw, uri), raw, uri, "cloud-export", [hints], is_only=False)
        except HistoryError as error:
            yield Rejected(uri, error)
    if activities:
        yield _activities_left_out(member.uri, activities)


def _read_json(member: Member, hints: Hints, parts: _Parts) -> Iterator[RunHistory | Rejected]:
    raw = _whole(member)
    values = parse_json(raw, member.uri)
    is_lines = len(values) > 1
    try:
        # The lines of `temporal workflow show -o jsonl` are the events of one run.
        is_one_run = is_lines and all(is_event(value) for value in values)
        found = [documents_in(value) for value in ([values] if is_one_run else values)]
    except Malformed as error:
        raise HistoryError(member.uri, str(error)) from None
    documents = [document for some, _ in found for document in some]
    if not documents and not any(count for _, count in found):
        raise HistoryError(member.uri, "has no histories, expected at least one")
    if len(documents) == 1 and (group := _part_of(documents[0], member.uri)) is not None:
        if group != parts.group:
            yield from _finished(parts, hints)
            parts.group, parts.uri = group, member.uri
        parts.documents.append(documents[0])
        return
    is_only = len(documents) == 1
    for number, document in enumerate(documents):
        uri = member.uri if is_only else f"{member.uri}#{number}"
        kind = "json-lines" if is_lines else "json"
        yield _document_run(document, raw if is_only else None, uri, kind, hints)
    if activities := sum(count for _, count in found):
        yield _activities_left_out(member.uri, activities)


def _document_run(
    document: Document, raw: bytes | None, uri: str, kind: str, hints: Hints
) -> RunHistory | Rejected:
    try:
        unknown: list[UnknownName] = []
        if document.packed is not None:
            events = events_of(document.packed, uri)
        elif raw is not None and (plain := _plain_events(document.events, raw)) is not None:
            events = plain
        else:
            events, unknown = _converted(document.events, uri)
        outside = [hints, document.hints] if document.hints else [hints]
        kind = "archival" if document.hints else kind
        run_raw = raw or document.packed or orjson.dumps({"events": document.events})
        untyped = _untyped(events, unknown, uri)
        run = _run(events, run_raw, uri, kind, outside, untyped, is_only=raw is not None)
        return replace(run, unknown=tuple(unknown))
    except HistoryError as error:
        return Rejected(uri, error)


def _plain_events(events: list[Any], document: bytes) -> list[HistoryEvent] | None:
    """What the reader for bulk makes of them, if it can, once there is bulk."""
    if not _bulk.is_worth_it(len(document)):
        return None
    try:
        from replayer.history.bulk_json import plain_events  # It takes its time.
    except ImportError:  # It is not compiled for this platform.
        return None
    return plain_events(events, document)


def _converted(events: list[Any], uri: str) -> tuple[list[HistoryEvent], list[UnknownName]]:
    converted, unknown = [], []
    for index, item in enumerate(events):
        try:
            event, names = event_from_json(item)
        except Malformed as error:
            event_id = item.get("eventId") if isinstance(item, dict) else None
            is_id = isinstance(event_id, int | str) and str(event_id).isdecimal()
            which = f"event {event_id}" if is_id else f"the event at index {index}"
            raise HistoryError(uri, f"{which}: {error}") from None
        converted.append(event)
        unknown += [UnknownName(event.event_id, enum, name) for enum, name in names]
    return converted, unknown


def _untyped(events: Iterable[HistoryEvent], unknown: list[UnknownName], uri: str) -> set[int]:
    """Ids of events of an unknown type; a new type that has the attributes of an old one is none.

    Raises:
        HistoryError: An event's type is no type at all.
    """
    names = {u.event_id: u.name for u in unknown if u.enum == EVENT_TYPE}
    for event in events if names else ():
        name, attributes = names.get(event.event_id), event.WhichOneof("attributes")
        if name is not None and attributes is not None and not says_unknown(name):
            reason = f"eventType is {shown(name)}, expected the one of its {attributes}"
            raise HistoryError(uri, f"event {event.event_id}: {reason}")
    return set(names)


def _run(
    events: Iterable[HistoryEvent],
    raw: bytes,
    uri: str,
    kind: str,
    outside: Sequence[Hints],
    untyped: Container[int] = (),
    *,
    is_only: bool = True,
) -> RunHistory:
    try:
        ordered = ordered_history(events, untyped)
    except Malformed as error:
        raise HistoryError(uri, str(error)) from None
    named = hints_from_path(uri, ordered)
    if not is_only:
        # A name that stands over many runs can say their namespace, and nothing else.
        named = [Hints(hint.source, hint.namespace) for hint in named]
    digest = sha256(raw).hexdigest()
    key, source = key_of(ordered, uri=uri, digest=digest, hints=[*outside, *named])
    return RunHistory(key, source, Origin(uri, kind, digest, len(raw)), ordered, raw)


def _part_of(document: Document, uri: str) -> object | None:
    """What identifies the run that a part belongs to; None for a document that is whole."""
    if document.is_last_part is not None:
        return None if document.is_last_part and document.starts else document.hints
    numbered = _NUMBERED_PART.match(uri)
    return numbered[1] if numbered else None


def _finished(parts: _Parts, hints: Hints) -> Iterator[RunHistory | Rejected]:
    """The run whose parts were collected, once no more of them can come."""
    documents, uri = parts.documents, parts.uri
    parts.group, parts.documents = None, []
    if not documents:
        return
    if not any(document.is_last_part is not False for document in documents):
        reason = f"has {len(documents)} parts of an archived history, expected its last part too"
        yield Rejected(uri, HistoryError(uri, reason))
        return
    whole = replace(documents[0], events=[e for document in documents for e in document.events])
    result = _document_run(whole, None, uri, "archival", hints)
    yield result


def _activities_left_out(uri: str, count: int) -> Rejected:
    noun = "standalone activity was" if count == 1 else "standalone activities were"
    reason = f"{count} {noun} left out: an activity without a workflow has no history"
    return Rejected(uri, HistoryError(uri, reason), is_notice=True)


def _is_text(head: bytes) -> bool:
    """Whether there is none of the control characters that every protobuf message has."""
    return not _CONTROLS.intersection(head)


def _whole(member: Member) -> bytes:
    data = member.stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        limit = MAX_DOCUMENT_BYTES // MIB
        raise HistoryError(member.uri, f"has more than {limit} MiB in one document")
    return data
