"""The lake: what an export costs, what engines take to answer on it, and what a second core brings.

The runs of `benchmarks.queries` are exported whole, again when nothing and when one run has
changed. Then the same questions are asked of DuckDB and of ClickHouse (chdb), on all cores, and of
Spark: in one process on one and on two cores, and, if wanted, on one and on two executor processes
of one core each (`local-cluster`; driver and executors share this machine). JVMs have 1 GB. Engines
that are compared are asked in turn; the first answer, which compiles a question, is not counted.

    python -m benchmarks.lake                 two million events, in a temporary folder
    python -m benchmarks.lake --executors     and Spark with one and two executor processes
    python -m benchmarks.lake --no-spark      the export, DuckDB and ClickHouse only
    python -m benchmarks.lake --events N      fewer or more
    python -m benchmarks.lake --keep FILE     make the warehouse there, or use it if it is there
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics.lake.engines import chdb_engine, spark_engine
from analytics.lake.export import TableReport, export_lake
from analytics.lake.reader import open_lake
from analytics.warehouse import open_warehouse
from benchmarks.queries import make

_EVENTS = 2_000_000
_ROUNDS = 3
_QUESTIONS = {
    "events by type and day": (
        "SELECT event_type, CAST(event_time AS DATE) AS day, count(*) AS n,"
        " count(DISTINCT run_id) AS n_runs FROM core.events GROUP BY 1, 2"
    ),
    "mart.step_stats": "SELECT * FROM mart.step_stats",
    "mart.critical_steps": "SELECT * FROM mart.critical_steps",
    "mart.failure_groups": "SELECT * FROM mart.failure_groups",
    "mart.cost_by_workflow": "SELECT * FROM mart.cost_by_workflow",
}
_READY = "until it can be asked"

type Ask = Callable[[str], int]
"""Answers a question, and tells how many rows there were."""
type Open = Callable[[], AbstractContextManager[Ask]]


def main(arguments: list[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="time the lake")
    parser.add_argument("--events", type=int, default=_EVENTS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--executors", action="store_true")
    parser.add_argument("--no-spark", action="store_true")
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "lake.duckdb"
        if not path.exists():
            make(path, options.events)
        lake = Path(folder) / "lake"
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        _exports(path, lake)
        engines = {"DuckDB": partial(_duckdb, lake), "ClickHouse": partial(_clickhouse, lake)}
        _compare("DuckDB and ClickHouse, all cores", engines)
        if not options.no_spark:
            _compare_spark("Spark, one process", lake, ("local[1]", "local[2]"))
        if options.executors:
            _compare_spark("Spark, executors", lake, _CLUSTERS)
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 0


_CLUSTERS = ("local-cluster[1,1,1024]", "local-cluster[2,1,1024]")


def _exports(warehouse: Path, lake: Path) -> None:
    with open_warehouse(warehouse) as opened:
        [[events]] = opened.rows("SELECT count(*) FROM core.events")
    print(f"{events:,} events, {warehouse.stat().st_size / 1e6:.0f} MB as a warehouse\n")
    print("| export | s | CPU, s | s per million events | partitions written | rows | MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    _export("whole", warehouse, lake, events)
    _export("nothing has changed", warehouse, lake, events)
    with open_warehouse(warehouse) as opened:
        opened.connection.execute(
            "UPDATE core.runs SET close_reason = concat(close_reason, 'x') WHERE run_id ="
            " (SELECT max(run_id) FROM core.runs)"
        )
    _export("one run has changed", warehouse, lake, events)
    print()


def _export(what: str, warehouse: Path, lake: Path, events: int) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    reports: list[TableReport] = export_lake(warehouse, lake)
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    written = sum(report.written for report in reports)
    rows = sum(report.rows for report in reports)
    size = sum(report.bytes for report in reports) / 1e6
    each = wall / events * 1e6
    print(
        f"| {what} | {wall:.1f} | {used:.1f} | {each:.1f} | {written:,} | {rows:,} | {size:.0f} |",
        flush=True,
    )


@contextmanager
def _duckdb(lake: Path) -> Iterator[Ask]:
    with open_lake(lake) as connection:
        yield lambda sql: len(connection.execute(sql).fetchall())


@contextmanager
def _clickhouse(lake: Path) -> Iterator[Ask]:
    with chdb_engine(lake) as engine:
        yield lambda sql: len(engine.query(sql).rows)


@contextmanager
def _spark(lake: Path, master: str) -> Iterator[Ask]:
    memory = {"driver_memory": "1g", "executor_memory": "1g"}
    with spark_engine(lake, master=master, **memory) as engine:
        yield lambda sql: len(engine.query(sql).rows)


def _compare_spark(title: str, lake: Path, masters: tuple[str, str]) -> None:
    _compare(title, {name: partial(_spark, lake, name) for name in masters}, speed_up=True)


def _compare(title: str, engines: Mapping[str, Open], speed_up: bool = False) -> None:
    """Print what each engine takes for each question.

    Args:
        title: Of the table.
        engines: By name, how each is started.
        speed_up: Add a column: how many times as fast as the first engine the last one is.
    """
    started = {name: _Child(opened) for name, opened in engines.items()}
    _row(f"{title}: s", [*started, *(["1 to 2"] if speed_up else [])])
    _row("---", ["---:"] * (len(started) + speed_up))
    _row(_READY, [f"{child.ready_s:.2f}" for child in started.values()] + [""] * speed_up)
    for question, sql in _QUESTIONS.items():
        taken = _medians(list(started.values()), sql)
        ratio = [f"{taken[0] / taken[-1]:.2f}"] if speed_up else []
        _row(question, [f"{seconds:.2f}" for seconds in taken] + ratio)
    for child in started.values():
        child.end()
    print()


def _medians(engines: Sequence[_Child], sql: str) -> list[float]:
    """Of each engine; they answer in turn: what else the machine does slows all of them."""
    for engine in engines:
        engine.seconds(sql)
    rounds = [[engine.seconds(sql) for engine in engines] for _ in range(_ROUNDS)]
    return [statistics.median(taken) for taken in zip(*rounds, strict=True)]


def _row(first: str, cells: Iterable[str]) -> None:
    print(f"| {' | '.join((first, *cells))} |", flush=True)


class _Child:
    """An engine in a process of its own: there can be but one Spark in each."""

    def __init__(self, opened: Open) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_answer, args=(opened, other))
        self._process.start()
        other.close()
        self.ready_s = float(self._pipe.recv())

    def seconds(self, sql: str) -> float:
        """What an answer takes."""
        self._pipe.send(sql)
        seconds, rows = self._pipe.recv()
        if not rows:
            raise SystemExit(f"no rows; is the lake whole? {sql}")
        return float(seconds)

    def end(self) -> None:
        """Stop it."""
        self._pipe.send(None)
        self._process.join()


def _answer(opened: Open, pipe: Connection) -> None:
    """What a child does: tell how long the start took, then answer while there are questions."""
    start = time.perf_counter()
    with opened() as ask:
        pipe.send(time.perf_counter() - start)
        while sql := pipe.recv():
            start = time.perf_counter()
            rows = ask(sql)
            pipe.send((time.perf_counter() - start, rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
