"""Spark and ClickHouse answer what DuckDB answers, for every view that there is."""

from __future__ import annotations

import importlib.util
import os
import shutil
from ipaddress import ip_address
from pathlib import Path

import pytest

from analytics.errors import LakeError
from analytics.ingest import ingest
from analytics.lake.catalog import catalog
from analytics.lake.engines import Engine, chdb_engine, spark_engine
from analytics.lake.export import export_lake
from analytics.lake.reader import open_lake
from analytics.warehouse import open_warehouse
from replayer.history import read_histories
from tests.analytics import golden_runs
from tests.analytics.lake_rows import differences
from tests.analytics.lake_runs import generated_runs

VIEWS = [name for name in catalog().views if name.startswith(("mart.", "ref."))]
_PICKED = {"mart.payload_headroom": ("example_",)}
"""Where payloads are as large as each other, an engine may show any of them."""
_ROOT = Path(__file__).parent.parent.parent


def _missing(package: str, program: str | None = None) -> str | None:
    """Why an engine cannot be tested here; in CI nothing may be missing."""
    if os.environ.get("CI"):
        return None
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed: pip install 'retrospan[lake]'"
    return f"no {program} here" if program and not shutil.which(program) else None


def _needs(package: str, program: str | None = None) -> pytest.MarkDecorator:
    reason = _missing(package, program)
    return pytest.mark.skipif(reason is not None, reason=reason or "")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the golden tests' runs, of many generated ones, and of other programs' where there are."""
    folder = tmp_path_factory.mktemp("engines")
    with open_warehouse(folder / "w.duckdb") as warehouse:
        golden_runs.fill(warehouse)
        ingest(warehouse, generated_runs(60))
        corpus = _ROOT.parent / "shared" / "corpus"
        if corpus.is_dir():
            ingest(warehouse, read_histories([str(corpus)]))
    export_lake(folder / "w.duckdb", folder / "lake")
    return folder / "lake"


def _compared(engine: Engine, lake: Path) -> dict[str, list[str]]:
    """What each view answers differently; views that agree are left out."""
    found = {}
    with open_lake(lake) as connection:
        for view in VIEWS:
            expected = connection.execute(f"FROM {view}")
            columns = [column[0] for column in expected.description or []]
            answer = engine.query(f"SELECT * FROM {view}")
            told = differences(
                columns,
                expected.fetchall(),
                answer.columns,
                answer.rows,
                _PICKED.get(view, ()),
            )
            if told:
                found[view] = told[:3]
    return found


def test_there_are_rows_to_compare(lake: Path) -> None:
    with open_lake(lake) as connection:
        counts = {
            view: connection.execute(f"SELECT count(*) FROM {view}").fetchall()[0][0]
            for view in VIEWS
        }
    assert len(counts) > 30
    assert [view for view, count in counts.items() if count == 0] == []


@pytest.mark.slow
@_needs("chdb")
def test_every_view_on_clickhouse(lake: Path) -> None:
    with chdb_engine(lake) as engine:
        assert _compared(engine, lake) == {}


_SMALL_DATA = {
    # What takes time here is to compile, not to run.
    "sql_codegen_wholeStage": "false",
    "sql_adaptive_enabled": "false",
    "sql_shuffle_partitions": "2",
    "driver_extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "executor_extraJavaOptions": "-XX:TieredStopAtLevel=1",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@_needs("pyspark", "java")
def test_every_view_on_spark_with_two_executors(lake: Path) -> None:
    """One session for everything: it takes long to start."""
    master = "local-cluster[2,1,1024]"
    with spark_engine(lake, master=master, **_SMALL_DATA) as engine:
        processes = _java_processes()
        assert len(processes) == 3, "a driver and two executors"
        assert _compared(engine, lake) == {}
        with pytest.raises(LakeError, match="Spark refuses it"):
            engine.query("SELECT CAST(workflow_id AS INTEGER) FROM mart.run_summary")
        assert _listening(processes) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert not _java_processes() & processes


def _java_processes() -> set[int]:
    """Of this test: the JVMs below it."""
    below = {os.getpid()}
    parents = {int(stat.parent.name): _parent(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
    for _ in range(8):
        below |= {pid for pid, parent in parents.items() if parent in below}
    return {pid for pid in below if _program(pid) == "java"}


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _listening(pids: set[int]) -> set[str]:
    """Addresses on which these processes listen."""
    found = set()
    for pid in pids:
        sockets = {
            link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()
        }
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    found.add(_address(fields[1].partition(":")[0]))
    return found


def _address(text: str) -> str:
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    return str(ip_address(b"".join(words)))
