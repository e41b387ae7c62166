"""Snapshots as others read them: on DuckDB 1.5, while somebody writes, and after a crash."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.query import open_reader
from analytics.snapshot import publish_snapshot, reader_file, snapshot_path
from analytics.warehouse import open_warehouse
from tests.analytics.duckdb15_reader import answers
from tests.analytics.stories import failed_order, history_of, order, stuck_order

ROOT = Path(__file__).parents[2]
DUCKDB_15 = ROOT / ".duckdb15"
READER = Path(__file__).with_name("duckdb15_reader.py")

on_duckdb_15 = pytest.mark.skipif(
    not (DUCKDB_15 / "duckdb").exists(), reason="no DuckDB 1.5 here: make .duckdb15/installed"
)


def reading(*arguments: object) -> subprocess.Popen[str]:
    """The reader on DuckDB 1.5, started."""
    return subprocess.Popen(
        [sys.executable, str(READER), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(DUCKDB_15)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@on_duckdb_15
def test_every_table_and_view_has_the_same_rows_on_duckdb_15(made: Path) -> None:
    with open_warehouse(made) as warehouse:
        ingest(
            warehouse,
            [
                history_of(order()),
                history_of(failed_order(), "run-2", "order-2"),
                history_of(stuck_order(), "run-3", "order-3"),
            ],
        )
        publish_snapshot(warehouse)
    out, err = reading("answers", snapshot_path(made)).communicate(timeout=60)
    assert err == ""
    there = json.loads(out)
    with open_reader(made) as connection:
        here = answers(connection)
    assert there == here
    assert here["mart.run_summary"]
    assert here["mart.llm_calls"]


@on_duckdb_15
def test_readers_see_whole_batches_while_somebody_writes(made: Path) -> None:
    n_batches, per_batch = 6, 5
    snapshot = reader_file(made)
    readers = [reading("watch", snapshot, n_batches * per_batch) for _ in range(2)]
    n_events = len(order().events)
    with open_warehouse(made) as warehouse:
        for batch in range(n_batches):
            names = [f"order-{batch}-{number}" for number in range(per_batch)]
            ingest(warehouse, [history_of(order(), f"run-{name}", name) for name in names])
            publish_snapshot(warehouse)
    for reader in readers:
        out, err = reader.communicate(timeout=60)
        assert (reader.returncode, err) == (0, "")
        looks = [json.loads(line) for line in out.splitlines()]
        runs = [look[0] for look in looks]
        assert runs == sorted(runs)
        assert runs[-1] == n_batches * per_batch
        for n_runs, events, told, steps in looks:
            assert n_runs % per_batch == 0
            assert events == told == n_runs * n_events
            assert steps == n_runs * (looks[-1][3] // runs[-1])


def test_a_publisher_that_is_killed_leaves_the_last_snapshot(made: Path) -> None:
    snapshot = reader_file(made)
    before = snapshot.stat()
    with open_warehouse(made) as warehouse:
        ingest(warehouse, [history_of(order(), f"run-{n}", f"order-{n}") for n in range(20)])
    code = (
        "import sys; from analytics.snapshot import publish_snapshot;"
        " from analytics.warehouse import open_warehouse;"
        " w = open_warehouse(sys.argv[1]); print('ready', flush=True);"
        " [publish_snapshot(w) for _ in iter(int, 1)]"
    )
    publisher = subprocess.Popen(
        [sys.executable, "-c", code, str(made)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    while not list(made.parent.glob("*.tmp")):
        assert publisher.poll() is None
    publisher.kill()
    publisher.communicate()
    assert publisher.returncode == -signal.SIGKILL
    assert snapshot.stat().st_mtime_ns >= before.st_mtime_ns
    with open_reader(made) as connection:
        [[n_runs]] = connection.execute("SELECT count(*) FROM core.runs").fetchall()
    assert n_runs in {0, 20}


def test_what_a_killed_publisher_left_is_cleared_away(made: Path, tmp_path: Path) -> None:
    old = made.with_name("w.snapshot.duckdb.0000.tmp")
    others = [
        made.with_name("w.snapshot.duckdb.1111.tmp"),
        made.with_name("x.snapshot.duckdb.0.tmp"),
    ]
    for file in (old, old.with_name(f"{old.name}.wal"), *others):
        shutil.copy(made, file)
    for file in (old, old.with_name(f"{old.name}.wal"), others[1]):
        os.utime(file, (time.time() - 2 * 86400,) * 2)
    reader_file(made)
    # One that is being written now, and another warehouse's, are not touched.
    assert sorted(made.parent.glob("*.tmp*")) == sorted(others)
