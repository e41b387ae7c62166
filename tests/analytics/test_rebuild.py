"""A warehouse made anew has the same tables, or the old one stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analytics.archive import Archive
from analytics.errors import ArchiveError, WarehouseError
from analytics.ingest import ingest
from analytics.rebuild import rebuild
from analytics.settling import SETTLED_TABLES
from analytics.spans import span_rows, store_spans
from analytics.warehouse import open_warehouse
from replayer.history import HistoryError, Rejected
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, history_of, order, stuck_order
from tests.analytics.test_ingest import contents
from tracer.names import Attribute as A
from tracer.names import SpanKind
from tui.cli import main
from tui.cli.exits import Exit

ATTEMPT = {
    "id": 7,
    "name": "attempt declare",
    "attributes": {
        A.SPAN_KIND: SpanKind.ATTEMPT,
        A.WORKFLOW_ID: "order-1",
        A.RUN_ID: "run-1",
        A.ACTIVITY_ID: "3",
        A.ACTIVITY_ATTEMPT: 1,
    },
}

type Tables = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def filled(made: Path) -> Path:
    """Runs that grew, that were told twice, that contradict; a reject; spans."""
    other = order()
    other.events[4].activity_task_scheduled_event_attributes.activity_id = "7"
    with open_warehouse(made) as warehouse:
        for cut in (7, 12, None):
            ingest(warehouse, [history_of(order(), upto=cut)])
        ingest(warehouse, [history_of(order(), upto=4, uri="early.json")])
        ingest(warehouse, [history_of(failed_order(), "run-2"), history_of(stuck_order(), "run-3")])
        ingest(warehouse, [history_of(other, uri="other.json")])
        ingest(warehouse, [Rejected("bad.json", HistoryError("bad.json", "is not JSON"))])
        with warehouse.transaction() as connection:
            store_spans(connection, span_rows(spans_of(ATTEMPT)).rows)
    return made


def tables(path: Path) -> Tables:
    with open_warehouse(path) as warehouse:
        return contents(warehouse)


def clocks(path: Path) -> list[tuple[object, ...]]:
    with open_warehouse(path) as warehouse:
        return warehouse.rows("SELECT * FROM raw.ingest_sources ORDER BY ALL")


def test_the_same_tables_come_out(filled: Path) -> None:
    before, entered = tables(filled), clocks(filled)
    told: list[tuple[int, int]] = []
    report = rebuild(filled, progress=lambda done, of: told.append((done, of)))
    assert report.replaced
    assert report.missing == []
    assert (report.runs, report.copied > 0) == (3, True)
    assert told[-1] == (5, 6)
    assert tables(filled) == before
    assert clocks(filled) == entered
    assert not list(filled.parent.glob("*.rebuilt*"))


def test_the_archive_alone_is_enough_for_runs(filled: Path) -> None:
    before = tables(filled)
    filled.write_bytes(b"not a database")
    with (Archive(filled).folder / "ledger.jsonl").open("ab") as ledger:
        ledger.write(b'\n{"source_sha256": "cut o')
    assert rebuild(filled).replaced
    after = tables(filled)
    for lost in ("core.spans", "raw.ingest_rejects", "raw.ingest_conflicts"):
        assert after.pop(lost) == []
        assert before.pop(lost)
    # What is settled with the help of spans is settled without them now.
    for settled in SETTLED_TABLES:
        assert len(after.pop(settled)) <= len(before.pop(settled))
    assert len(after.pop("core.attempts")) == len(before.pop("core.attempts")) - 1
    assert after == before


def test_nothing_is_replaced_when_a_history_is_missing(
    filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tables(filled)
    file = next(Archive(filled).folder.rglob("*.zst"))
    file.write_bytes(b"damaged")
    assert main(["rebuild", "--warehouse", str(filled), "--json"]) == Exit.FOUND
    captured = capsys.readouterr()
    row = json.loads(captured.out)
    assert not row["replaced"]
    assert "cannot be read" in row["missing"][0]
    assert "is left as it was" in captured.err
    assert tables(filled) == before
    file.unlink()
    out = tmp_path / "out.duckdb"
    report = rebuild(filled, out)
    assert f"has no {file.name.partition('.')[0]}" in report.missing[0]
    assert report.runs >= 2
    assert tables(filled) == before
    with pytest.raises(WarehouseError, match="is there already"):
        rebuild(filled, out)


def test_there_must_be_an_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no archive to make a warehouse from"):
        rebuild(tmp_path / "none.duckdb")
    assert list(tmp_path.iterdir()) == []
