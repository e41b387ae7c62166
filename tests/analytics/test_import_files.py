"""Files into tables by several processes: the same tables as by one, and as the official reader."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b, sha256
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from analytics import pool
from analytics.errors import WorkerDied
from analytics.ingest import IngestReport
from analytics.pool import Part, worker_count
from analytics.staging import staged_schemas
from analytics.warehouse import Warehouse, open_warehouse
from analytics.writer import open_writer
from benchmarks.generated_histories import histories, write_files
from replayer.history import Rejected, read_histories
from tests.analytics.test_ingest import contents

RUNS, EVENTS = 24, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs as JSON, some of them again as protobuf and in an archive, and a file that is none."""
    folder = tmp_path_factory.mktemp("files")
    as_json, as_protobuf = write_files(folder, RUNS, EVENTS)
    for file in sorted(as_protobuf.iterdir())[6:]:
        file.unlink()
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for file in sorted(as_json.iterdir())[-4:]:
            archive.write(file, file.name)
            file.unlink()
    (as_json / "zz.json").write_text('{"events": [')
    return folder


def imported(path: Path, sources: Sequence[Path], workers: int) -> tuple[IngestReport, list[Part]]:
    parts: list[Part] = []
    with open_writer(path) as writer:
        report = writer.import_files(
            sources, workers=workers, told=lambda _report, more: parts.extend(more)
        )
    return report, parts


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with open_warehouse(path) as warehouse:
        return contents(warehouse)


