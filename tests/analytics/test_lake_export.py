"""The lake: exact, brought up to date in place, and whole whenever somebody looks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics.errors import LakeError, WarehouseBusy
from analytics.ingest import ingest
from analytics.lake.export import TableReport, export_lake
from analytics.lake.manifest import MANIFEST, partition_folder, read_manifest
from analytics.lake.reader import open_lake
from analytics.query import open_reader
from analytics.spans import span_rows, store_spans
from analytics.warehouse import open_warehouse
from replayer.history import RunHistory
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, history_of, order, stuck_order
from tracer.identity import RunKey

RUNS = [
    history_of(order()),
    history_of(failed_order(), "run-2", "order-2"),
    history_of(stuck_order(), "run-3", "order-3"),
]
SCHEMAS = ("core", "mart")
HOSTILE = ["", "../../etc", "a/b=c", "*?[x]{y}", "ünï 漢字", "it's", "%2E", "n" * 300, ".", "CON"]


def in_namespace(history: RunHistory, namespace: str) -> RunHistory:
    key = RunKey(namespace, history.key.workflow_id, history.key.run_id)
    return replace(history, key=key)


def filled(path: Path, *histories: RunHistory) -> Path:
    with open_warehouse(path) as warehouse:
        ingest(warehouse, histories or RUNS)
    return path


def by_table(reports: list[TableReport]) -> dict[str, TableReport]:
    return {report.table: report for report in reports}


def tables_of(
    connection: duckdb.DuckDBPyConnection, schemas: Sequence[str]
) -> dict[str, list[str]]:
    """Every row of the tables and views of these schemas, as text."""
    names = connection.execute(
        "SELECT DISTINCT schema_name || '.' || table_name FROM duckdb_columns()"
        " WHERE schema_name IN (SELECT unnest(?)) AND NOT internal",
        [list(schemas)],
    ).fetchall()
    return {
        name: sorted(map(repr, connection.execute(f"FROM {name}").fetchall())) for (name,) in names
    }


def assert_equal(warehouse: Path, lake: Path, *schemas: str) -> None:
    with open_lake(lake) as copy, open_reader(warehouse) as original:
        assert tables_of(copy, schemas or SCHEMAS) == tables_of(original, schemas or SCHEMAS)


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}


def test_the_lake_has_the_rows_of_the_warehouse(made: Path, tmp_path: Path) -> None:
    filled(made)
    export_lake(made, tmp_path / "lake")
    assert_equal(made, tmp_path / "lake")


def test_an_empty_warehouse_makes_an_empty_lake(made: Path, tmp_path: Path) -> None:
    assert {report.rows for report in export_lake(made, tmp_path / "lake")} == {0}
    assert_equal(made, tmp_path / "lake")


def test_what_has_not_changed_is_not_written(made: Path, tmp_path: Path) -> None:
    filled(made)
    lake = tmp_path / "lake"
    export_lake(made, lake)
    before = files_in(lake)
    assert {report.written for report in export_lake(made, lake)} == {0}
    assert files_in(lake) == before


def test_an_open_run_that_grew_replaces_its_rows(made: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    filled(made, history_of(order(), upto=8), in_namespace(RUNS[1], "other"))
    export_lake(made, lake)
    untouched = {path for path in files_in(lake) if "namespace=other" in path}
    filled(made, history_of(order()))
    reports = by_table(export_lake(made, lake))
    assert reports["core.events"].written == 1
    assert untouched
    assert {path for path in files_in(lake) if "namespace=other" in path} == untouched
    assert_equal(made, lake)
    manifest = {file.path for table in read_manifest(lake).tables for file in table.files}
    assert files_in(lake) == manifest


def test_spans_that_come_late_move_to_the_day_of_their_run(made: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    span = {
        "id": 1,
        "name": "chat",
        "start": 200_000.0,
        "attributes": {
            "temporalWorkflowID": "order-1",
            "temporalRunID": "run-1",
            "gen_ai.operation.name": "chat",
        },
    }
    with open_warehouse(made) as warehouse, warehouse.transaction() as connection:
        store_spans(connection, span_rows(spans_of(span)).rows)
    export_lake(made, lake)
    (lonely,) = [path for path in files_in(lake) if path.startswith("core.spans/")]
    filled(made, RUNS[0])
    reports = by_table(export_lake(made, lake))
    assert (reports["core.spans"].written, reports["core.spans"].removed) == (1, 1)
    (joined,) = [path for path in files_in(lake) if path.startswith("core.spans/")]
    run = next(path for path in files_in(lake) if path.startswith("core.runs/"))
    assert lonely.split("/")[1:3] != run.split("/")[1:3]
    assert joined.split("/")[1:3] == run.split("/")[1:3]
    assert_equal(made, lake)


def test_rows_that_are_gone_leave_the_lake(made: Path, tmp_path: Path) -> None:
    filled(made, RUNS[0], in_namespace(RUNS[1], "other"))
    export_lake(made, tmp_path / "lake")
    with open_warehouse(made) as warehouse:
        for table in ("runs", "steps", "events", "failures"):
            warehouse.connection.execute(f"DELETE FROM core.{table} WHERE namespace = 'other'")
    assert by_table(export_lake(made, tmp_path / "lake"))["core.runs"].removed == 1
    assert_equal(made, tmp_path / "lake")


def test_since_leaves_earlier_days_alone(made: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    filled(made)
    tomorrow = date(9999, 1, 1)
    assert by_table(export_lake(made, lake, since=tomorrow))["core.runs"].rows == 0
    export_lake(made, lake)
    before = files_in(lake)
    filled(made, in_namespace(RUNS[0], "later"))
    report = by_table(export_lake(made, lake, since=tomorrow))["core.runs"]
    assert (report.written, report.removed, report.rows) == (0, 0, 3)
    assert files_in(lake) == before


def test_a_namespace_can_have_any_name(made: Path, tmp_path: Path) -> None:
    filled(made, *(in_namespace(history_of(order(), name[:9]), name) for name in HOSTILE))
    lake = tmp_path / "lake"
    export_lake(made, lake)
    assert_equal(made, lake, "core")
    assert {path.name for path in tmp_path.iterdir()} == {
        "lake",
        "w.duckdb",
        "w.duckdb.archive",
        "w.snapshot.duckdb",
    }
    assert {len(path.split("/")) for path in files_in(lake)} == {4}
    assert len(list(lake.glob("core.runs/*/*/*.parquet"))) == len(HOSTILE)
    assert max(len(part) for path in files_in(lake) for part in path.split("/")) < 256


def test_partitions_are_named_as_hive_does() -> None:
    named = partition_folder("core.runs", "a b/c", "2026-01-02")
    assert named == "core.runs/namespace=a%20b%2Fc/day=2026-01-02"
    unknown = partition_folder("core.runs", None, None)
    assert unknown.count("__HIVE_DEFAULT_PARTITION__") == 2
    long = {partition_folder("core.runs", "é" * n, "2026-01-02") for n in range(900, 903)}
    assert len(long) == 3


def test_any_engine_finds_the_files_by_their_pattern(made: Path, tmp_path: Path) -> None:
    filled(made)
    export_lake(made, tmp_path / "lake")
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT namespace, day::VARCHAR FROM read_parquet(?, hive_partitioning=true)",
            [f"{tmp_path}/lake/core.runs/*/*/*.parquet"],
        ).fetchall()
    with open_reader(made) as reader:
        sql = "SELECT DISTINCT namespace, started_at::DATE::VARCHAR FROM core.runs"
        assert rows == reader.execute(sql).fetchall()


def test_files_are_zstd_compressed(made: Path, tmp_path: Path) -> None:
    filled(made)
    export_lake(made, tmp_path / "lake")
    with duckdb.connect() as connection:
        compressions = connection.execute(
            "SELECT DISTINCT compression FROM parquet_metadata(?)",
            [f"{tmp_path}/lake/**/*.parquet"],
        ).fetchall()
    assert compressions == [("ZSTD",)]


def test_files_that_the_manifest_does_not_name_are_not_read(made: Path, tmp_path: Path) -> None:
    """An export that is at work puts new files beside those that they will replace."""
    filled(made)
    lake = tmp_path / "lake"
    export_lake(made, lake)
    for path in files_in(lake):
        shutil.copy(lake / path, (lake / path).with_name("abc.parquet"))
    assert_equal(made, lake)
    export_lake(made, lake)
    assert not [path for path in files_in(lake) if path.endswith("abc.parquet")]


def test_a_file_that_is_missing_is_written_again(made: Path, tmp_path: Path) -> None:
    filled(made)
    lake = tmp_path / "lake"
    export_lake(made, lake)
    next(lake.glob("core.steps/*/*/*.parquet")).unlink()
    assert by_table(export_lake(made, lake))["core.steps"].written == 1
    assert_equal(made, lake)


def test_files_of_others_are_left_alone(made: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    (lake / "core.runs").mkdir(parents=True)
    mine = [lake / "notes.txt", lake / "core.runs" / "mine.parquet", lake / "my.data"]
    for file in mine:
        file.write_text("mine")
    filled(made)
    export_lake(made, lake)
    assert [file.read_text() for file in mine] == ["mine"] * 3


def test_two_exports_do_not_share_a_folder(made: Path, tmp_path: Path) -> None:
    filled(made)
    lake = tmp_path / "lake"
    export_lake(made, lake)
    holder = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True);"
        " sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(lake / ".export.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WarehouseBusy, match="another export is at work"):
            export_lake(made, lake)
        process.communicate("")


def test_a_damaged_journal_is_made_anew(made: Path, tmp_path: Path) -> None:
    filled(made)
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / ".export.duckdb").write_bytes(b"half a page")
    export_lake(made, lake)
    assert_equal(made, lake)


DAMAGES: list[Callable[[Any], object]] = [
    lambda document: document.update(format=99),
    lambda document: document.update(schema_version=99),
    lambda document: document.update(schema_version=1),
    lambda document: document.pop("tables"),
    lambda document: document["tables"][0].update(name="core.runs AS SELECT 1; --"),
    lambda document: document["tables"][0]["columns"][0].update(type="INT); DROP"),
    lambda document: document["tables"][0]["columns"].pop(),
    *(
        lambda document, path=path: _first_file(document).update(path=path)
        for path in ("core.runs/../../secret.parquet", "/etc/passwd", "core.runs/./a.parquet")
    ),
]


def _first_file(document: Any) -> dict[str, object]:
    found = document["tables"][0]["partitions"][0]["files"][0]
    assert isinstance(found, dict)
    return found


def test_a_manifest_is_not_trusted(made: Path, tmp_path: Path) -> None:
    filled(made)
    lake = tmp_path / "lake"
    export_lake(made, lake)
    text = (lake / MANIFEST).read_text()
    for damage in DAMAGES:
        document = json.loads(text)
        damage(document)
        (lake / MANIFEST).write_text(json.dumps(document))
        with pytest.raises(LakeError) as raised:
            open_lake(lake)
        assert "\n" not in str(raised.value)


def test_no_lake_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake here; `retrospan lake export` makes one"):
        open_lake(tmp_path)


def test_a_folder_that_engines_would_expand_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="without any of"):
        export_lake(made, tmp_path / "lake[1]")


def test_a_reader_of_the_lake_reaches_nothing_else(made: Path, tmp_path: Path) -> None:
    filled(made)
    export_lake(made, tmp_path / "lake")
    (tmp_path / "lake-other").mkdir()
    secret = tmp_path / "lake-other" / "secret.csv"
    secret.write_text("a\n1\n")
    with open_lake(tmp_path / "lake") as connection:
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM read_csv('{tmp_path}/lake/../lake-other/secret.csv')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{made}' AS w",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
    assert not (tmp_path / "out.csv").exists()


_EXPORT = """
import sys
from analytics.lake import export
export._BATCH = 1
export.export_lake(sys.argv[1], sys.argv[2], progress=lambda *_: print("batch", flush=True))
print("done", flush=True)
"""


def killed_after(warehouse: Path, lake: Path, batches: int) -> str:
    """Run an export; kill it after so many batches. Its last line."""
    with subprocess.Popen(
        [sys.executable, "-c", _EXPORT, str(warehouse), str(lake)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(batches):
            if process.stdout.readline() == "":
                break
        process.send_signal(signal.SIGKILL)
        return "".join(process.stdout.read().splitlines()[-1:])


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is what a crash looks like")
def test_a_killed_export_goes_on_where_it_was(made: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    old = [in_namespace(RUNS[n % 3], f"old-{n}") for n in range(3)]
    filled(made, *old)
    export_lake(made, lake)
    stale = Path(shutil.copy(made, tmp_path / "stale.duckdb"))
    filled(made, *(in_namespace(RUNS[n % 3], f"new-{n}") for n in range(9)))
    for kill in range(3):
        assert killed_after(made, lake, 5 + 5 * kill) != "done"
        assert_equal(stale, lake, "core")  # Nothing of the new runs is to be seen before all is.
    total = sum(report.partitions for report in export_lake(made, tmp_path / "whole"))
    written = sum(report.written for report in export_lake(made, lake))
    assert 0 < written <= total - 3 * 5
    assert_equal(made, lake, "core")
    manifest = {file.path for table in read_manifest(lake).tables for file in table.files}
    assert files_in(lake) == manifest
