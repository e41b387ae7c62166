"""Histories into tables: exactly once, whole, and growing with the run."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Memo

from analytics.ingest import IngestReport, Item, ingest
from analytics.tables import insert_arrow
from analytics.warehouse import Warehouse, open_warehouse
from replayer.history import HistoryError, Rejected, RunHistory, iter_payloads
from tests.analytics.stories import failed_order, history_of, order, stuck_order
from tests.event_builder import EventBuilder, payload
from tracer.model.payloads import size_of

_CLOCKS = {"ingested_at", "rejected_at", "found_at", "applied_at"}


def contents(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    """Every table's rows, without the times at which they were stored."""
    tables = warehouse.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal"
    )
    result = {}
    for (table,) in tables:
        names = [name for name, *_ in warehouse.rows(f"DESCRIBE {table}") if name not in _CLOCKS]
        result[table] = warehouse.rows(f"SELECT {', '.join(names)} FROM {table} ORDER BY ALL")
    return result


def test_a_run_is_stored_with_all_that_its_history_tells(warehouse: Warehouse) -> None:
    report = ingest(warehouse, [history_of(order())])
    assert report == IngestReport(runs_new=1, events_new=len(order().events))
    (run,) = warehouse.rows(
        "SELECT workflow_type, status, is_closed, duration_s, n_events, started_by, memo,"
        " payload_bytes, original_run_id FROM core.runs"
    )
    size = warehouse.rows("SELECT sum(n_bytes) FROM core.payloads")[0][0]
    memo = '{"customer":"ACME"}'
    count = len(order().events)
    assert run == ("Order", "COMPLETED", True, 71.2, count, "cli@host", memo, size, "run-1")
    assert warehouse.rows(
        "SELECT step_id, seq, outcome, n_attempts, queue_s, retry_s FROM core.steps ORDER BY seq"
    ) == [
        ("activity:1", 1, "completed", 1, 0.4, None),
        ("timer:2", 2, "canceled", 0, None, None),
        ("activity:3", 3, "completed", 3, None, 7.3),
    ]
    assert warehouse.rows("SELECT DISTINCT is_provisional FROM core.events") == [(False,)]
    assert warehouse.rows("SELECT value FROM core.payloads_json WHERE slot = 'memo.customer'") == [
        ('"ACME"',)
    ]


def test_importing_twice_changes_nothing(warehouse: Warehouse) -> None:
    items: list[Item] = [
        history_of(order()),
        history_of(failed_order(), "run-2"),
        history_of(stuck_order(), "run-3"),
        Rejected("bad.json", HistoryError("bad.json", "is not JSON")),
    ]
    ingest(warehouse, items)
    before = contents(warehouse)
    report = ingest(warehouse, items)
    assert report == IngestReport(runs_unchanged=3, rejected=1)
    assert contents(warehouse) == before


def test_the_same_run_from_another_file_is_the_same_run(warehouse: Warehouse) -> None:
    history = history_of(order())
    as_json = RunHistory(
        history.key,
        history.key_source,
        type(history.origin)("other.json", "json", "f" * 64, 3),
        history.events,
        b"{ }",
    )
    ingest(warehouse, [history])
    before = contents(warehouse)
    assert ingest(warehouse, [as_json]) == IngestReport(runs_unchanged=1)
    after = contents(warehouse)
    assert len(after.pop("raw.ingest_sources")) == len(before.pop("raw.ingest_sources")) + 1
    assert after == before


def test_a_run_twice_in_one_batch_is_stored_once(warehouse: Warehouse) -> None:
    report = ingest(warehouse, [history_of(order(), upto=10), history_of(order())])
    assert (report.runs_new, report.runs_extended) == (1, 1)
    assert warehouse.rows("SELECT count(*) FROM core.runs") == [(1,)]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(1, len(order().events)), max_size=5), seed=st.integers(0, 100))
def test_exports_of_a_growing_run_come_to_the_whole_run(
    empty: Path, tmp_path: Path, cuts: list[int], seed: int
) -> None:
    """Whichever exports of an open run came, in whichever order."""
    whole = history_of(order())
    pieces = [history_of(order(), upto=cut) for cut in cuts] + [whole]
    random.Random(seed).shuffle(pieces)
    results = []
    for histories in (pieces, [whole]):
        path = shutil.copy(empty, tmp_path / "grow.duckdb")
        with open_warehouse(path) as grown:
            for history in histories:
                assert ingest(grown, [history]).conflicts == 0
            result = contents(grown)
        del result["raw.ingest_sources"], result["raw.archive"]
        results.append(result)
    assert results[0] == results[1]


