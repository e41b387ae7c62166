"""The file: who may open it, its schema, and what is said when it cannot be used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from analytics import migrations
from analytics.errors import WarehouseBusy, WarehouseError
from analytics.migrations import SCHEMA_VERSION, schema_files
from analytics.query import run_query
from analytics.runs import list_runs
from analytics.warehouse import Warehouse, connect, open_warehouse

_HOLDER = """
import sys
from analytics.warehouse import open_warehouse
with open_warehouse(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[None]:
    """Another process has the warehouse open."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield


def test_opening_makes_the_schema_and_opening_again_keeps_it(path: Path) -> None:
    with open_warehouse(path / "deep" / "w.duckdb") as made:
        first = made.rows("SELECT * FROM ref.schema_version ORDER BY number")
        assert [row[1] for row in first] == [file.name for file in schema_files()]
    with open_warehouse(path / "deep" / "w.duckdb") as again:
        assert again.rows("SELECT * FROM ref.schema_version ORDER BY number") == first


def test_the_file_is_written_for_duckdb_1_5_clients(warehouse: Warehouse, path: Path) -> None:
    warehouse.close()
    # The storage version number is the first integer after the magic bytes; 1.5 reads 64 to 68.
    data = path.read_bytes()[:64]
    assert data[8:12] == b"DUCK"
    assert 64 <= int.from_bytes(data[12:20], "little") <= 68


def test_one_process_writes_at_a_time(made: Path) -> None:
    with (
        held_elsewhere(made),
        pytest.raises(WarehouseBusy, match="another process is writing to it"),
    ):
        open_warehouse(made)
    open_warehouse(made).close()


def test_one_part_of_a_process_writes_at_a_time(warehouse: Warehouse, path: Path) -> None:
    with pytest.raises(WarehouseBusy, match="another part of this process"):
        open_warehouse(path)
    warehouse.close()
    open_warehouse(path).close()


def test_views_are_renewed_when_they_differ(warehouse: Warehouse, path: Path) -> None:
    warehouse.connection.execute("DROP VIEW mart.run_summary")
    warehouse.connection.execute("CREATE VIEW mart.gone AS SELECT 1 AS one")
    warehouse.connection.execute("UPDATE ref.schema_version SET sha256 = '' WHERE number >= 100")
    warehouse.close()
    with open_warehouse(path) as renewed:
        views = renewed.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal")
    assert ("run_summary",) in views
    assert ("gone",) not in views


def test_tables_are_added_forward(made: Path) -> None:
    """A warehouse of an older version gets what is new and keeps its rows."""
    with duckdb.connect(made) as connection:
        run = connection.execute
        run("INSERT INTO raw.ingest_rejects VALUES ('a.json', 'not JSON', TIMESTAMP '2026-01-01')")
        for kind, objects in (("VIEW", "duckdb_views()"), ("TABLE", "duckdb_tables()")):
            name = f"{kind.lower()}_name"
            found = run(f"SELECT schema_name, {name} FROM {objects} WHERE NOT internal").fetchall()
            for schema, thing in found:
                if kind == "VIEW" or schema == "core" or thing == "unsettled":
                    run(f"DROP {kind} {schema}.{thing}")
        run("DROP MACRO ref.share")
        run("DELETE FROM ref.schema_version WHERE number >= 3")
    with open_warehouse(made) as newer:
        assert newer.rows("SELECT uri FROM raw.ingest_rejects") == [("a.json",)]
        assert newer.rows("SELECT * FROM mart.run_summary") == []


def test_a_warehouse_of_a_newer_version_is_refused(warehouse: Warehouse, path: Path) -> None:
    warehouse.connection.execute(
        "INSERT INTO ref.schema_version VALUES (99, '099_future.sql', '', TIMESTAMP '2030-01-01')"
    )
    warehouse.close()
    with pytest.raises(WarehouseError, match=rf"version 99, .* knows {SCHEMA_VERSION}; upgrade"):
        open_warehouse(path)


def test_a_failed_migration_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (
        *schema_files(),
        migrations.SchemaFile(199, "199_broken.sql", "SELECT * FROM nothing"),
    )
    monkeypatch.setattr(migrations, "schema_files", lambda: broken)
    with pytest.raises(duckdb.CatalogException):
        open_warehouse(path)
    monkeypatch.undo()
    with open_warehouse(path) as whole:
        assert whole.rows("SELECT count(*) FROM mart.run_summary") == [(0,)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"hello" * 1000, "not a DuckDB file"), (b"", None)],
)
def test_a_file_of_something_else(path: Path, content: bytes, reason: str | None) -> None:
    path.write_bytes(content)
    with pytest.raises(WarehouseError, match=reason) as caught:
        open_warehouse(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["runs.json", "runs.csv", "runs.parquet"])
@pytest.mark.parametrize("content", [b"", b'{"one": 1}\n'])
def test_a_file_that_duckdb_would_show_is_no_warehouse(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WarehouseError, match="not a DuckDB file; name another"):
        open_warehouse(path)
    with pytest.raises(WarehouseError, match="not a DuckDB file; name another"):
        connect(path, read_only=True)
    assert path.read_bytes() == content


def test_a_warehouse_may_have_any_name(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    open_warehouse(path).close()
    with connect(path, read_only=True) as again:
        assert again.execute("SELECT count(*) FROM core.runs").fetchall() == [(0,)]


def test_a_duckdb_file_of_something_else_is_not_touched(path: Path) -> None:
    with duckdb.connect(path) as other:
        other.execute("CREATE TABLE theirs AS SELECT 1 AS one")
    with pytest.raises(WarehouseError, match="not a Retrospan warehouse"):
        open_warehouse(path)
    with duckdb.connect(path) as other:
        assert other.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("theirs",)]


def test_a_duckdb_file_of_something_else_is_not_read(path: Path) -> None:
    with duckdb.connect(path) as other:
        other.execute("CREATE TABLE theirs AS SELECT 1 AS one")
    with pytest.raises(WarehouseError, match="not a Retrospan warehouse"):
        list_runs(path)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_warehouse_that_was_never_filled_is_named(path: Path) -> None:
    duckdb.connect(path).close()
    with pytest.raises(WarehouseError, match="nothing was stored in it yet"):
        list_runs(path)
    open_warehouse(path).close()
    assert list_runs(path) == []


def test_what_another_version_made_says_so(made: Path) -> None:
    with duckdb.connect(made) as old:
        old.execute("DELETE FROM ref.schema_version WHERE number >= 100")
        old.execute("DROP VIEW mart.run_summary; DROP VIEW mart.llm_calls")
    with pytest.raises(WarehouseError, match="another version of Retrospan made it"):
        list_runs(made)
    with pytest.raises(WarehouseError, match="another version of Retrospan made it"):
        run_query(made, "FROM mart.llm_calls")
    open_warehouse(made).close()
    assert list_runs(made) == []


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match="cannot make this folder"):
        open_warehouse(tmp_path / "file" / "w.duckdb")


def test_reading_makes_no_file(path: Path) -> None:
    with pytest.raises(WarehouseError, match="no such warehouse"):
        connect(path, read_only=True)
    assert not path.exists()


def test_a_transaction_that_stayed_open_fails_one_more_and_not_all(warehouse: Warehouse) -> None:
    warehouse.connection.execute("BEGIN")
    with pytest.raises(duckdb.TransactionException), warehouse.transaction():
        pass
    with warehouse.transaction() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert warehouse.rows("SELECT one FROM kept") == [(1,)]
