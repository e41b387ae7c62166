"""How long each documented view and macro takes over ten million events.

A hundred runs of agents are imported, with the spans of half of them; SQL copies their rows under
new ids and at other times until there are as many events as asked for, and every run is settled.
Each view is then asked for everything: those that add up for all their rows, those that list for
how many values each of their columns has (`count(COLUMNS(*))`); and, where they have a run's key,
for one run.

    python -m benchmarks.queries                 ten million events, in a temporary folder
    python -m benchmarks.queries --events N      fewer or more
    python -m benchmarks.queries --keep FILE     make the warehouse there, or use it if it is there
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from analytics.ingest import ingest
from analytics.settling import SETTLED_TABLES, settle_all
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse, open_warehouse
from benchmarks.queried_runs import RUNS, history, spans

_EVENTS = 10_000_000
_LIMIT_S = 1.0
_ROUNDS = 3
_COPIES_AT_ONCE = 25

_MACROS = {
    "mart.compare_sets": (
        "FROM mart.compare_sets((SELECT list(run_id) FROM mart.run_summary WHERE status ="
        " 'FAILED'), (SELECT list(run_id) FROM mart.run_summary WHERE status = 'COMPLETED'))"
    ),
    "mart.reset_repeats": "FROM mart.reset_repeats($run_id, 40)",
    "mart.slo_burn": "FROM mart.slo_burn(target := 0.99, max_s := 600)",
    "mart.step_latency": "FROM mart.step_latency()",
    "mart.top_failures": "FROM mart.top_failures()",
}


def main(arguments: list[str]) -> int:
    """Print the table; 1 if something takes longer than it may."""
    parser = argparse.ArgumentParser(description="time every view over many events")
    parser.add_argument("--events", type=int, default=_EVENTS)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "queries.duckdb"
        if not path.exists():
            make(path, options.events)
        with open_warehouse(path):  # A kept one gets the views and rules of this version.
            pass
        with duckdb.connect(path, read_only=True) as connection:
            return _report(connection)


def make(path: Path, events: int) -> None:
    """Make a warehouse with about so many events."""
    with open_warehouse(path) as warehouse:
        ingest(warehouse, [history(number) for number in range(RUNS)])
        with warehouse.transaction() as connection:
            for number in range(0, RUNS, 2):
                store_spans(connection, span_rows(spans(number)).rows)
    with open_warehouse(path) as warehouse:
        [[stored]] = warehouse.rows("SELECT count(*) FROM core.events")
        start, cpu = time.perf_counter(), time.process_time()
        _copy(warehouse, events // stored - 1)
        _say("copied", start, cpu)
        start, cpu = time.perf_counter(), time.process_time()
        with warehouse.transaction() as connection:
            settle_all(connection)
        _say("settled", start, cpu)


def _say(what: str, start: float, cpu: float) -> None:
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    print(f"{what} in {wall:.1f} s ({used:.1f} s of CPU)", file=sys.stderr)


def _copy(warehouse: Warehouse, copies: int) -> None:
    """Copy each row of `core` so many times; what is settled comes from that."""
    tables = warehouse.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'")
    # Payloads say nothing that a view here adds up, and would only fill the disk.
    wanted = {f"core.{name}" for (name,) in tables} - {*SETTLED_TABLES, "core.payloads"}
    for table in sorted(wanted):
        columns = warehouse.rows(
            "SELECT column_name, data_type FROM duckdb_columns()"
            " WHERE schema_name || '.' || table_name = ? ORDER BY column_index",
            [table],
        )
        names = ", ".join(name for name, _ in columns)
        values = ", ".join(f"{_changed(name, kind)} AS {name}" for name, kind in columns)
        warehouse.connection.execute(f"CREATE TEMP TABLE one AS SELECT * FROM {table}")
        for first in range(1, copies + 1, _COPIES_AT_ONCE):
            last = min(first + _COPIES_AT_ONCE, copies + 1)
            warehouse.connection.execute(
                f"INSERT INTO {table} ({names})"
                f" SELECT {values} FROM range({first}, {last}) c(n), one"
            )
        warehouse.connection.execute("DROP TABLE one")


def _changed(name: str, kind: str) -> str:
    if name == "run_id" or name.endswith("_run_id") or name == "trace_id":
        return f"md5(concat({name}, n))"
    if name == "span_id" or name.endswith("_span_id"):
        return f"substr(md5(concat({name}, n)), 1, 16)"
    if name == "workflow_id" or name.endswith("_workflow_id"):
        return f"concat({name}, '-', n)"
    if kind == "TIMESTAMP_NS":
        return f"make_timestamp_ns(epoch_ns({name}) + n * 600_000_000_000)"
    if kind == "TIMESTAMP":
        return f"{name} + to_minutes(10 * n)"
    return name


def _report(connection: duckdb.DuckDBPyConnection) -> int:
    counts = "SELECT count(*) FROM core.{}"
    rows = {t: connection.sql(counts.format(t)).fetchall()[0][0] for t in _COUNTED}
    print(", ".join(f"{rows[table]:,} {table}" for table in _COUNTED))
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, medians of {_ROUNDS}\n")
    [[run]] = connection.sql("SELECT max(run_id) FROM core.runs").fetchall()
    print("| view or macro | rows | everything, s | CPU, s | one run, s |")
    print("| --- | ---: | ---: | ---: | ---: |")
    slow = []
    for name, whole, one in _queries(connection):
        wall, cpu, found = _timed(connection, whole, run)
        single = f"{_timed(connection, one, run)[0]:.3f}" if one else ""
        print(f"| {name} | {found:,} | {wall:.3f} | {cpu:.3f} | {single} |", flush=True)
        if wall > _LIMIT_S:
            slow.append(name)
    if slow:
        print(f"\nslower than {_LIMIT_S:g} s: {', '.join(slow)}")
    return 1 if slow else 0


_COUNTED = ("events", "runs", "steps", "attempts", "llm_calls", "spans", "branches", "tool_calls")


def _queries(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str, str]]:
    """Name, the query for everything, and the one for one run, if it makes sense."""
    views = connection.sql(
        "SELECT v.schema_name || '.' || view_name, list_contains(list(column_name), 'run_id')"
        " FROM duckdb_views() v JOIN duckdb_columns() c ON c.schema_name = v.schema_name"
        " AND c.table_name = v.view_name WHERE NOT v.internal AND v.schema_name = 'mart'"
        " GROUP BY ALL ORDER BY 1"
    ).fetchall()
    for name, lists in views:
        columns = "count(COLUMNS(*))" if lists else "*"
        one = f"SELECT * FROM {name} WHERE run_id = $run_id" if lists else ""
        yield name, f"SELECT {columns} FROM {name}", one
    for name, sql in _MACROS.items():
        yield name, sql, ""


def _timed(connection: duckdb.DuckDBPyConnection, sql: str, run: str) -> tuple[float, float, int]:
    """Median seconds and CPU seconds, and how many rows there were."""
    values = {"run_id": run} if "$run_id" in sql else {}
    walls, cpus, found = [], [], 0
    for _ in range(_ROUNDS):
        start, cpu = time.perf_counter(), time.process_time()
        rows = connection.execute(sql, values).fetchall()
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
        found = max(rows[0]) if "COLUMNS" in sql else len(rows)
    return statistics.median(walls), statistics.median(cpus), found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
