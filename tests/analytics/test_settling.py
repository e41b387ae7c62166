"""What is settled depends on the facts alone: not on their order, nor on how often it is done."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import duckdb

from analytics.ingest import apply_batch, ingest
from analytics.migrations import schema_files
from analytics.query import run_query
from analytics.settling import SETTLED_TABLES, settle_all, settle_pending
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse, open_warehouse
from tests.analytics.golden_runs import HISTORIES, SPANS, fill
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, failure, history_of, order
from tests.event_builder import EventBuilder

type Tables = dict[str, list[tuple[object, ...]]]


def settled(warehouse: Warehouse) -> Tables:
    return {t: warehouse.rows(f"SELECT * FROM {t} ORDER BY ALL") for t in SETTLED_TABLES}


def store(warehouse: Warehouse, *spans: dict[str, object]) -> None:
    with warehouse.transaction() as connection:
        store_spans(connection, span_rows(spans_of(*spans)).rows)
    settle_pending(warehouse.connection)


def test_settling_everything_again_changes_nothing(warehouse: Warehouse) -> None:
    fill(warehouse)
    before = settled(warehouse)
    assert all(before.values())
    with warehouse.transaction() as connection:
        settle_all(connection)
    assert settled(warehouse) == before


def test_spans_may_come_first_and_in_parts(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse)
    with open_warehouse(tmp_path / "other.duckdb") as other:
        store(other, *SPANS[1::2])
        store(other, *SPANS[::2])
        for history in reversed(HISTORIES):
            ingest(other, [history])
        assert settled(other) == settled(warehouse)


def test_a_run_that_grows_is_settled_anew(warehouse: Warehouse, tmp_path: Path) -> None:
    ingest(warehouse, [history_of(order(), upto=12)])
    ingest(warehouse, [history_of(order())])
    with open_warehouse(tmp_path / "other.duckdb") as other:
        ingest(other, [history_of(order())])
        assert settled(other) == settled(warehouse)


def _parent() -> EventBuilder:
    """Its child fails, and that fails the step of the parent."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.1)
    asked = events.add(
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        0.1,
        workflow_id="order-2",
        workflow_type={"name": "Customs"},
    )
    child = {"workflow_id": "order-2", "run_id": "run-2"}
    started = events.add(
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        0.2,
        initiated_event_id=asked,
        workflow_execution=child,
        workflow_type={"name": "Customs"},
    )
    events.add(
        "CHILD_WORKFLOW_EXECUTION_FAILED",
        0.9,
        initiated_event_id=asked,
        started_event_id=started,
        workflow_execution=child,
        workflow_type={"name": "Customs"},
        failure=failure("429 for order 99"),
    )
    return events


def test_a_failure_moves_to_the_child_once_its_run_is_known(warehouse: Warehouse) -> None:
    places = "SELECT workflow_id, owner_kind FROM mart.failure_occurrences"
    ingest(warehouse, [history_of(_parent())])
    assert warehouse.rows(places) == [("order-1", "step")]
    child = failed_order()
    started = child.events[0].workflow_execution_started_event_attributes
    started.parent_workflow_execution.workflow_id = "order-1"
    started.parent_workflow_execution.run_id = "run-1"
    ingest(warehouse, [history_of(child, "run-2", "order-2")])
    assert warehouse.rows(places) == [("order-2", "attempt")]


def test_a_warehouse_of_an_older_version_is_settled(made: Path) -> None:
    """Its rows are kept; branches and tool calls are read from the spans that it has."""
    with open_warehouse(made) as warehouse:
        fill(warehouse)
        now = settled(warehouse)
        branches = warehouse.rows("SELECT * FROM core.branches ORDER BY ALL")
        tools = warehouse.rows("SELECT outcome, error_type FROM core.tool_calls ORDER BY ALL")
    old = made.with_name("old.duckdb")
    _make_old(old, made)
    with open_warehouse(old) as newer:
        assert newer.rows("SELECT * FROM core.branches ORDER BY ALL") == branches
        assert newer.rows("SELECT outcome, error_type FROM core.tool_calls ORDER BY ALL") == tools
        then = settled(newer)
    assert {t: len(rows) for t, rows in then.items()} == {t: len(rows) for t, rows in now.items()}
    assert then["core.run_time"] == now["core.run_time"]


def _make_old(path: Path, of: Path) -> None:
    """A warehouse as the third schema file left it, with the rows of one of today."""
    with duckdb.connect(path) as connection:
        run = connection.execute
        for file in schema_files():
            if file.number <= 3:
                run(file.sql)
        run(f"ATTACH '{of}' AS today (READ_ONLY)")
        columns = "SELECT list(column_name) FROM duckdb_columns() WHERE database_name = ?"
        of_table = f"{columns} AND schema_name = ? AND table_name = ?"
        tables = run(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'old'"
        ).fetchall()
        for schema, table in tables:
            ours, theirs = (
                run(of_table, [file, schema, table]).fetchall()[0][0] for file in ("old", "today")
            )
            shared = ", ".join(column for column in ours if column in theirs)
            name = f"{schema}.{table}"
            run(f"INSERT INTO {name} ({shared}) SELECT {shared} FROM today.{name}")
        run("DELETE FROM ref.schema_version WHERE number > 3")
        run("DETACH today")


def test_a_rule_that_differs_settles_all_runs(made: Path) -> None:
    with open_warehouse(made) as warehouse:
        fill(warehouse)
        before = settled(warehouse)
        warehouse.connection.execute("DELETE FROM core.settled_runs")
        rule = next(file.number for file in schema_files() if file.settles)
        warehouse.connection.execute(
            "UPDATE ref.schema_version SET sha256 = '' WHERE number = ?", [rule]
        )
    with open_warehouse(made) as renewed:
        assert settled(renewed) == before


def test_what_a_killed_writer_left_open_is_settled_for_readers_and_by_the_next_writer(
    made: Path,
) -> None:
    count = "SELECT count(*) FROM mart.run_summary"
    with suppress(RuntimeError), open_warehouse(made) as warehouse:
        with warehouse.transaction():
            apply_batch(warehouse, [history_of(order())])
        raise RuntimeError
    assert run_query(made, count).rows == [(1,)]
    with open_warehouse(made) as warehouse:
        assert warehouse.rows(count) == [(1,)]
        assert warehouse.rows("SELECT * FROM raw.unsettled") == []
