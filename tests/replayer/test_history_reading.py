"""Every place and every format that a history may come from gives the same run."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import pickle
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from google.protobuf.json_format import MessageToDict, MessageToJson
from temporalio.api.export.v1 import WorkflowExecution, WorkflowExecutions
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

from replayer.history import Rejected, RunHistory, read_bytes, read_histories

MakeHistory = Callable[..., History]


def as_dict(history: History) -> dict[str, Any]:
    return dict(MessageToDict(history))


def as_json(history: History) -> bytes:
    return MessageToJson(history).encode()


def only_run(results: list[RunHistory | Rejected]) -> RunHistory:
    (result,) = results
    assert isinstance(result, RunHistory), result
    return result


def assert_same(run: RunHistory, history: History) -> None:
    assert list(run.events) == list(history.events)
    assert run.origin.sha256 == sha256(run.raw).hexdigest()
    assert run.origin.size == len(run.raw)


def in_tar(name: str, data: bytes, mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def in_zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def pages(history: History, size: int) -> list[dict[str, Any]]:
    events = as_dict(history)["events"]
    return [{"events": events[i : i + size]} for i in range(0, len(events), size)]


JSON_SHAPES: dict[str, Callable[[History], Any]] = {
    "events": as_dict,
    "proto names": lambda h: MessageToDict(h, preserving_proto_field_name=True),
    "int enums": lambda h: MessageToDict(h, use_integers_for_enums=True),
    "list": lambda h: as_dict(h)["events"],
    "descending": lambda h: as_dict(h)["events"][::-1],
    "history": lambda h: {"history": as_dict(h), "nextPageToken": "", "archived": True},
    "batches": lambda h: pages(h, 4),
    "pages": lambda h: (
        [{"history": p, "nextPageToken": "eA=="} for p in pages(h, 5)[:-1]]
        + [{"history": pages(h, 5)[-1], "nextPageToken": None}]
    ),
    "raw history": lambda h: {
        "history": None,
        "rawHistory": [
            {
                "encodingType": "ENCODING_TYPE_PROTO3",
                "data": base64.b64encode(History(events=part).SerializeToString()).decode(),
            }
            for part in (h.events[:5], h.events[5:])
        ],
    },
    "archived": lambda h: {
        "header": {"namespace": "n", "workflowId": "order-1", "runId": "r", "isLast": True},
        "body": pages(h, 3),
    },
    "export": lambda h: {"items": [{"history": as_dict(h)}]},
    "exported executions": lambda h: {"workflows": [{"history": as_dict(h)}]},
}


@pytest.mark.parametrize("shape", JSON_SHAPES)
def test_every_json_shape(make_history: MakeHistory, shape: str) -> None:
    history = make_history(activities=3)
    data = orjson.dumps(JSON_SHAPES[shape](history))

    run = only_run(read_bytes(data, uri="a.json"))

    assert_same(run, history)
    assert run.key.workflow_id == "order-1"
    assert run.raw == data


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")],
)
def test_byte_order_marks_of_windows(make_history: MakeHistory, encoding: str, mark: bytes) -> None:
    history = make_history(data='"é"'.encode())
    data = mark + as_json(history).decode().encode(encoding)

    assert_same(only_run(read_bytes(data, uri="a.json")), history)


def test_json_lines_of_events_are_one_run(make_history: MakeHistory) -> None:
    history = make_history()
    data = b"\n".join(orjson.dumps(event) for event in as_dict(history)["events"])

    run = only_run(read_bytes(data + b"\n\n", uri="a.jsonl"))

    assert_same(run, history)
    assert (run.origin.format, run.raw) == ("json-lines", data + b"\n\n")


def test_json_lines_and_lists_of_whole_histories_are_many_runs(make_history: MakeHistory) -> None:
    histories = [make_history(workflow_id=f"order-{n}", activities=n) for n in range(3)]
    as_lines = b"\n".join(orjson.dumps(as_dict(h)) for h in histories)
    as_list = orjson.dumps([as_dict(h) for h in histories])

    for data in (as_lines, as_list):
        runs = read_bytes(data, uri="many.json")
        for number, (run, history) in enumerate(zip(runs, histories, strict=True)):
            assert isinstance(run, RunHistory)
            assert_same(run, history)
            assert run.origin.uri == f"many.json#{number}"
            assert_same(only_run(read_bytes(run.raw, uri="again.json")), history)


def test_raw_protobuf(make_history: MakeHistory) -> None:
    history = make_history(activities=4)
    raw = history.SerializeToString()

    run = only_run(read_bytes(raw, uri="a.bin"))

    assert_same(run, history)
    assert (run.origin.format, run.raw) == ("protobuf", raw)


def test_protobuf_whose_first_event_has_the_length_of_a_bracket(make_history: MakeHistory) -> None:
    for length in (ord("["), ord("{")):
        history = make_history(workflow_id="", run_id="")
        first = history.events[0]
        first.ClearField("workflow_execution_started_event_attributes")
        first.workflow_execution_started_event_attributes.identity = ""
        missing = length - first.ByteSize() - 2
        first.workflow_execution_started_event_attributes.identity = "x" * missing
        raw = history.SerializeToString()
        assert raw[1] == length

        assert_same(only_run(read_bytes(raw, uri="a.bin")), history)


def exported(*histories: History) -> bytes:
    items = [WorkflowExecution(history=history) for history in histories]
    return WorkflowExecutions(items=items).SerializeToString()


def test_cloud_export(make_history: MakeHistory) -> None:
    histories = [make_history(workflow_id=f"order-{n}", activities=n) for n in range(4)]
    uri = "bucket/temporal-workflow-history/export/prod.a1b2c/2026/11/21/10/10/part-0"

    runs = read_bytes(exported(*histories), uri=uri)

    for number, (run, history) in enumerate(zip(runs, histories, strict=True)):
        assert isinstance(run, RunHistory)
        assert_same(run, history)
        assert run.raw == history.SerializeToString(deterministic=True) or run.raw
        assert (run.origin.uri, run.origin.format) == (f"{uri}#{number}", "cloud-export")
        assert run.key.namespace == "prod.a1b2c"


def test_exported_standalone_activities_are_counted_and_left_out(
    make_history: MakeHistory,
) -> None:
    history = make_history()
    activity = b"\x12\x02\x0a\x00"

    run, notice = read_bytes(exported(history) + activity * 3, uri="export.proto")
    (only_activities,) = read_bytes(activity, uri="export.proto")
    in_json = orjson.dumps({"workflows": [{"history": as_dict(history)}], "activities": [{}]})
    _, json_notice = read_bytes(in_json, uri="export.json")

    assert isinstance(run, RunHistory)
    assert isinstance(notice, Rejected)
    assert notice.is_notice
    assert notice.error.reason.startswith("3 standalone activities were left out")
    for result in (only_activities, json_notice):
        assert isinstance(result, Rejected)
        assert result.error.reason.startswith("1 standalone activity was left out")


def test_damaged_export_item_does_not_take_the_others_along(make_history: MakeHistory) -> None:
    good, fragment = make_history(), make_history()
    del fragment.events[0]

    first, second, third = read_bytes(exported(good, fragment, good), uri="e.pb")

    assert isinstance(first, RunHistory)
    assert isinstance(second, Rejected)
    assert isinstance(third, RunHistory)
    assert str(second.error) == (
        "e.pb#1: starts at event 2, expected event 1: this is a fragment of a history"
    )


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "a.json.gz": gzip.compress,
    "a.json.zst": zstandard.compress,
    "a.zip": lambda data: in_zip(**{"a.json": data}),
    "a.tar": lambda data: in_tar("a.json", data, "w"),
    "a.tgz": lambda data: in_tar("a.json", data, "w:gz"),
    "a.tar.xz.zip": lambda data: in_zip(**{"b.zip": in_zip(**{"a.json.gz": gzip.compress(data)})}),
}


@pytest.mark.parametrize("name", PACKINGS)
@pytest.mark.parametrize("is_protobuf", [False, True])
def test_every_packing(
    make_history: MakeHistory, tmp_path: Path, name: str, is_protobuf: bool
) -> None:
    history = make_history(activities=30)
    data = history.SerializeToString() if is_protobuf else as_json(history)
    path = tmp_path / name
    path.write_bytes(PACKINGS[name](data))

    run = only_run(list(read_histories([path])))

    assert_same(run, history)
    assert run.raw == data


def test_frames_of_zstd_one_after_another(make_history: MakeHistory) -> None:
    data = as_json(history := make_history(activities=9))
    packed = zstandard.compress(data[:1000]) + zstandard.compress(data[1000:])

    assert_same(only_run(read_bytes(packed, uri="a.zst")), history)


def test_stdin(make_history: MakeHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    history = make_history(activities=50)
    for data in (as_json(history), gzip.compress(as_json(history)), PACKINGS["a.zip"](b"{}")):
        reader, writer = os.pipe()
        thread = threading.Thread(target=_write_slowly, args=(writer, data))
        thread.start()
        with os.fdopen(reader, "rb") as pipe:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
            results = list(read_histories(["-"]))
            thread.join()
        if data.startswith(b"PK"):
            assert isinstance(results[0], Rejected)
            assert results[0].uri == "-!a.json"
        else:
            assert_same(only_run(results), history)


def _write_slowly(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb", buffering=0) as pipe:
        for start in range(0, len(data), 7_001):
            pipe.write(data[start : start + 7_001])


def test_folder_is_read_recursively_in_order(make_history: MakeHistory, tmp_path: Path) -> None:
    history = make_history()
    for name in ("b/deep/x.json", "a/y.json", "z.json", "b/w.pb", ".hidden/n.json", "a/.n.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_protobuf = path.suffix == ".pb"
        path.write_bytes(history.SerializeToString() if is_protobuf else as_json(history))
    (tmp_path / "README.md").write_text("[not](a-history)\n")
    (tmp_path / "main.py").write_text("print()\n")
    (tmp_path / "part-0").write_bytes(exported(history))
    done: list[tuple[str, int]] = []

    results = list(read_histories([tmp_path], progress=lambda *seen: done.append(seen)))

    names = [Path(result.origin.uri).name for result in results if isinstance(result, RunHistory)]
    assert names == ["part-0#0", "z.json", "y.json", "w.pb", "x.json"]
    assert len(results) == 5
    assert (str(tmp_path / "z.json"), len(as_json(history))) in done


def test_archive_members_are_named_and_hidden_ones_left_alone(make_history: MakeHistory) -> None:
    data = as_json(make_history())
    members = {"b.json": data, "a/x.json": b"{}", "__MACOSX/._b.json": b"\0", "notes.txt": b"hi"}

    rejected, run = read_bytes(in_zip(**members), uri="dir/all.zip")

    assert isinstance(rejected, Rejected)
    assert rejected.uri == "dir/all.zip!a/x.json"
    assert isinstance(run, RunHistory)
    assert run.origin.uri == "dir/all.zip!b.json"


def archived_part(history: History, first: int, last: int, *, is_last: bool) -> bytes:
    header = {"namespace": "prod", "workflowId": "order-9", "runId": "run-9", "isLast": is_last}
    body = [{"events": as_dict(history)["events"][first:last]}]
    return json.dumps({"header": header, "body": body}).encode()


def test_parts_of_an_archived_history_in_many_files(
    make_history: MakeHistory, tmp_path: Path
) -> None:
    history = make_history(activities=20)
    cuts = [0, 3, *range(10, len(history.events), 10), len(history.events)]
    folder = tmp_path / "nsid" / "history" / "order-9" / "run-9" / "0"
    folder.mkdir(parents=True)
    for number, (first, last) in enumerate(pairwise(cuts)):
        is_last = last == len(history.events)
        part = archived_part(history, first, last, is_last=is_last)
        (folder / str(number)).write_bytes(part)
    assert number > 10, "part 10 sorts before part 2"

    run = only_run(list(read_histories([tmp_path])))

    assert list(run.events) == list(history.events)
    assert (str(run.key), run.origin.format) == ("prod/order-9:run-9", "archival")

    (folder / str(number)).unlink()
    (rejected,) = read_histories([tmp_path])
    assert isinstance(rejected, Rejected)
    assert "expected its last part too" in rejected.error.reason


def test_numbered_parts_and_whole_files_of_archived_histories(
    make_history: MakeHistory, tmp_path: Path
) -> None:
    history = make_history(activities=5)
    batches = pages(history, 6)
    (tmp_path / "17293822569_-24.history").write_bytes(orjson.dumps(batches))
    (tmp_path / "9_1_0.history").write_bytes(orjson.dumps(batches[:3]))
    (tmp_path / "9_1_1.history").write_bytes(orjson.dumps(batches[3:]))

    results = list(read_histories([tmp_path]))

    assert len(results) == 2
    for result in results:
        assert isinstance(result, RunHistory)
        assert list(result.events) == list(history.events)


def test_missing_files_are_reported_and_the_rest_goes_on(
    make_history: MakeHistory, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(as_json(make_history()))

    missing, run = read_histories([tmp_path / "no.json", tmp_path / "a.json"])

    assert isinstance(missing, Rejected)
    assert missing.error.reason == "cannot be opened: No such file or directory"
    assert isinstance(run, RunHistory)


def test_reading_costs_no_more_than_the_official_reader(make_history: MakeHistory) -> None:
    data = as_json(make_history(activities=500))

    def seconds(read: Callable[[], object]) -> float:
        started = time.process_time()
        read()
        return time.process_time() - started

    ours = min(seconds(lambda: read_bytes(data, uri="a.json")) for _ in range(3))
    official = seconds(lambda: WorkflowHistory.from_json("any", data.decode()))

    assert ours < official


def test_damaged_history_without_a_suffix_is_not_passed_over(
    make_history: MakeHistory, tmp_path: Path
) -> None:
    history = make_history()
    (tmp_path / "0").write_bytes(as_json(history)[:-5])
    (tmp_path / "part-0").write_bytes(exported(history)[:-5])
    (tmp_path / "settings").write_bytes(b'{"theme": "dark"}')
    (tmp_path / "LICENSE").write_bytes(b"\n\n\n  Apache License\n")
    (tmp_path / "tool").write_bytes(b"\n\x02\n\x05\x7f\x01")

    results = list(read_histories([tmp_path]))

    assert [result.uri for result in results if isinstance(result, Rejected)] == [
        str(tmp_path / "0"),
        str(tmp_path / "part-0"),
    ]


def test_results_cross_process_borders(make_history: MakeHistory) -> None:
    results = read_bytes(exported(make_history()), uri="a.pb")
    results += read_bytes(b"{}", uri="b.json")
    results += read_histories(["no such file"])

    copies = pickle.loads(pickle.dumps(results))

    assert copies[0] == results[0]
    for copy, result in zip(copies[1:], results[1:], strict=True):
        assert isinstance(result, Rejected)
        assert (str(copy.error), type(copy.error)) == (str(result.error), type(result.error))


@pytest.mark.parametrize("name", ["UnknownEvent", "EVENT_TYPE_UNKNOWN_17", "DreamStarted"])
def test_event_types_that_the_sdk_does_not_know_are_kept(
    make_history: MakeHistory, name: str
) -> None:
    document = as_dict(history := make_history(is_open=True))
    event = document["events"][4]
    event.update(eventType=name, workerMayIgnore=True)
    if name == "DreamStarted":
        event["dreamStartedEventAttributes"] = event.pop("activityTaskScheduledEventAttributes")

    run = only_run(read_bytes(orjson.dumps(document), uri="a.json"))

    official = WorkflowHistory.from_json("any", document).events
    assert list(run.events) == list(official)
    assert len(run.events) == len(history.events)
    assert [(u.event_id, u.enum, u.name) for u in run.unknown] == [(5, "EventType", name)]


def test_a_file_may_have_a_name_that_is_no_text(tmp_path: Path, make_history: MakeHistory) -> None:
    data = make_history().SerializeToString()
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pb"))
    named.write_bytes(data)
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(named, "r\udcf4le.pb")

    uris = [f.origin.uri for f in read_histories([tmp_path]) if isinstance(f, RunHistory)]

    assert uris == [rf"{tmp_path}/b.tar!r\udcf4le.pb", rf"{tmp_path}/caf\udce9.pb"]
