"""The reader for bulk gives what the careful reader gives, or leaves a document to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.history.v1 import HistoryEvent

from replayer.history import Rejected, RunHistory, read_bytes, read_histories, reading
from replayer.history.bulk_json import plain_events
from replayer.history.protojson import event_from_json
from tests.replayer.test_history_protojson import events


@pytest.fixture
def bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough was read already."""
    monkeypatch.setattr(reading, "_BULK_BYTES", 0)


def plain(document: bytes) -> list[HistoryEvent] | None:
    return plain_events(orjson.loads(document)["events"], document)


def document(**attributes: Any) -> bytes:
    event = {
        "eventId": "1",
        "eventTime": "2026-01-31T10:00:00.123456789Z",
        "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
        "workflowExecutionStartedEventAttributes": {
            "workflowId": "order-1",
            "originalExecutionRunId": "6f1c9be5-3ba2-4b8c-9a8d-6d9b9a1f0a11",
            **attributes,
        },
    }
    return orjson.dumps({"events": [event]})


@settings(max_examples=200, deadline=None)
@given(event=events(), has_int_enums=st.booleans())
def test_every_event_is_read_as_the_careful_reader_does(
    event: HistoryEvent, has_int_enums: bool
) -> None:
    written = json_format.MessageToDict(event, use_integers_for_enums=has_int_enums)

    assert plain(json.dumps({"events": [written]}).encode()) == [event]


@settings(max_examples=300, deadline=None)
@given(event=events(), data=st.data())
def test_of_a_damaged_event_it_reads_the_same_or_nothing(
    event: HistoryEvent, data: st.DataObject
) -> None:
    written = json_format.MessageToDict(event)
    found = list(places(written))
    place, name = found[data.draw(st.integers(0, len(found) - 1))]
    place[name] = data.draw(
        st.sampled_from(
            [None, True, 0, 2**40, 1.5, "", "x", [], {}, [None], {"a": 1}, "json/plain"]
        )
    )
    read = plain(json.dumps({"events": [written]}).encode())

    if read is not None:
        assert read == [event_from_json(written)[0]]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everywhere that a value is."""
    if isinstance(value, dict | list):
        for name in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, name
            yield from places(value[name])


@pytest.mark.parametrize(
    "left",
    [
        document(newerThanTheSdk=1),
        document(input={"payloads": [{"a": 1}]}),
        document(input={"payloads": [{"metadata": {"encoding": "json/plain"}, "data": "e30="}]}),
        document(taskQueue={"kind": "TASK_QUEUE_KIND_OF_TOMORROW"}),
        document().replace(b"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", b"WorkflowExecutionStarted"),
        document().replace(b'"workflowEx', b'"timerFiredEventAttributes": {}, "workflowEx'),
        b'{"events": [{"eventId": ' + b"[" * 900 + b"]" * 900 + b"}]}",
        b'{"events": [7]}',
    ],
)
def test_it_leaves_to_the_careful_reader(left: bytes) -> None:
    assert plain(left) is None


@pytest.mark.usefixtures("bulk")
@pytest.mark.parametrize(
    "bracket", [b"[", b'{"a":', b'{"events":[', b'{"events":[{"eventId":', b'{"events":[{"links":[']
)
def test_a_document_of_brackets_is_rejected(bracket: bytes) -> None:
    [rejected] = read_bytes(bracket + bracket[-1:].replace(b":", b"[") * 100_000, uri="a.json")

    assert isinstance(rejected, Rejected)
    assert "is not JSON" in rejected.error.reason


@pytest.mark.usefixtures("bulk")
def test_files_are_read_by_it_once_there_is_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(reading, "event_from_json", None)
        [run] = read_bytes(document(), uri="order-1.json")

    assert isinstance(run, RunHistory)
    assert run.key.workflow_id == "order-1"
    assert run.origin.format == "json"


def test_little_is_read_without_getting_it_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_bulk", reading._Bulk())
    monkeypatch.setattr("replayer.history.bulk_json.plain_events", None)

    [run] = read_bytes(document(), uri="order-1.json")

    assert isinstance(run, RunHistory)


def test_the_corpus_is_read_the_same(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BULK_BYTES", 2**62)
    careful = list(read_histories([corpus]))
    monkeypatch.setattr(reading, "_BULK_BYTES", 0)
    bulk = list(read_histories([corpus]))

    assert len(careful) == len(bulk) > 100
    for one, other in zip(careful, bulk, strict=True):
        if isinstance(one, Rejected):
            assert isinstance(other, Rejected)
            assert str(other.error) == str(one.error)
        else:
            assert other == one
