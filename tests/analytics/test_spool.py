"""Two commands and one file: whoever holds it stores for both, each batch once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from analytics.collect import Collector, IntakeLimits
from analytics.errors import SpoolError, WarehouseBusy
from analytics.ingest import IngestReport, Item
from analytics.query import run_query
from analytics.spool import Spool, drain
from analytics.warehouse import Warehouse, open_warehouse
from analytics.writer import Writer, open_writer
from replayer.history import HistoryError, Rejected
from tests.analytics.stories import failed_order, history_of, order
from tests.analytics.test_ingest import contents
from tests.analytics.test_warehouse import held_elsewhere

ITEMS: list[Item] = [
    history_of(order()),
    history_of(failed_order(), "run-2"),
    Rejected("bad.json", HistoryError("bad.json", "is not JSON")),
]


def test_a_batch_comes_out_as_it_went_in(path: Path) -> None:
    spool = Spool(path)
    name = spool.put(ITEMS)
    assert spool.pending() == [name]
    read = spool.get(name)
    assert read[:2] == ITEMS[:2]
    assert isinstance(read[2], Rejected)
    assert (read[2].uri, read[2].error.reason) == ("bad.json", "is not JSON")


def test_an_import_beside_a_collector(path: Path) -> None:
    """The report is true, and what was imported is what an import alone stores."""
    limits = IntakeLimits(batch_seconds=0.01)
    with Collector(path, limits=limits) as collector, open_writer(path) as writer:
        assert not writer.holds_lock
        report = writer.ingest(ITEMS)
        assert report == IngestReport(runs_new=2, events_new=34, rejected=1)
        assert writer.ingest(ITEMS) == IngestReport(runs_unchanged=2, rejected=1)
    assert collector.counters.runs_spooled == 4
    assert run_query(path, "SELECT workflow_id, status FROM core.runs ORDER BY run_id").rows == [
        ("order-1", "COMPLETED"),
        ("order-1", "FAILED"),
    ]
    assert list(Spool(path).folder.iterdir()) == []


def test_a_writer_takes_over_when_the_holder_goes_away(path: Path) -> None:
    holder = open_warehouse(path)
    with open_writer(path) as writer:
        reports: list[IngestReport] = []
        importing = threading.Thread(target=lambda: reports.append(writer.ingest(ITEMS)))
        importing.start()
        while not Spool(path).pending():
            pass
        holder.close()
        importing.join(30)
        assert reports == [IngestReport(runs_new=2, events_new=34, rejected=1)]
        assert writer.holds_lock


def test_a_holder_that_takes_no_batches_is_told_of(made: Path) -> None:
    with held_elsewhere(made):
        writer = Writer(made, patience_seconds=0.2)
        with pytest.raises(WarehouseBusy, match="stored by the next command that writes"):
            writer.ingest(ITEMS)
    with open_writer(made) as later:
        assert later.holds_lock
    assert run_query(made, "SELECT count(*) FROM core.runs").rows == [(2,)]


def test_a_crash_between_commit_and_removal_stores_nothing_twice(
    warehouse: Warehouse, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(path)
    spool.put(ITEMS)
    with monkeypatch.context() as crash:
        crash.setattr(Spool, "discard", _crash)
        with pytest.raises(KeyboardInterrupt):
            drain(warehouse, spool)
    before = contents(warehouse)
    assert len(before.pop("raw.spooled")) == 1
    assert drain(warehouse, spool) == IngestReport()
    assert spool.pending() == []
    after = contents(warehouse)
    assert after.pop("raw.spooled") == []
    assert after == before


def _crash(spool: Spool, name: str) -> None:
    raise KeyboardInterrupt


def test_a_damaged_batch_is_set_aside_and_the_next_is_stored(
    warehouse: Warehouse, path: Path
) -> None:
    spool = Spool(path)
    damaged = spool.folder / f"{spool.put(ITEMS[:1])}.batch"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(SpoolError, match="not a whole batch"):
        spool.get(damaged.stem)
    spool.put(ITEMS[1:2])
    assert drain(warehouse, spool).runs_new == 1
    assert damaged.with_suffix(".bad").exists()
    ((error,),) = warehouse.rows("SELECT error FROM raw.ingest_rejects")
    assert "not a whole batch" in error
    assert drain(warehouse, spool) == IngestReport()


def test_a_half_written_batch_is_not_seen(warehouse: Warehouse, path: Path) -> None:
    spool = Spool(path)
    name = spool.put(ITEMS)
    (spool.folder / f"{name}.batch").rename(spool.folder / f"{name}.tmp")
    assert drain(warehouse, spool) == IngestReport()
