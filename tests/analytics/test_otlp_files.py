"""Spans from the collector's files: each shape, once, joined to the steps of their runs."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import zstandard
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics.ingest import IngestReport, ingest
from analytics.otlp_files import read_otlp_files
from analytics.query import run_query
from analytics.spans import SpanBatch
from analytics.spool import Spool
from analytics.warehouse import Warehouse, open_warehouse
from analytics.writer import open_writer
from replayer.history import SourceFile
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import history_of, order
from tests.analytics.test_ingest import contents
from tracer.names import Attribute as A
from tracer.names import SpanKind
from tui.cli import main
from tui.cli.exits import Exit


def attempt(number: int) -> dict[str, Any]:
    """A try of the step that the history knows the last try of."""
    return {
        "id": 100 + number,
        "name": "attempt declare",
        "start": 62.0 + number,
        "end": 62.5 + number,
        "error": "429",
        "attributes": {
            A.SPAN_KIND: SpanKind.ATTEMPT,
            A.WORKFLOW_ID: "order-1",
            A.RUN_ID: "run-1",
            A.ACTIVITY_ID: "3",
            A.ACTIVITY_ATTEMPT: number,
        },
    }


REQUESTS = [spans_of(attempt(1), attempt(2)), spans_of(attempt(3))]
METRICS = b'{"resourceMetrics":[{"scopeMetrics":[]}]}'


def as_line(request: ExportTraceServiceRequest) -> bytes:
    """OTLP's JSON: ids are hexadecimal there."""

    def hexed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: base64.b64decode(item).hex() if name.endswith("Id") else hexed(item)
                for name, item in value.items()
            }
        return [hexed(item) for item in value] if isinstance(value, list) else value

    return json.dumps(hexed(MessageToDict(request))).encode()


def as_messages(*, compressed: bool) -> bytes:
    data = [request.SerializeToString() for request in REQUESTS]
    if compressed:
        data = [zstandard.ZstdCompressor().compress(item) for item in data]
    return b"".join(struct.pack(">I", len(item)) + item for item in data)


LINES = b"\n".join(map(as_line, REQUESTS)) + b"\n"
FILES = {
    "traces.json": LINES,
    "traces.json.gz": gzip.compress(LINES),
    "traces.json.zst": zstandard.ZstdCompressor().compress(LINES),
    "traces.pb": as_messages(compressed=False),
    "traces.pb.zst-each": as_messages(compressed=True),
    "mixed.jsonl": METRICS + b"\n" + LINES,
}


@pytest.mark.parametrize("name", FILES)
def test_every_shape_of_file_has_the_same_spans(name: str, made: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    for expected in (3, 0):
        with open_writer(made) as writer:
            report = writer.import_files([tmp_path / name])
        assert report == IngestReport(spans_new=expected)
    with open_warehouse(made) as warehouse:
        assert warehouse.rows(
            "SELECT span_id, workflow_id, run_id, step_id, attempt FROM core.spans ORDER BY ALL"
        ) == [(f"{100 + n:016x}", "order-1", "run-1", "activity:3", n) for n in (1, 2, 3)]


@pytest.mark.parametrize("spans_first", [True, False])
def test_attempts_are_exact_where_spans_tell(
    made: Path, tmp_path: Path, *, spans_first: bool
) -> None:
    (tmp_path / "traces.json").write_bytes(LINES)
    history = tmp_path / "order-1_run-1.pb"
    history.write_bytes(history_of(order()).raw)
    files = [tmp_path / "traces.json", history]
    for file in files if spans_first else reversed(files):
        with open_writer(made) as writer:
            writer.import_files([file])
    found = run_query(
        made,
        "SELECT attempt, attempt_source, outcome FROM mart.attempts"
        " WHERE step_id = 'activity:3' ORDER BY attempt",
    )
    assert [row[:2] for row in found.rows] == [(1, "span"), (2, "span"), (3, "span")]


def test_a_folder_with_histories_and_spans(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "run.pb").write_bytes(history_of(order()).raw)
    (folder / "traces.jsonl").write_bytes(METRICS + b"\n" + LINES[:-40] + b"\n{}\n")
    assert main(["import", str(folder), "--warehouse", str(made), "--json"]) == Exit.OK
    captured = capsys.readouterr()
    row = json.loads(captured.out)
    assert (row["runs_new"], row["spans_new"], row["rejected"]) == (1, 2, 1)
    assert "traces.jsonl: record 3 is not JSON" in captured.err
    assert "1 exports of metrics or logs were left out" in captured.err


def test_a_file_that_was_cut_off(made: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pb").write_bytes(as_messages(compressed=False)[:-3])
    with open_writer(made) as writer:
        assert writer.import_files([tmp_path]) == IngestReport(spans_new=2, rejected=1)
    with open_warehouse(made) as warehouse:
        ((error,),) = warehouse.rows("SELECT error FROM raw.ingest_rejects")
    assert error == "after record 1: it is truncated"


def test_spans_beside_a_process_that_has_the_warehouse(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    """They travel through the spool, and are stored by whoever has the lock."""
    (tmp_path / "traces.json").write_bytes(LINES)
    ingest(warehouse, [history_of(order())])
    spool = Spool(warehouse.path)
    name = spool.put(list(_batches(tmp_path / "traces.json")))
    assert spool.get(name) == list(_batches(tmp_path / "traces.json"))
    warehouse.close()
    with open_writer(warehouse.path):  # Who takes the lock stores what waits.
        pass
    with open_warehouse(warehouse.path) as stored:
        assert len(contents(stored)["core.spans"]) == 3


def _batches(path: Path) -> list[Any]:
    return [
        item for item in read_otlp_files([SourceFile(path, True)]) if isinstance(item, SpanBatch)
    ]
