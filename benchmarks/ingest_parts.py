"""Where the time of an import goes: microseconds of processor time per event, part by part.

One process imports the same generated histories piece by piece, each part timed on its own; the
official reader, which only parses JSON, stands beside them. Parts take turns; figures are medians.

Usage: `python -m benchmarks.ingest_parts [RUNS]`
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import WorkflowHistory

from analytics.archive import packed
from analytics.columns import Block
from analytics.event_rows import EventRows
from analytics.ingest import apply_batch
from analytics.run_rows import derived_blocks
from analytics.settling import settle_pending
from analytics.staging import stage, staged_schemas
from analytics.warehouse import open_warehouse
from benchmarks.generated_histories import write_files
from replayer.history import RunHistory, read_histories
from tracer.model import Run, run_from_events, uncollected

RUNS, EVENTS = 200, 200
ROUNDS = 3

type Took = dict[str, float]
"""Seconds of processor time by part."""


def timed[T](took: Took, part: str, job: Callable[[], T]) -> T:
    """Do a part."""
    begun = time.process_time()
    result = job()
    took[part] = time.process_time() - begun
    return result


def one_round(as_json: Path, as_protobuf: Path, runs: int) -> Took:
    """All parts once."""
    took: Took = {}
    texts = [file.read_text() for file in sorted(as_json.iterdir())[: runs // 10]]
    timed(took, "from_json", lambda: [WorkflowHistory.from_json("any", text) for text in texts])
    took["from_json"] *= runs / len(texts)
    histories = timed(took, "reading JSON", lambda: _read(as_json))
    timed(took, "reading protobuf", lambda: _read(as_protobuf))
    timed(took, "compressing", lambda: [packed(h.raw, h.origin.sha256) for h in histories])
    models = timed(took, "model", lambda: [run_from_events(h.key, h.events) for h in histories])
    modelled = models, histories
    timed(took, "rows of events and payloads", lambda: _event_rows(*modelled))
    timed(took, "rows of all else", lambda: derived_blocks(*modelled, [0] * len(models)))
    _store(took, histories)
    return took


def _read(folder: Path) -> list[RunHistory]:
    return [found for found in read_histories([folder]) if isinstance(found, RunHistory)]


def _event_rows(models: list[Run], histories: list[RunHistory]) -> dict[str, Block]:
    rows = EventRows()
    for history, run in zip(histories, models, strict=True):
        rows.add(history, is_closed=run.is_closed)
    return rows.blocks()


def _store(took: Took, histories: list[RunHistory]) -> None:
    with TemporaryDirectory() as place, open_warehouse(Path(place, "w.duckdb")) as warehouse:
        schemas = staged_schemas(warehouse.connection)
        timed(took, "staging", lambda: stage(histories, schemas))

        def store() -> None:
            with warehouse.transaction():
                apply_batch(warehouse, histories)

        timed(took, "storing", store)
        timed(took, "settling", lambda: settle_pending(warehouse.connection))
    took["Arrow"] = took["staging"] - sum(took[part] for part in _STAGING)
    took["DuckDB"] = took.pop("storing") - took.pop("staging")


_STAGING = ("compressing", "model", "rows of events and payloads", "rows of all else")
"""What staging does before it hands its rows to Arrow."""


def main(arguments: list[str]) -> None:
    """Print the table."""
    runs = int(arguments[0]) if arguments else RUNS
    with TemporaryDirectory() as place, uncollected():
        as_json, as_protobuf = write_files(Path(place), runs, EVENTS)
        rounds = [one_round(as_json, as_protobuf, runs) for _ in range(ROUNDS)]
    medians = {part: statistics.median(took[part] for took in rounds) for part in rounds[0]}
    oracle = medians.pop("from_json")
    events = runs * EVENTS
    print(f"{events:,} events, medians of {ROUNDS} rounds, load {os.getloadavg()[0]:.1f}\n")
    print("| part | µs CPU per event | of `from_json` |\n| --- | ---: | ---: |")
    for part, seconds in medians.items():
        print(f"| {part} | {seconds / events * 1e6:.1f} | {seconds / oracle:.0%} |")
    print(f"| `from_json`, for comparison | {oracle / events * 1e6:.1f} | 100% |")


if __name__ == "__main__":
    main(sys.argv[1:])
