"""An import that is killed, again and again, ends with the same warehouse as one that is not."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from analytics.ingest import IngestReport
from analytics.pool import Part
from analytics.warehouse import open_warehouse
from analytics.writer import open_writer
from benchmarks.generated_histories import write_files
from tests.analytics.test_ingest import contents

RUNS, EVENTS = 130, 30
KILLS = 20
FILES_PER_TRANSACTION = 5
# Each process would read them anew; nothing here starts a thread.
_PRELOADED = ["pytest", "hypothesis", "replayer.history", "analytics.run_rows"]


def imported(path: Path, folder: Path, workers: int, told: Connection | None) -> None:
    """Import the folder in small transactions; tell of each."""

    def tell(report: IngestReport, _parts: Sequence[Part]) -> None:
        if told is not None:
            told.send(report.runs_new)

    with pytest.MonkeyPatch.context() as small, open_writer(path) as opened:
        small.setattr("analytics.pool._JOB_FILES", FILES_PER_TRANSACTION)
        small.setattr("analytics.pool._PART_EVENTS", FILES_PER_TRANSACTION * EVENTS)
        small.setattr("analytics.writer._TRANSACTION_PARTS", 1)
        opened.import_files([folder], workers=workers, told=tell)


def kill_after(path: Path, folder: Path, workers: int) -> None:
    """Import in a process of its own until it tells that something new is stored; kill it then."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    ours, theirs = context.Pipe()
    process = context.Process(target=imported, args=(path, folder, workers, theirs))
    process.start()
    theirs.close()
    while ours.recv() == 0:
        pass
    process.kill()
    process.join()
    ours.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is what a crash looks like")
def test_a_killed_import_can_be_repeated(path: Path, tmp_path: Path) -> None:
    folder, _ = write_files(tmp_path / "files", RUNS, EVENTS)
    stored = 0
    for kill in range(KILLS):
        kill_after(path, folder, workers=2 if kill % 7 == 3 else 1)
        with open_warehouse(path, wait_seconds=10) as warehouse:
            ((runs, events, ledger, steps),) = warehouse.rows(
                "SELECT (SELECT count(*) FROM core.runs), (SELECT count(*) FROM core.events),"
                " (SELECT count(*) FROM raw.ingest_sources),"
                " (SELECT count(DISTINCT run_id) FROM core.steps)"
            )
        assert stored < runs < RUNS
        stored = runs
        assert (events, ledger, steps) == (runs * EVENTS, runs, runs)
    imported(path, folder, 1, None)
    once = path.with_name("once.duckdb")
    imported(once, folder, 1, None)
    with open_warehouse(path) as killed, open_warehouse(once) as whole:
        assert len(contents(killed)["core.runs"]) == RUNS
        assert contents(killed) == contents(whole)
