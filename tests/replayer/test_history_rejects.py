"""Bad input ends in one printable line that says what, where and what was expected."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from hypothesis import example, given, settings
from hypothesis import strategies as st
from temporalio.api.export.v1 import WorkflowExecution, WorkflowExecutions
from temporalio.api.history.v1 import History

from replayer.history import HistoryError, Rejected, RunHistory, limits, read_bytes, read_histories
from replayer.history.packing import Budget

MakeHistory = Callable[..., History]
Edit = Callable[[list[dict[str, Any]]], object]

STARTED = "workflowExecutionStartedEventAttributes"
SCHEDULED = "activityTaskScheduledEventAttributes"


def reason_for(data: bytes, uri: str = "a.json") -> str:
    (result,) = read_bytes(data, uri=uri)
    assert isinstance(result, Rejected), result
    assert type(result.error) is HistoryError
    assert str(result.error).isprintable()
    assert str(result.error) == f"{uri}: {result.error.reason}"
    return result.error.reason


def nested(depth: int) -> dict[str, Any]:
    failure: dict[str, Any] = {"message": "deepest"}
    for _ in range(depth):
        failure = {"message": "outer", "cause": failure}
    return failure


BAD_EVENTS: dict[str, tuple[Edit, str]] = {
    "gap": (
        lambda e: e.pop(4),
        "event 5 is missing: 4 is followed by 6",
    ),
    "long gap, descending": (
        lambda e: e.__setitem__(slice(0, None), (e[:12] + e[15:])[::-1]),
        "events 13 to 15 are missing: 12 is followed by 16",
    ),
    "duplicate": (
        lambda e: e.insert(3, e[3]),
        "event 4 is there more than once, expected each id once",
    ),
    "fragment": (
        lambda e: e.__delitem__(slice(0, 4)),
        "starts at event 5, expected event 1: this is a fragment of a history",
    ),
    "event id 0": (
        lambda e: e[0].update(eventId=0),
        "has an event with id 0, expected ids from 1",
    ),
    "no event id": (
        lambda e: e[3].update(eventId=None),
        "has an event with id 0, expected ids from 1",
    ),
    "no time": (
        lambda e: e[6].pop("eventTime"),
        "event 7 has no event time",
    ),
    "bad time": (
        lambda e: e[6].update(eventTime="yesterday"),
        "event 7: eventTime is 'yesterday', expected a time like 2026-01-31T23:59:59.5Z",
    ),
    "time before nanoseconds are counted": (
        lambda e: e[6].update(eventTime="0001-01-01T00:00:00Z"),
        "event 7: event time is -62135596800.000000000 s, expected the years 1970 to 2262",
    ),
    "time after 64 bits of nanoseconds": (
        lambda e: e[6].update(eventTime="9999-12-31T23:59:59Z"),
        "event 7: event time is 253402300799.000000000 s, expected the years 1970 to 2262",
    ),
    "no such day": (
        lambda e: e[6].update(eventTime="2026-02-30T00:00:00Z"),
        "event 7: eventTime is '2026-02-30', expected a day that exists",
    ),
    "wrong enum value": (
        lambda e: e[1].update(eventType="Banana"),
        "event 2: eventType is 'Banana', "
        "expected the one of its workflow_task_scheduled_event_attributes",
    ),
    "no event type": (
        lambda e: e[1].pop("eventType"),
        "event 2: event type is UNSPECIFIED, "
        "expected the one of its workflow_task_scheduled_event_attributes",
    ),
    "enum of another event": (
        lambda e: e[1].update(eventType="EVENT_TYPE_TIMER_FIRED"),
        "event 2: event type is TIMER_FIRED, "
        "expected the one of its workflow_task_scheduled_event_attributes",
    ),
    "enum of another kind": (
        lambda e: e[0][STARTED].update(initiator="TIMEOUT_TYPE_HEARTBEAT"),
        "event 1: workflowExecutionStartedEventAttributes.initiator is 'TIMEOUT_TYPE_HEARTBEAT', "
        "expected a ContinueAsNewInitiator (CONTINUE_AS_NEW_INITIATOR_…)",
    ),
    "enum that is no name": (
        lambda e: e[1].update(eventType="Timer started!"),
        "event 2: eventType is 'Timer started!', expected a EventType (EVENT_TYPE_…)",
    ),
    "number out of range": (
        lambda e: e[0].update(taskId=str(2**63)),
        "event 1: taskId is '9223372036854775808', "
        "expected -9223372036854775808 to 9223372036854775807",
    ),
    "number beyond JSON's integers": (
        lambda e: e[0][STARTED].update(attempt=2**40),
        "event 1: workflowExecutionStartedEventAttributes.attempt is 1099511627776, "
        "expected -2147483648 to 2147483647",
    ),
    "text for a message": (
        lambda e: e[0][STARTED].update(taskQueue="q"),
        "event 1: workflowExecutionStartedEventAttributes.taskQueue is 'q', expected an object",
    ),
    "two attributes": (
        lambda e: e[1].update(timerFiredEventAttributes={}),
        "event 2: has timer_fired_event_attributes and workflow_task_scheduled_event_attributes, "
        "expected one attributes",
    ),
    "event that is no object": (
        lambda e: cast("list[Any]", e).__setitem__(5, 7),
        "the event at index 5: is 7, expected an object",
    ),
    "first event is another": (
        lambda e: e[0].update(eventType=None, workflowExecutionStartedEventAttributes=None),
        "event 1 is UNSPECIFIED, expected WORKFLOW_EXECUTION_STARTED",
    ),
    "10,000 nested failures": (
        lambda e: e[0][STARTED].update(continuedFailure=nested(200)),
        "is nested deeper than 90 failures",
    ),
}


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_bad_events(make_history: MakeHistory, name: str) -> None:
    edit, expected = BAD_EVENTS[name]
    document = MessageToDict(make_history(activities=2))
    edit(document["events"])

    reason = reason_for(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))

    assert reason == expected or (name.startswith("10,000") and reason.endswith(expected))


DECODED: dict[str, Edit] = {
    "readable number": lambda e: e[4][SCHEDULED]["input"].update(payloads=[1]),
    "readable text": lambda e: e[4][SCHEDULED]["input"].update(payloads=["abcd"]),
    "readable object": lambda e: e[4][SCHEDULED]["input"].update(payloads=[{"amount": 1}]),
    "short form": lambda e: e[4][SCHEDULED].update(input=["a", 7]),
    "short form of one": lambda e: e[4][SCHEDULED].update(input="a"),
    "decoded data": lambda e: e[4][SCHEDULED]["input"].update(
        payloads=[{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": {"amount": 1}}]
    ),
    "decoded encoding": lambda e: e[4][SCHEDULED]["input"].update(
        payloads=[{"metadata": {"encoding": "json/plain"}, "data": "dHJ1ZQ=="}]
    ),
    "memo": lambda e: e[0][STARTED].update(memo={"fields": {"who": "me"}}),
    "search attribute": lambda e: e[0][STARTED].update(
        searchAttributes={"indexedFields": {"CustomerId": ["7"]}}
    ),
}


@pytest.mark.parametrize("name", DECODED)
def test_decoded_payloads_say_what_to_download_instead(
    make_history: MakeHistory, name: str
) -> None:
    document = MessageToDict(make_history())
    DECODED[name](document["events"])

    reason = reason_for(orjson.dumps(document))

    assert reason.startswith(f"event {1 if 'me' in name or 'search' in name else 5}: ")
    assert "is an already decoded payload" in reason
    assert reason.endswith(
        'download the history as "Encoded" or export it with `temporal workflow show -o json`'
    )


def test_payload_of_100_mb(make_history: MakeHistory) -> None:
    history = make_history(data=b'"' + b"x" * 100_000_000 + b'"')
    as_json = orjson.dumps(MessageToDict(history))

    assert reason_for(as_json) == (
        "event 1: workflowExecutionStartedEventAttributes.input.payloads[0] holds 95.4 MiB, "
        "expected at most 64 MiB in one payload"
    )
    assert reason_for(history.SerializeToString()) == (
        "event 1 holds 95.4 MiB, expected at most 64 MiB"
    )


NOT_HISTORIES: dict[bytes, str] = {
    b"": "is empty, expected a workflow history",
    b" \n\t": "is neither JSON nor a protobuf history, expected an exported workflow history",
    b"\0\0\0\0": "is neither JSON nor a protobuf history, expected an exported workflow history",
    b"\n\n\n  Apache License\n": "is neither JSON nor a protobuf history, "
    "expected an exported workflow history",
    b"hello": "is neither JSON nor a protobuf history, expected an exported workflow history",
    b"42": "is neither JSON nor a protobuf history, expected an exported workflow history",
    b"{}": 'is an empty object, expected a history: {"events": […]} or a list of events',
    b'{"name": "left-pad", "version": "1"}': "is an object with the keys 'name, version', "
    'expected a history: {"events": […]} or a list of events',
    b"[]": 'is an empty list, expected a history: {"events": […]} or a list of events',
    b"[1, 2]": "is a list of 2 without event ids, expected a history: "
    '{"events": […]} or a list of events',
    b'{"eventId": "5"}': "is a single event, expected a history: "
    '{"events": […]} or a list of events',
    b'{"events": []}': "has no events",
    b'{"events": null}': 'has "events" that are not a list, expected a history: '
    '{"events": […]} or a list of events',
    b'{"events": {"a": 1}}': 'has "events" that are not a list, expected a history: '
    '{"events": […]} or a list of events',
    b'{"history": {}}': "has no events",
    b'{"items": []}': "has no histories, expected at least one",
    b'{"history": {"events": [{}]}, "nextPageToken": "eA=="}': "is one page of a longer history "
    "(nextPageToken is set), expected all of it",
    b'{"header": {}, "body": [7]}': 'has a "body" that is not a list of {"events": […]}',
    b'{"rawHistory": [{"data": "?"}]}': "has a rawHistory that is not a list of base64 blobs",
    b'{"events": [': "is not JSON: unexpected end of data at line 1 column 13",
    b'{"events": [{"eventId": "\\ud800"}]}': "is not JSON: no low surrogate in string "
    "at line 1 column 26",
    b'{"a": 1}\n{"b": \n': "is not JSON lines: unexpected end of data at line 2 column 7",
    b'{"events": "\xff"}': "is not JSON: ",
    b"\xff\xfe{\x00\x00": "is not UTF-16: ",
    b"[" * 10_000 + b"]" * 10_000: "is not JSON: depth limit exceeded at line 1 column 1026",
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000: "is not JSON: depth limit exceeded at line 1 column ",
    b'{"events": [{"eventId": ' + b"9" * 5000 + b"}]}": "",
    b"\x0a\x00": "has an event with id 0, expected ids from 1",
    b"\x0a\x05\x08\x01": "is truncated: the record at byte 2 has 2 of 5 bytes; "
    "the last whole event is 0",
    b"\x0a\x02\x0a\x00": "",
    b"\x0a\x02\x0a\x05": "",
    b"\x12\xff\xff\xff\xff\x7f": "byte 6 starts a record of 34359738367 bytes, "
    "expected at most 256 MiB",
    b"\x12" + b"\xff" * 11: "is not protobuf: no number at byte 1",
}


@pytest.mark.parametrize("data", NOT_HISTORIES, ids=lambda data: ascii(data[:40]))
def test_what_is_no_history(data: bytes) -> None:
    uri = "a.json" if data[:1] not in (b"\x0a", b"\x12") else "a.bin"
    for result in read_bytes(data, uri=uri):
        assert isinstance(result, Rejected)
        assert result.error.reason.startswith(NOT_HISTORIES[data])
        assert str(result.error).isprintable()


def test_damaged_protobuf_names_the_first_bad_event(make_history: MakeHistory) -> None:
    history = make_history(activities=2)
    raw = history.SerializeToString()
    offset = History(events=history.events[:4]).ByteSize()

    truncated = reason_for(raw[: offset + 9], "a.bin")
    event = bytearray(raw)
    event[offset + 2 :] = b"\xff" * (len(raw) - offset - 2)

    assert truncated.startswith(f"is truncated: the record at byte {offset + 2} has 7 of ")
    assert truncated.endswith("; the last whole event is 4")
    assert reason_for(bytes(event), "a.bin") == (
        f"is damaged at byte {offset}: expected an event after event 4"
    )


def test_truncated_and_damaged_packing(make_history: MakeHistory, tmp_path: Path) -> None:
    data = orjson.dumps(MessageToDict(make_history(activities=50)))
    packed = {
        "a.json.gz": gzip.compress(data),
        "a.json.zst": zstandard.compress(data),
        "a.zip": _zip(data),
        "a.tar": _tar(data),
    }
    for name, whole in packed.items():
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :]
        for damaged in (whole[:middle], flipped):
            (tmp_path / name).write_bytes(damaged)
            results = list(read_histories([tmp_path]))
            assert results, name
            for result in results:
                assert isinstance(result, Rejected)
                assert result.uri.startswith(str(tmp_path / name))
                assert str(result.error).isprintable()
        (tmp_path / name).unlink()


def _zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", data)
    return buffer.getvalue()


def _tar(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.json")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_truncated_export_gives_the_whole_items_and_one_reason(make_history: MakeHistory) -> None:
    items = [WorkflowExecution(history=make_history(activities=n)) for n in (1, 2, 3)]
    raw = WorkflowExecutions(items=items).SerializeToString()

    first, second, rejected = read_bytes(raw[:-10], uri="e.pb")

    assert isinstance(first, RunHistory)
    assert isinstance(second, RunHistory)
    assert isinstance(rejected, Rejected)
    assert "is truncated: the record at byte" in rejected.error.reason


def test_bombs_end_at_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.history.reading.MAX_DOCUMENT_BYTES", 5 * limits.MIB)
    monkeypatch.setattr("replayer.history.proto.MAX_DOCUMENT_BYTES", 5 * limits.MIB)
    monkeypatch.setattr("replayer.history.shapes.MAX_DOCUMENT_VALUES", 1000)
    monkeypatch.setattr("replayer.history.shapes._SMALL_DOCUMENT_BYTES", 1000)
    spaces = b"[" + b" " * 6 * limits.MIB

    assert reason_for(gzip.compress(spaces)) == "has more than 5 MiB in one document"
    assert reason_for(zstandard.compress(spaces)) == "has more than 5 MiB in one document"
    assert reason_for(b"[" + b"[]," * 1001 + b"1]") == (
        "has more than 1000 values, which no history has"
    )
    layers = b"{}"
    for _ in range(6):
        layers = gzip.compress(layers)
    assert reason_for(layers) == "has more than 4 layers of packing"


def test_everything_in_one_source_shares_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.history.packing.MAX_EXPANDED_BYTES", limits.MIB)
    monkeypatch.setattr("replayer.history.sources.Budget", lambda: Budget(left=limits.MIB))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.json", b"[" + b" " * 400_000 + b"]")

    results = read_bytes(buffer.getvalue(), uri="a.zip")

    reasons = [result.error.reason for result in results if isinstance(result, Rejected)]
    assert len(reasons) == 5
    is_over = [reason.startswith("unpacks to more than 1 MiB") for reason in reasons]
    assert is_over == [False, False, True, True, True]


def test_encrypted_zip_member() -> None:
    archive = bytearray(_zip(b"{}"))
    # Bit 0 of the general purpose flags, in the local header and in the index.
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1

    (result,) = read_bytes(bytes(archive), uri="a.zip")

    assert isinstance(result, Rejected)
    assert result.uri == "a.zip!a.json"
    assert "encrypted" in result.error.reason


def test_file_names_cannot_break_the_line(tmp_path: Path) -> None:
    (tmp_path / "a\n\x1b[31mb.json").write_bytes(b"{}")

    (result,) = read_histories([tmp_path])

    assert isinstance(result, Rejected)
    assert "a\\n\\x1b[31mb.json" in str(result.error)
    assert str(result.error).isprintable()


@pytest.fixture(scope="module")
def sample(make_history: MakeHistory) -> Callable[[str], bytes]:
    """A function, because hypothesis prints the arguments of a failing test."""
    history = make_history(activities=2, reset_to="11111111-2222-3333-4444-555555555555")
    as_json = orjson.dumps(MessageToDict(history))
    export = WorkflowExecutions(items=[WorkflowExecution(history=history)] * 2)
    samples = {
        "a.json": as_json,
        "a.bin": history.SerializeToString(),
        "a.pb": export.SerializeToString(),
        "a.json.gz": gzip.compress(as_json, mtime=0),
        "a.zst": zstandard.compress(as_json),
        "a.zip": _zip(as_json),
        "a.tar": _tar(as_json),
    }
    return samples.__getitem__


@pytest.mark.parametrize(
    "name", ["a.json", "a.bin", "a.pb", "a.json.gz", "a.zst", "a.zip", "a.tar"]
)
@settings(max_examples=150, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 2**31), st.binary(max_size=8), st.integers(0, 12)), max_size=6
    ),
    keep=st.one_of(st.none(), st.integers(0, 2**31)),
)
@example(edits=[], keep=None)
def test_no_damage_raises(
    sample: Callable[[str], bytes],
    name: str,
    edits: list[tuple[int, bytes, int]],
    keep: int | None,
) -> None:
    data = bytearray(sample(name))
    for position, replacement, length in edits:
        start = position % (len(data) + 1)
        data[start : start + length] = replacement
    if keep is not None:
        del data[keep % (len(data) + 1) :]

    results = read_bytes(bytes(data), uri=name)

    for result in results:
        if isinstance(result, Rejected):
            assert str(result.error).isprintable()
            assert str(result.error).startswith(name)
        else:
            ids = [event.event_id for event in result.events]
            assert ids == list(range(1, len(ids) + 1))


FIELD_NAMES = st.sampled_from(
    [
        *("events", "history", "eventId", "eventTime", "eventType", "input", "payloads", "data"),
        *("header", "body", "items", "metadata", "rawHistory", "failure", "encoding", "cause"),
        *(STARTED, SCHEDULED),
    ]
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1", "WorkflowExecutionStarted", "2026-01-01T00:00:00Z", "1s", "YQ=="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | FIELD_NAMES, inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 2**20), value=JSON_VALUES)
def test_any_json_value_anywhere_in_a_history(
    make_history: MakeHistory, place: int, value: object
) -> None:
    document = MessageToDict(make_history())
    holders = list(_holders(document))
    holder, key = holders[place % len(holders)]
    holder[key] = value
    try:
        data = orjson.dumps(document)
    except TypeError:
        data = json.dumps(document).encode("utf-8", "surrogatepass")

    for result in read_bytes(data, uri="a.json"):
        if isinstance(result, Rejected):
            assert str(result.error).isprintable()


def _holders(value: Any) -> Any:
    """Every (container, key) pair in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(pairs):
        yield value, key
        if isinstance(item, dict | list):
            yield from _holders(item)


