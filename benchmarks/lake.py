"""The lake: what an export costs, and what a second executor of Spark brings.

The runs of `benchmarks.queries` are exported whole, again when nothing and when one run has
changed, and then asked the same questions by DuckDB and by Spark on one and on two executor
processes of one core each (`local-cluster`, all on this machine). Spark starts anew for each number
of executors and round, in turn; the first answer to a question, which compiles it, is not counted.

    python -m benchmarks.lake                 two million events, in a temporary folder
    python -m benchmarks.lake --events N      fewer or more
    python -m benchmarks.lake --keep FILE     make the warehouse there, or use it if it is there
    python -m benchmarks.lake --no-spark      the export and DuckDB only
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics.lake.export import TableReport, export_lake
from analytics.lake.reader import open_lake
from analytics.warehouse import open_warehouse
from benchmarks.queries import make

_EVENTS = 2_000_000
_ROUNDS = 3
_REPEATS = 3
_QUESTIONS = {
    "events by type and day": (
        "SELECT event_type, CAST(event_time AS DATE) AS day, count(*) AS n,"
        " count(DISTINCT run_id) AS n_runs FROM core.events GROUP BY 1, 2"
    ),
    "mart.step_stats": "SELECT * FROM mart.step_stats",
    "mart.critical_steps": "SELECT * FROM mart.critical_steps",
    "mart.cost_by_workflow": "SELECT * FROM mart.cost_by_workflow",
}
type Ask = Callable[[str], object]


def main(arguments: list[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="time the lake")
    parser.add_argument("--events", type=int, default=_EVENTS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--no-spark", action="store_true")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "lake.duckdb"
        if not path.exists():
            make(path, options.events)
        lake = Path(folder) / "lake"
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        _exports(path, lake)
        _questions(lake, executors=() if options.no_spark else (1, 2))
    return 0


def _exports(warehouse: Path, lake: Path) -> None:
    print("| export | s | CPU, s | partitions written | rows | MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    _export("whole", warehouse, lake)
    _export("nothing has changed", warehouse, lake)
    with open_warehouse(warehouse) as opened:
        opened.connection.execute(
            "UPDATE core.runs SET close_reason = 'changed' WHERE run_id ="
            " (SELECT max(run_id) FROM core.runs)"
        )
    _export("one run has changed", warehouse, lake)


def _export(what: str, warehouse: Path, lake: Path) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    reports: list[TableReport] = export_lake(warehouse, lake)
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    written = sum(report.written for report in reports)
    rows = sum(report.rows for report in reports)
    size = sum(report.bytes for report in reports) / 1e6
    print(f"| {what} | {wall:.1f} | {used:.1f} | {written:,} | {rows:,} | {size:.0f} |", flush=True)


def _questions(lake: Path, executors: tuple[int, ...]) -> None:
    times: dict[tuple[str, str], list[float]] = {}
    with open_lake(lake) as connection:
        _ask(times, "DuckDB", lambda sql: connection.execute(sql).fetchall())
    for _ in range(_ROUNDS):
        for count in executors:
            from analytics.lake.engines import spark_engine

            with spark_engine(lake, master=f"local-cluster[{count},1,1024]") as engine:
                _ask(times, f"Spark, {count}", engine.query)
    engines = list(dict.fromkeys(engine for _, engine in times))
    print(f"\n| question, s | {' | '.join(engines)} | 1 to 2 |")
    print(f"| --- | {'---: | ' * len(engines)}---: |")
    for question in _QUESTIONS:
        medians = [statistics.median(times[question, engine]) for engine in engines]
        ratio = f"{medians[-2] / medians[-1]:.2f}" if len(executors) == 2 else ""
        print(f"| {question} | {' | '.join(f'{m:.2f}' for m in medians)} | {ratio} |")


def _ask(times: dict[tuple[str, str], list[float]], engine: str, ask: Ask) -> None:
    for question, sql in _QUESTIONS.items():
        ask(sql)
        for _ in range(_REPEATS):
            start = time.perf_counter()
            ask(sql)
            times.setdefault((question, engine), []).append(time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