@pytest.mark.slow
def test_two_processes_store_what_one_does(
    folder: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_JOB_FILES", 3)
    one = Path(shutil.copy(empty, tmp_path / "one.duckdb"))
    two = Path(shutil.copy(empty, tmp_path / "two.duckdb"))
    report, parts = imported(one, [folder], 1)
    assert report == IngestReport(
        runs_new=RUNS, runs_unchanged=6, events_new=RUNS * EVENTS, rejected=1
    )
    again, more_parts = imported(two, [folder], 2)
    assert again == report
    assert tables(two) == tables(one)
    files = [file for part in parts for file in part.files]
    assert [file for part in more_parts for file in part.files] == files
    assert len(files) == RUNS + 6 + 1
    repeated, _ = imported(two, [folder], 2)
    assert repeated == IngestReport(runs_unchanged=RUNS + 6, rejected=1)
    assert tables(two) == tables(one)


def test_items_made_ahead_come_in_their_order_and_with_their_error() -> None:
    makers = set()

    def numbers() -> Generator[int]:
        for number in range(1, 8):
            makers.add(threading.get_ident())
            yield number
        raise WorkerDied("enough")

    ahead = pool.made_ahead(numbers())

    assert list(islice(ahead, 7)) == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(WorkerDied, match="enough"):
        next(ahead)
    assert threading.get_ident() not in makers


def test_who_stops_early_closes_what_is_made_ahead() -> None:
    is_closed = threading.Event()

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            is_closed.set()

    with closing(pool.made_ahead(endless())) as ahead:
        next(ahead)

    assert is_closed.is_set()
    assert not [t for t in threading.enumerate() if t.name.startswith("reading")]


@pytest.mark.slow
def test_a_thread_that_reads_while_an_import_is_given_up_ends_quietly(
    folder: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_warehouse(empty) as warehouse:
        schemas = staged_schemas(warehouse.connection)
    receive: Callable[[Connection, int], object] = Connection._recv  # type: ignore[attr-defined]
    sizes: list[int] = []
    raised: list[object] = []
    is_reading, is_given_up = threading.Event(), threading.Event()

    def receive_late(connection: Connection, size: int) -> object:
        """The second part is read when nobody wants it any more."""
        if threading.current_thread() in before:
            return receive(connection, size)
        sizes.append(size)
        if sum(size > 4 for size in sizes) == 2:
            is_reading.set()
            assert is_given_up.wait(20)
        return receive(connection, size)

    before = threading.enumerate()
    monkeypatch.setattr(pool, "_JOB_FILES", 1)
    monkeypatch.setattr(Connection, "_recv", receive_late)
    monkeypatch.setattr(threading, "excepthook", raised.append)
    parts = pool.parts_of_files([folder / "json"], None, schemas, frozenset(), 1)
    assert next(parts).runs_read == 1
    assert is_reading.wait(20)
    parts.close()
    is_given_up.set()
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(20)
    assert raised == []


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_of(
    folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_JOB_FILES", 1)
    monkeypatch.setattr("analytics.writer._TRANSACTION_PARTS", 1)

    def kill(_report: IngestReport, _parts: Sequence[Part]) -> None:
        for process in multiprocessing.active_children():
            process.kill()
            process.join()

    with open_writer(made) as writer, pytest.raises(WorkerDied, match="with --jobs 1"):
        writer.import_files([folder / "json"], workers=2, told=kill)
    assert multiprocessing.active_children() == []
    with open_warehouse(made) as warehouse:
        assert warehouse.rows("SELECT count(*) > 0 FROM core.runs") == [(True,)]
    assert imported(made, [folder], 1)[0].runs_unchanged > 6


def test_few_files_are_read_by_this_process(folder: Path) -> None:
    assert worker_count([folder]) == 1
    assert worker_count(["-"]) == 1


def test_many_bytes_are_worth_more_processes(tmp_path: Path) -> None:
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(64 << 20)
    assert worker_count([tmp_path]) == pool._processors()
    assert worker_count([tmp_path, "-"]) == 1


def test_parts_of_one_run_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_JOB_FILES", 1)
    names = ("a.json", "b_1_0.history", "b_1_1.history", "c.json", "d.json", "e.pb")
    for name in names:
        (tmp_path / name).write_text('{ "header": {}}' if name == "d.json" else "{}")
    jobs = [[file.path.name for file in job] for job in pool._jobs([tmp_path])]
    assert jobs == [["a.json", "b_1_0.history", "b_1_1.history"], ["c.json", "d.json"], ["e.pb"]]


# -- the official reader ---------------------------------------------------------------------------


def payloads_in(message: Message) -> Iterator[Payload]:
    """Every payload in a message, found by walking the fields that are set."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            found = [item for item in value.values() if isinstance(item, Message)]
        else:
            found = list(value) if field.is_repeated else [value]
        for item in found:
            yield from payloads_in(item)


def official_rows(
    run: str, events: Sequence[HistoryEvent]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    rows = []
    payloads = []
    for event in events:
        found = list(payloads_in(event))
        content = blake2b(event.SerializeToString(deterministic=True), digest_size=8).digest()
        rows.append(
            (
                run,
                event.event_id,
                EventType.Name(event.event_type).removeprefix("EVENT_TYPE_"),
                event.event_time.ToNanoseconds(),
                event.task_id,
                len(found),
                sum(len(payload.data) for payload in found),
                int.from_bytes(content),
            )
        )
        payloads += [
            (run, event.event_id, payload.data, sha256(payload.data).digest()) for payload in found
        ]
    return sorted(rows), sorted(payloads)


def stored_rows(warehouse: Warehouse) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    events = warehouse.rows(
        "SELECT workflow_id || '_' || run_id, event_id, event_type, event_time_ns, task_id,"
        " n_payloads, payload_bytes, event_hash FROM core.events"
    )
    payloads = warehouse.rows(
        "SELECT workflow_id || '_' || run_id, event_id, data, sha256 FROM core.payloads"
    )
    return sorted(events), sorted(payloads)


def test_rows_equal_those_of_the_official_reader(folder: Path, warehouse: Warehouse) -> None:
    warehouse.close()
    imported(warehouse.path, [folder / "json", folder / "pb"], 1)
    events: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    for file in sorted((folder / "json").glob("order*.json")):
        official = WorkflowHistory.from_json("any", file.read_text())
        more_events, more_payloads = official_rows(file.stem, official.events)
        events += more_events
        payloads += more_payloads
    with open_warehouse(warehouse.path) as stored:
        assert stored_rows(stored) == (sorted(events), sorted(payloads))


def test_the_corpus_equals_the_official_reader(corpus: Path, warehouse: Warehouse) -> None:
    """Of each run, the longest account; what the official reader cannot read is not compared."""
    events: dict[str, list[tuple[Any, ...]]] = {}
    payloads: dict[str, list[tuple[Any, ...]]] = {}
    warehouse.close()
    imported(warehouse.path, [corpus], 1)
    for item in read_histories([corpus]):
        if isinstance(item, Rejected) or item.origin.format not in ("json", "protobuf"):
            continue
        official = official_events(item.raw, item.origin.format)
        run = f"{item.key.workflow_id}_{item.key.run_id}"
        if official is None or len(official) < len(events.get(run, ())):
            continue
        events[run], payloads[run] = official_rows(run, official)
    with open_warehouse(warehouse.path) as stored:
        found_events, found_payloads = stored_rows(stored)
    assert len(events) > 50
    # A type of event that is newer than the SDK has a name here, and none in what it reads.
    expected = sorted(row for rows in events.values() for row in rows)
    unnamed = {row[:2] for row in expected if row[2] == "UNSPECIFIED"}
    compared = [row for row in found_events if row[0] in events]
    assert [row for row in compared if row[:2] not in unnamed] == [
        row for row in expected if row[:2] not in unnamed
    ]
    assert [row for row in found_payloads if row[0] in events] == sorted(
        row for rows in payloads.values() for row in rows
    )


def official_events(raw: bytes, form: str) -> Sequence[HistoryEvent] | None:
    try:
        if form == "protobuf":
            return History.FromString(raw).events
        return WorkflowHistory.from_json("any", raw.decode()).events
    except (json_format.ParseError, ValueError, KeyError, TypeError, AttributeError):
        return None


# -- order and pieces ------------------------------------------------------------------------------


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_pieces_in_any_order_come_to_the_same_tables(
    data: st.DataObject, empty: Path, tmp_path: Path
) -> None:
    """Whole and early exports of several runs, in several formats, dealt into several imports."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    runs = list(histories(3, 40))
    files: list[Path] = []
    for workflow_id, run_id, history in runs:
        for cut in [40, *data.draw(st.lists(st.integers(1, 39), max_size=2))]:
            files.append(folder / str(cut) / f"{workflow_id}_{run_id}.pb")
            files[-1].parent.mkdir(exist_ok=True)
            files[-1].write_bytes(History(events=history.events[:cut]).SerializeToString())
    order = data.draw(st.permutations(files))
    size = data.draw(st.integers(1, len(files)))
    pieces = Path(shutil.copy(empty, folder / "pieces.duckdb"))
    whole = Path(shutil.copy(empty, folder / "whole.duckdb"))
    for start in range(0, len(order), size):
        report, _ = imported(pieces, order[start : start + size], 1)
        assert report.conflicts == 0
    imported(whole, [file for file in files if file.parent.name == "40"], 1)
    assert of_runs(tables(pieces)) == of_runs(tables(whole))


def of_runs(found: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """Without what tells of sources and not of runs."""
    return {name: rows for name, rows in found.items() if not name.startswith("raw.")}