def test_a_contradicting_history_is_left_out_and_recorded(warehouse: Warehouse) -> None:
    ingest(warehouse, [history_of(order())])
    before = contents(warehouse)
    other = order()
    other.events[4].activity_task_scheduled_event_attributes.activity_id = "7"
    other.add("WORKFLOW_EXECUTION_SIGNALED", 99.0, signal_name="late")
    for _ in range(2):
        report = ingest(warehouse, [history_of(other, uri="other.json")])
        assert report == IngestReport(conflicts=1)
    after = contents(warehouse)
    ((*key, event_id, kept, seen, _, uri),) = after.pop("raw.ingest_conflicts")
    assert (key, event_id, uri) == (["default", "order-1", "run-1"], 5, "other.json")
    assert kept != seen
    del before["raw.ingest_conflicts"]
    assert after == before


def test_a_batch_that_fails_leaves_nothing(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(warehouse)

    def failing(connection: DuckDBPyConnection, table: str, rows: pa.Table) -> int:
        if table == "core.llm_calls":
            raise OSError("the disk is full")
        return insert_arrow(connection, table, rows)

    monkeypatch.setattr("analytics.ingest.insert_arrow", failing)
    with pytest.raises(OSError, match="the disk is full"):
        ingest(warehouse, [history_of(order())])
    assert contents(warehouse) == before
    monkeypatch.undo()
    assert ingest(warehouse, [history_of(order())]).runs_new == 1


def test_events_that_the_server_takes_back_are_replaced(warehouse: Warehouse) -> None:
    """A retried workflow task is shown at the end of an open history, then its ids are reused."""
    stuck = stuck_order()
    ingest(warehouse, [history_of(stuck)])
    assert warehouse.rows("SELECT event_id FROM core.events WHERE is_provisional ORDER BY 1") == [
        (5,),
        (6,),
    ]
    later = EventBuilder()
    later.events = stuck.events[:4]
    later.add("WORKFLOW_EXECUTION_SIGNALED", 20.0, signal_name="nudge")
    later.task(20.1)
    report = ingest(warehouse, [history_of(later)])
    assert (report.runs_extended, report.conflicts) == (1, 0)
    assert warehouse.rows("SELECT event_type FROM core.events WHERE event_id = 5") == [
        ("WORKFLOW_EXECUTION_SIGNALED",)
    ]
    assert ingest(warehouse, [history_of(stuck, uri="old.json")]).runs_unchanged == 1
    assert warehouse.rows("SELECT is_stuck FROM core.runs") == [(False,)]


def test_progress_tells_how_far_it_is(warehouse: Warehouse) -> None:
    told: list[IngestReport] = []
    histories = [history_of(order(), f"run-{n}") for n in range(501)]
    report = ingest(warehouse, histories, told.append)
    assert [r.runs_new for r in told] == [500, 501]
    assert told[-1] == report


def test_half_a_surrogate_pair_in_a_memo_is_null(warehouse: Warehouse) -> None:
    events = order()
    fields = {"bad": payload('"\\ud800"'), "good": payload("1")}
    started = events.events[0].workflow_execution_started_event_attributes
    started.memo.CopyFrom(Memo(fields=fields))
    ingest(warehouse, [history_of(events)])
    assert warehouse.rows("SELECT memo FROM core.runs") == [('{"bad":null,"good":1}',)]


def test_claims_of_sizes_elsewhere_do_not_overflow_a_sum(warehouse: Warehouse) -> None:
    events = order()
    claims = [9 * 10**18, 5]
    for size, event in zip(claims, events.events, strict=False):
        reference = payload("{}")
        reference.external_payloads.add(size_bytes=size)
        event.user_metadata.details.CopyFrom(reference)
    before = sum(map(size_of, (p for e in order() for *_, p in iter_payloads(e))))
    ingest(warehouse, [history_of(events)])
    assert warehouse.rows("SELECT payload_bytes FROM core.runs") == [(before + 2 + 5,)]
