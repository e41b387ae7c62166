"""The shapes that a history takes in JSON, each turned into plain lists of event objects.

Known are what `temporal workflow show` and the UI write (`{"events"}`, a list of events), answers
of `GetWorkflowExecutionHistory` (`{"history"}`, `{"rawHistory"}`), lists of batches and pages,
archived histories (a list of batches, or `{"header", "body"}`), Cloud exports as JSON and JSON
lines. Whether the events are any good is not decided here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import orjson

from replayer.history.errors import HistoryError, Malformed, shown
from replayer.history.keys import Hints
from replayer.history.limits import MAX_DOCUMENT_VALUES, MIB
from replayer.history.model import KeySource

__all__ = ["Document", "documents_in", "is_event", "parse_json"]

_SMALL_DOCUMENT_BYTES = 32 * MIB
_EXPECTED = 'expected a history: {"events": […]} or a list of events'
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Document:
    """The events of one run, as far as the document goes."""

    events: list[Any]
    """Event objects, in the order of the document."""
    packed: bytes | None = None
    """A serialized `History` instead of `events`."""
    hints: Hints | None = None
    """The run's key from an archived history's header."""
    is_last_part: bool | None = None
    """Whether a part of an archived history is its last; None for what has no parts."""

    @property
    def starts(self) -> bool:
        """Whether the first event is event 1, as a history or its first part has it."""
        if not self.events or not is_event(self.events[0]):
            return False
        first: dict[str, Any] = self.events[0]
        return str(first.get("eventId", first.get("event_id"))) == "1"


def parse_json(data: bytes, uri: str) -> list[Any]:
    """The JSON value in the bytes; several for JSON lines.

    Raises:
        HistoryError: Not JSON; says at which line and column.
    """
    data = _utf8(data, uri)
    if len(data) > _SMALL_DOCUMENT_BYTES and data.count(b",") > MAX_DOCUMENT_VALUES:
        raise HistoryError(uri, f"has more than {MAX_DOCUMENT_VALUES} values, which no history has")
    try:
        return [orjson.loads(data)]
    except orjson.JSONDecodeError as error:
        lines = _json_lines(data, uri)
        if lines is None:
            place = f"line {error.lineno} column {error.colno}"
            raise HistoryError(uri, f"is not JSON: {error.msg} at {place}") from None
        return lines


def documents_in(value: Any) -> tuple[list[Document], int]:
    """The runs in a parsed JSON value, and how many standalone activities are beside them.

    Raises:
        Malformed: The value is not of a known shape.
    """
    if isinstance(value, dict):
        return _documents_in_object(value)
    if not isinstance(value, list):
        raise Malformed(f"is {shown(value)}, {_EXPECTED}")
    if not value:
        raise Malformed(f"is an empty list, {_EXPECTED}")
    if all(is_event(item) for item in value):
        return [Document(value)], 0
    if all(isinstance(item, dict) and _is_page(item) for item in value):
        return _joined([_page(item, is_last=item is value[-1]) for item in value]), 0
    raise Malformed(f"is a list of {len(value)} without event ids, {_EXPECTED}")


def _documents_in_object(value: dict[str, Any]) -> tuple[list[Document], int]:
    if _is_page(value):
        return [_page(value)], 0
    if isinstance(value.get("header"), dict) and isinstance(value.get("body"), list):
        return [_archived(value["header"], value["body"])], 0
    exported = value.get("items", value.get("workflows"))
    activities = value.get("activities")
    if isinstance(exported, list) or isinstance(activities, list):
        runs = [_page(item) for item in exported or []]
        return runs, len(activities or [])
    if is_event(value):
        raise Malformed(f"is a single event, {_EXPECTED}")
    if not value:
        raise Malformed(f"is an empty object, {_EXPECTED}")
    if "events" in value:
        raise Malformed(f'has "events" that are not a list, {_EXPECTED}')
    keys = ", ".join(list(value)[:4])
    raise Malformed(f"is an object with the keys {shown(keys)}, {_EXPECTED}")


def is_event(value: Any) -> bool:
    """Whether a JSON value is meant to be a history event."""
    return isinstance(value, dict) and ("eventId" in value or "event_id" in value)


def _is_page(value: dict[str, Any]) -> bool:
    return any(
        isinstance(value.get(name), kind)
        for name, kind in (("events", list), ("history", dict), ("rawHistory", list))
    )


def _is_batch(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("events"), list)


def _page(value: Any, *, is_last: bool = True) -> Document:
    if not isinstance(value, dict):
        raise Malformed(f"has {shown(value)} among its histories, expected only objects")
    if is_last and value.get("nextPageToken"):
        raise Malformed(
            "is one page of a longer history (nextPageToken is set), expected all of it"
        )
    if isinstance(value.get("events"), list):
        return Document(value["events"])
    history = value.get("history")
    events = history.get("events") if isinstance(history, dict) else None
    if isinstance(events, list) and events:
        return Document(events)
    if isinstance(value.get("rawHistory"), list) and value["rawHistory"]:
        return Document([], packed=b"".join(_blob(item) for item in value["rawHistory"]))
    raise Malformed("has no events")


def _blob(value: Any) -> bytes:
    try:
        return base64.b64decode(value["data"], validate=True)
    except (TypeError, KeyError, ValueError):
        raise Malformed("has a rawHistory that is not a list of base64 blobs") from None


def _joined(pages: list[Document]) -> list[Document]:
    """Batches of one history put together; an event 1 starts the next history."""
    runs: list[Document] = []
    for page in pages:
        if page.packed is not None:
            runs.append(page)
        elif runs and runs[-1].packed is None and not page.starts:
            runs[-1].events.extend(page.events)
        else:
            runs.append(Document(list(page.events)))
    return runs


def _archived(header: dict[str, Any], body: list[Any]) -> Document:
    batches = [item["events"] for item in body if _is_batch(item)]
    if len(batches) < len(body):
        raise Malformed('has a "body" that is not a list of {"events": […]}')
    parts = {name: header.get(name) for name in ("namespace", "workflowId", "runId")}
    namespace, workflow_id, run_id = (p if isinstance(p, str) else None for p in parts.values())
    return Document(
        [event for batch in batches for event in batch],
        hints=Hints(KeySource.CONTAINER, namespace, workflow_id, run_id),
        is_last_part=header.get("isLast") is True,
    )


def _utf8(data: bytes, uri: str) -> bytes:
    # Windows PowerShell's `>` writes UTF-16.
    if data.startswith(_UTF16_MARKS):
        try:
            return data.decode("utf-16").encode()
        except UnicodeError as error:
            raise HistoryError(uri, f"is not UTF-16: {error}") from None
    return data.removeprefix(_UTF8_MARK)


def _json_lines(data: bytes, uri: str) -> list[Any] | None:
    """The values of a file of JSON lines; None when its first line is no JSON by itself."""
    end = data.find(b"\n")
    if end < 0:
        return None
    try:
        orjson.loads(data[:end])
    except orjson.JSONDecodeError:
        return None
    values = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            if line.strip():
                values.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            place = f"line {number} column {error.colno}"
            raise HistoryError(uri, f"is not JSON lines: {error.msg} at {place}") from None
    return values