def test_many_bad_files_and_one_good(make_history: MakeHistory, tmp_path: Path) -> None:
    for number, data in enumerate(NOT_HISTORIES):
        (tmp_path / f"{number:03}.json").write_bytes(data)
    good = orjson.dumps(MessageToDict(make_history()))
    (tmp_path / "999.json").write_bytes(good)

    *rejected, run = read_histories([tmp_path])

    assert isinstance(run, RunHistory)
    assert all(isinstance(result, Rejected) for result in rejected)
    names = {Path(r.uri.split("#")[0]).name for r in rejected if isinstance(r, Rejected)}
    assert names == {f"{number:03}.json" for number in range(len(NOT_HISTORIES))}


def test_base64_that_is_none(make_history: MakeHistory) -> None:
    document = MessageToDict(make_history())
    payload = document["events"][0][STARTED]["input"]["payloads"][0]

    for broken in ("abc!", "a", "ab\ncd", "é"):
        payload["data"] = broken
        assert "expected base64" in reason_for(orjson.dumps(document))

    for whole in (b"\xfb\xff\xfe", b"\xfb\xff"):
        for spelled in (base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
            for text in (spelled, spelled.rstrip(b"=")):
                payload["data"] = text.decode()
                (run,) = read_bytes(orjson.dumps(document), uri="a.json")
                assert isinstance(run, RunHistory)
                started = run.events[0].workflow_execution_started_event_attributes
                assert started.input.payloads[0].data == whole
