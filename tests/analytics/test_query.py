"""People's SQL: what it may do, and how it is stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analytics.errors import QueryRefused, QueryTimeout, WarehouseError
from analytics.query import QueryLimits, run_query
from analytics.warehouse import Warehouse


@pytest.fixture
def stored(warehouse: Warehouse, path: Path) -> Path:
    warehouse.connection.execute(
        "INSERT INTO raw.ingest_rejects SELECT 'f' || i, 'is not JSON', TIMESTAMP '2026-01-01'"
        " FROM range(10) t(i)"
    )
    warehouse.close()
    return path


def test_an_answer_has_names_and_types(stored: Path) -> None:
    result = run_query(stored, "SELECT uri, 1 AS one FROM raw.ingest_rejects ORDER BY 1 LIMIT 1")
    assert (result.columns, result.types) == (("uri", "one"), ("VARCHAR", "INTEGER"))
    assert (result.rows, result.is_cut) == ([("f0", 1)], False)


def test_parameters_are_values_and_never_sql(stored: Path) -> None:
    sql = "SELECT count(*) FROM raw.ingest_rejects WHERE uri = $uri"
    assert run_query(stored, sql, params={"uri": "f3"}).rows == [(1,)]
    assert run_query(stored, sql, params={"uri": "' OR true --"}).rows == [(0,)]
    positional = "SELECT uri FROM raw.ingest_rejects WHERE uri = ?"
    assert run_query(stored, positional, params=["f4"]).rows == [("f4",)]


def test_too_many_rows_are_cut_off(stored: Path) -> None:
    sql = "FROM raw.ingest_rejects"
    cut = run_query(stored, sql, limits=QueryLimits(rows=9))
    assert (len(cut.rows), cut.is_cut) == (9, True)
    whole = run_query(stored, sql, limits=QueryLimits(rows=10))
    assert (len(whole.rows), whole.is_cut) == (10, False)
    assert len(run_query(stored, sql, limits=QueryLimits(rows=None)).rows) == 10


@pytest.mark.parametrize("sql", ["SHOW ALL TABLES", "DESCRIBE core.runs", "SUMMARIZE core.runs"])
def test_looking_around_is_allowed(stored: Path, sql: str) -> None:
    assert run_query(stored, sql).rows
    assert run_query(stored, f"EXPLAIN {sql}").rows


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM core.runs",
        "CREATE TABLE t (i INT)",
        "CREATE TEMP TABLE t (i INT)",
        "DROP VIEW mart.run_summary",
        "ATTACH ':memory:' AS m",
        "ATTACH '{path}' AS again",
        "COPY core.runs TO '{folder}/x.csv'",
        "COPY (SELECT 1) TO '{folder}/x.parquet'",
        "EXPLAIN ANALYZE COPY core.runs TO '{folder}/x.csv'",
        "EXPORT DATABASE '{folder}/x'",
        "INSTALL httpfs",
        "LOAD json",
        "SET threads = 1",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "CALL pragma_version()",
        "CHECKPOINT",
        "USE core",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('{folder}/*')",
        "SELECT * FROM '{path}'",
        "FROM glob('/*')",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
        "FROM duckdb_secrets()",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM core.runs",
        "",
        "-- nothing",
        "SELEC 1",
        "SELECT nothing FROM core.runs",
    ],
)
def test_all_else_is_refused_in_one_line(stored: Path, sql: str) -> None:
    text = sql.replace("{path}", str(stored)).replace("{folder}", str(stored.parent))
    before = sorted(stored.parent.iterdir())
    with pytest.raises(QueryRefused) as refused:
        run_query(stored, text)
    assert str(refused.value)
    assert "\n" not in str(refused.value)
    after = [path for path in stored.parent.iterdir() if "snapshot" not in path.name]
    assert sorted(after) == before
    assert run_query(stored, "SELECT count(*) FROM raw.ingest_rejects").rows == [(10,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(10000000000) a, range(10000000000) b",
        "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT count(*) FROM t",
    ],
)
def test_a_query_that_does_not_end_is_stopped(stored: Path, sql: str) -> None:
    with pytest.raises(QueryTimeout, match=r"stopped after 0\.5 s"):
        run_query(stored, sql, limits=QueryLimits(seconds=0.5))


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("FROM runs", '; Did you mean "core.runs"?'),
        ("SELECT workflow_typ FROM core.runs", '; Candidate bindings: "workflow_type", '),
    ],
)
def test_a_wrong_name_is_told_with_those_that_are_near(stored: Path, sql: str, hint: str) -> None:
    with pytest.raises(QueryRefused, match=re.escape(hint)) as caught:
        run_query(stored, sql)
    assert "\n" not in str(caught.value)


def test_a_query_that_needs_too_much_memory_is_refused(stored: Path) -> None:
    with pytest.raises(QueryRefused, match="needs more than 100MB of memory"):
        run_query(
            stored,
            "SELECT i, md5(i::VARCHAR) FROM range(20000000) t(i) ORDER BY 2",
            limits=QueryLimits(memory="100MB"),
        )


def test_reading_leaves_the_file_to_writers(warehouse: Warehouse, path: Path) -> None:
    with pytest.raises(WarehouseError, match="no snapshot yet"):
        run_query(path, "SELECT 1")
    warehouse.close()
    assert run_query(path, "SELECT 1").rows == [(1,)]
