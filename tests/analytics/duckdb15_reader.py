"""A reader on DuckDB 1.5, as Grafana's plugin is one; run as a program, in a process of its own.

python duckdb15_reader.py answers SNAPSHOT      every table and view with its rows, as JSON
python duckdb15_reader.py watch SNAPSHOT RUNS   one line per look: runs and events, until RUNS
"""

from __future__ import annotations

import json
import sys

import duckdb

OBJECTS = """
    SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal
    UNION ALL
    SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal
    ORDER BY 1
"""


def answers(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The rows of each table and view, each as text, in an order of their own."""
    names = [name for (name,) in connection.execute(OBJECTS).fetchall()]
    return {
        name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}").fetchall()))
        for name in names
    }


def watch(snapshot: str, n_runs: int) -> None:
    """Look again and again, each time at what is published then."""
    seen = -1
    while seen < n_runs:
        connection = duckdb.connect(snapshot, read_only=True)
        look = (
            "SELECT count(*), (SELECT count(*) FROM core.events), (SELECT sum(n_events) FROM"
            " mart.run_summary), (SELECT count(*) FROM mart.steps) FROM core.runs"
        )
        [row] = connection.execute(look).fetchall()
        connection.close()
        seen = row[0]
        print(json.dumps([int(value or 0) for value in row]), flush=True)


def main() -> None:
    assert duckdb.__version__.startswith("1.5."), duckdb.__version__
    what, snapshot = sys.argv[1:3]
    if what == "watch":
        watch(snapshot, int(sys.argv[3]))
        return
    with duckdb.connect(snapshot, read_only=True) as connection:
        json.dump(answers(connection), sys.stdout)


if __name__ == "__main__":
    main()
