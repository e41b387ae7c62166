"""Snapshots: whole, current when they can be, and never in a writer's way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from analytics.errors import WarehouseBusy, WarehouseError
from analytics.ingest import ingest
from analytics.query import open_reader, run_query
from analytics.snapshot import publish_snapshot, reader_file, snapshot_path
from analytics.warehouse import Warehouse, open_warehouse
from analytics.writer import open_writer
from tests.analytics.stories import failed_order, history_of, order
from tests.analytics.test_ingest import contents
from tests.analytics.test_warehouse import held_elsewhere

COUNT = "SELECT count(*) FROM mart.run_summary"


def identity(file: Path) -> tuple[int, int, int]:
    """Which file it is and when it was written; reading changes neither."""
    status = file.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def test_a_snapshot_is_the_whole_warehouse(warehouse: Warehouse, path: Path) -> None:
    ingest(warehouse, [history_of(order())])
    assert publish_snapshot(warehouse) == snapshot_path(path)
    with open_warehouse(snapshot_path(path)) as copy:
        assert contents(copy) == contents(warehouse)
        for kind in ("views", "functions"):
            sql = f"SELECT comment FROM duckdb_{kind}() WHERE schema_name = 'mart' ORDER BY 1"
            assert copy.rows(sql) == warehouse.rows(sql)


def test_a_reader_makes_a_snapshot_when_there_is_something_new(made: Path) -> None:
    assert run_query(made, COUNT).rows == [(0,)]
    first = identity(snapshot_path(made))
    assert run_query(made, COUNT).rows == [(0,)]
    assert identity(snapshot_path(made)) == first
    with open_writer(made) as writer:
        writer.ingest([history_of(order())])
    assert run_query(made, COUNT).rows == [(1,)]


def test_what_a_writer_publishes_is_not_made_again(made: Path) -> None:
    writer = open_writer(made)
    writer.ingest([history_of(order())])
    writer.close(publish=True)
    published = identity(snapshot_path(made))
    assert run_query(made, COUNT).rows == [(1,)]
    assert identity(snapshot_path(made)) == published


def test_readers_read_the_last_snapshot_while_somebody_writes(made: Path) -> None:
    with open_writer(made) as writer:
        writer.ingest([history_of(order())])
    reader_file(made)
    with held_elsewhere(made):
        assert run_query(made, COUNT).rows == [(1,)]
    with open_warehouse(made) as warehouse:
        ingest(warehouse, [history_of(failed_order(), "run-2")])
        assert run_query(made, COUNT).rows == [(1,)]
        publish_snapshot(warehouse)
        assert run_query(made, COUNT).rows == [(2,)]


def test_an_open_reader_keeps_nobody_from_writing(made: Path) -> None:
    reader = open_reader(made)
    with open_warehouse(made) as warehouse:
        ingest(warehouse, [history_of(order())])
        publish_snapshot(warehouse)
    assert reader.execute(COUNT).fetchall() == [(0,)]
    reader.close()


def test_without_a_snapshot_a_reader_is_told_to_wait(made: Path) -> None:
    with held_elsewhere(made), pytest.raises(WarehouseBusy, match="no snapshot yet"):
        reader_file(made)


def test_no_warehouse_is_one_line(path: Path) -> None:
    with pytest.raises(WarehouseError, match="no such warehouse"):
        reader_file(path)


def test_many_readers_at_once_leave_one_snapshot(made: Path) -> None:
    found: list[Path] = []
    readers = [threading.Thread(target=lambda: found.append(reader_file(made))) for _ in range(6)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [snapshot_path(made)] * 6
    assert sorted(p.name for p in made.parent.iterdir()) == ["w.duckdb", "w.snapshot.duckdb"]


def test_a_path_with_a_quote(empty: Path, tmp_path: Path) -> None:
    path = tmp_path / "it's.duckdb"
    path.write_bytes(empty.read_bytes())
    assert run_query(path, COUNT).rows == [(0,)]
