"""An import that is killed, again and again, ends with the same warehouse as one that is not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.warehouse import open_warehouse
from tests.analytics.stories import history_of, order
from tests.analytics.test_ingest import contents

RUNS = 150
KILLS = 5

# Batches are made small, so that a kill finds several behind it and several before it.
_IMPORT = f"""
import sys
from analytics import ingest as module, staging
from analytics.warehouse import open_warehouse
from tests.analytics.stories import history_of, order
staging._BATCH_ITEMS = 5
with open_warehouse(sys.argv[1], wait_seconds=10) as warehouse:
    histories = (history_of(order(), f"run-{{n}}") for n in range({RUNS}))
    module.ingest(warehouse, histories, lambda report: print(report.runs_new, flush=True))
print("done", flush=True)
"""


def killed_after(path: Path, lines: int) -> str:
    """Run the import; kill it after so many batches. Its last line."""
    with subprocess.Popen(
        [sys.executable, "-c", _IMPORT, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            if process.stdout.readline() == "":
                break
        process.send_signal(signal.SIGKILL)
        last = process.stdout.read().splitlines()[-1:]
    return "".join(last)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is what a crash looks like")
def test_a_killed_import_can_be_repeated(path: Path) -> None:
    for kill in range(KILLS):
        assert killed_after(path, 1 + kill) != "done"
        with open_warehouse(path, wait_seconds=10) as warehouse:
            tables = contents(warehouse)
        stored = {row[:3] for row in tables["core.runs"]}
        assert len(tables["core.events"]) == len(stored) * len(order().events)
        assert len(tables["raw.ingest_sources"]) == len(stored)
        assert {row[:3] for row in tables["core.steps"]} == stored
    finished = subprocess.run(
        [sys.executable, "-c", _IMPORT, str(path)], capture_output=True, text=True, check=True
    )
    assert finished.stdout.endswith("done\n")
    with open_warehouse(path) as warehouse:
        result = contents(warehouse)
    assert len(result["core.runs"]) == RUNS
    with open_warehouse(path.with_name("once.duckdb")) as once:
        ingest(once, (history_of(order(), f"run-{n}") for n in range(RUNS)))
        assert contents(once) == result
