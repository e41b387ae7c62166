"""Queries of people: whatever they try, an answer or one line comes, in time and within memory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.errors import QueryError, QueryRefused, QueryTimeout, QueryTooLarge
from analytics.guarded import GuardedReader
from analytics.ingest import ingest
from analytics.query import QueryLimits, memory_bytes
from analytics.snapshot import publish_snapshot
from analytics.warehouse import open_warehouse
from tests.analytics.stories import history_of, order

WRITES = [
    "DELETE FROM core.runs",
    "WITH gone AS (DELETE FROM core.runs RETURNING *) FROM gone",
    "EXPLAIN ANALYZE DELETE FROM core.runs",
    "INSERT INTO raw.ingest_rejects VALUES ('u', 'e', now())",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE OR REPLACE MACRO ref.share(a, b) AS 1",
    "DROP VIEW mart.run_summary",
    "COMMENT ON TABLE core.runs IS 'mine'",
    "ALTER TABLE core.runs ADD COLUMN x INT",
    "VACUUM",
    "FROM force_checkpoint()",
    "BEGIN",
]
FILES = [
    "FROM read_text('/etc/passwd')",
    "FROM read_blob('/etc/passwd')",
    "FROM read_csv('/etc/passwd', header = false)",
    "FROM read_json('{folder}/*')",
    "FROM read_parquet('https://example.com/x.parquet')",
    "FROM read_duckdb('{other}')",
    "FROM sniff_csv('/etc/passwd')",
    "FROM parquet_metadata('/etc/passwd')",
    "FROM glob('/etc/*')",
    "FROM '/etc/passwd'",
    "FROM query_table('/etc/passwd')",
    "FROM query('FROM read_text(''/etc/passwd'')')",
    "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''/etc/passwd'')'))",
    "COPY core.runs TO '{folder}/out.csv'",
    "COPY (SELECT 1) TO '{folder}/out.parquet'",
    "EXPLAIN ANALYZE COPY core.runs TO '{folder}/out.csv'",
    "COPY raw.ingest_rejects FROM '/etc/passwd'",
    "EXPORT DATABASE '{folder}/out'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{other}' AS other",
    "ATTACH ':memory:' AS other",
    "FROM enable_logging(storage = 'file', storage_path = '{folder}/log')",
]
SETTINGS = [
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/mine.duckdb_extension'",
    "FORCE INSTALL json FROM community",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "RESET ALL",
    "SET VARIABLE x = 1",
    "PRAGMA memory_limit = '100GB'",
    "PRAGMA enable_profiling",
    "CALL enable_logging()",
    "FROM enable_logging()",
    "CREATE SECRET s (TYPE s3)",
    "FROM duckdb_secrets()",
    "USE raw",
]
TRICKS = [
    "SELECT 1; DELETE FROM core.runs",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY core.runs TO '{folder}/out.csv'",
    "PREPARE p AS DELETE FROM core.runs",
    "EXECUTE p",
    "SELECT getenv('CANARY')",
    "FROM question",
    "FROM limits",
    "FROM pandas_scan(1)",
    "FROM python_map_function((SELECT 1), 1)",
    "",
    "-- nothing",
    "SELEC 1",
    "\x00",
]
ENDLESS = [
    "SELECT count(*) FROM range(10000000000) a, range(10000000000) b WHERE a.range + b.range = 7",
    "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT max(i) FROM t",
    "SELECT sleep_ms(1000000)",
    # DuckDB looks at no clock within one call.
    "SELECT levenshtein(repeat('ab', 100000), repeat('ba', 100000))",
]
GREEDY = [
    "SELECT length(repeat('x', 4000000000))",
    "SELECT list_sum(range(1000000000))",
    "SELECT repeat('x', 1000000) FROM range(100000)",
    "SELECT i, md5(i::VARCHAR) FROM range(20000000) t(i) ORDER BY 2",
    "FROM range(100000000) a JOIN range(100000000) b ON a.range = b.range ORDER BY ALL",
]


@pytest.fixture(scope="module")
def warehouse_file(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guarded") / "w.duckdb"
    shutil.copy(empty, path)
    with open_warehouse(path) as warehouse:
        ingest(warehouse, [history_of(order())])
        publish_snapshot(warehouse)
    open_warehouse(path.with_name("other.duckdb")).close()
    return path


@pytest.fixture(scope="module")
def reader(warehouse_file: Path) -> GuardedReader:
    return GuardedReader(warehouse_file)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_size, file.stat().st_ino) for file in folder.iterdir()}


@pytest.mark.parametrize("sql", [*WRITES, *FILES, *SETTINGS, *TRICKS])
def test_all_but_reading_is_refused_in_one_line(
    reader: GuardedReader, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reader.path.parent
    text = sql.replace("{folder}", str(folder)).replace("{other}", str(folder / "other.duckdb"))
    before = files(folder)
    for as_arrow in (False, True):
        with pytest.raises(QueryRefused) as refused:
            list(reader.ask(text, as_arrow=as_arrow).rows())
        assert re.fullmatch(r"\S.*", str(refused.value))
        assert "root:" not in str(refused.value)
    assert files(folder) == before
    assert reader.ask("SELECT count(*) FROM core.runs").held_rows() == [(1,)]


def test_nothing_of_the_environment_can_be_found(
    warehouse_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-7f3a")
    with GuardedReader(warehouse_file) as reader:
        for catalog in ("duckdb_settings()", "duckdb_variables()", "pragma_user_agent()"):
            rows = reader.ask(f"FROM {catalog}").held_rows()
            assert "canary-7f3a" not in str(rows)


@pytest.mark.parametrize("sql", ENDLESS)
def test_what_does_not_end_is_stopped(warehouse_file: Path, sql: str) -> None:
    with GuardedReader(warehouse_file, QueryLimits(seconds=0.5)) as reader:
        with pytest.raises(QueryTimeout, match=r"stopped after 0\.5 s"):
            reader.ask(sql).held_rows()
        assert reader.ask("SELECT 1").held_rows() == [(1,)]


def test_an_answer_that_never_ends_is_stopped_too(warehouse_file: Path) -> None:
    limits = QueryLimits(seconds=1, rows=None)
    with GuardedReader(warehouse_file, limits) as reader:
        for as_arrow in (False, True):
            answer = reader.ask("FROM range(1000000000000)", as_arrow=as_arrow)
            with pytest.raises(QueryTimeout):
                for _ in answer.batches() if as_arrow else answer.rows():
                    pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, the system keeps no such limit")
@pytest.mark.parametrize("sql", GREEDY)
def test_what_needs_too_much_memory_is_refused(warehouse_file: Path, sql: str) -> None:
    with GuardedReader(warehouse_file, QueryLimits(memory="100MB")) as reader:
        for as_arrow in (False, True):
            with pytest.raises(QueryTooLarge, match="needs more than 100MB of memory"):
                for _ in reader.ask(sql, as_arrow=as_arrow)._packs():
                    pass
        assert reader.ask("SELECT 1").held_rows() == [(1,)]


def test_an_answer_to_be_held_whole_has_a_limit(warehouse_file: Path) -> None:
    sql = "SELECT repeat('x', 1000) AS x FROM range(100000)"
    with GuardedReader(warehouse_file, QueryLimits(memory="50MB", rows=None)) as reader:
        with pytest.raises(QueryTooLarge, match="its answer is larger than 50MB"):
            reader.ask(sql).held_rows()
        assert sum(1 for _ in reader.ask(sql).rows()) == 100_000


def test_rows_and_batches_are_the_same_answer(reader: GuardedReader) -> None:
    sql = "SELECT i, md5(i::VARCHAR) AS h FROM range(2500) t(i) ORDER BY i"
    rows = reader.ask(sql).held_rows()
    answer = reader.ask(sql, as_arrow=True)
    assert answer.arrow_schema.names == ["i", "h"]
    batches = [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]
    assert rows == batches
    assert len(rows) == 2500


@pytest.mark.parametrize("as_arrow", [False, True])
def test_the_limit_of_rows_is_exact(warehouse_file: Path, as_arrow: bool) -> None:
    for limit, n_rows, is_cut in ((1500, 1500, True), (2500, 2500, False), (3000, 2500, False)):
        with GuardedReader(warehouse_file, QueryLimits(rows=limit)) as reader:
            answer = reader.ask("FROM range(2500)", as_arrow=as_arrow)
            if as_arrow:
                assert sum(batch.num_rows for batch in answer.batches()) == n_rows
            else:
                assert len(list(answer.rows())) == n_rows
            assert answer.is_cut is is_cut


def test_values_are_not_sql(reader: GuardedReader) -> None:
    sql = "SELECT count(*) FROM core.runs WHERE workflow_id = ?"
    assert reader.ask(sql, ["' OR true --"]).held_rows() == [(0,)]


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("SELECT INTERVAL 1 MONTH", ("1 month",)),
        ("SELECT INTERVAL 14 MONTH AS a, 2 AS a, NULL; -- é;", ("1 year 2 months", 2, None)),
        ("SELECT ';--' AS é, INTERVAL 90 SECOND -- c", (";--", "00:01:30")),
        ("VALUES (NULL::INTERVAL, -INTERVAL 500 MILLISECOND)", (None, "-00:00:00.5")),
        ("WITH i AS (SELECT INTERVAL 1 YEAR y) SELECT [y], [y]::INTERVAL[1] FROM i;",
         (["1 year"], ("1 year",))),
        ("SELECT {'x \" y': INTERVAL 1 DAY, 'z': 2::HUGEINT}", ({'x " y': "1 day", "z": 2},)),
        ("SELECT MAP {INTERVAL 1 DAY: [INTERVAL 2 DAY]}", ({"1 day": ["2 days"]},)),
        ("SELECT union_value(u := INTERVAL 1 DAY)", ("1 day",)),
        ("SELECT INTERVAL (3 - i) MONTH AS s FROM range(3) t(i) ORDER BY s", ("1 month",)),
        ("SELECT [{'INTERVAL': 1}] AS \"INTERVAL\"", ([{"INTERVAL": 1}],)),
    ],
)  # fmt: skip
def test_intervals_are_told_as_duckdb_tells_them(
    reader: GuardedReader, sql: str, row: tuple[object, ...]
) -> None:
    assert reader.ask(sql).held_rows()[0] == row


def test_the_next_query_sees_the_next_snapshot(warehouse_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    shutil.copy(warehouse_file, path)
    with GuardedReader(path) as reader:
        assert reader.ask("SELECT count(*) FROM core.runs").held_rows() == [(1,)]
        with open_warehouse(path) as warehouse:
            ingest(warehouse, [history_of(order(), "run-2")])
            publish_snapshot(warehouse)
        assert reader.ask("SELECT count(*) FROM core.runs").held_rows() == [(2,)]


def test_a_query_that_crashes_its_process_is_one_line(reader: GuardedReader) -> None:
    reader.ask("SELECT 1").held_rows()
    process = reader._child._process
    assert process is not None
    os.kill(process.pid, signal.SIGSEGV)
    with pytest.raises(
        QueryError, match=r"its process ended (with signal SIGSEGV|before all rows)"
    ):
        reader.next_piece()
    assert reader.ask("SELECT 1").held_rows() == [(1,)]


def test_no_process_stays_behind(warehouse_file: Path) -> None:
    with GuardedReader(warehouse_file) as reader:
        reader.ask("FROM range(10)")
        process = reader._child._process
        assert process is not None
    assert process.poll() is not None
    assert subprocess.run(["ps", "-p", str(process.pid)], capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("text", "n_bytes"), [("512MB", 512 * 10**6), ("1.5GiB", 3 << 29), ("2 gb", 2 * 10**9)]
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert memory_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "2", "GB", "-1GB", "2XB", "1e3MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        memory_bytes(text)
