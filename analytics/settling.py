"""Settles what follows from several facts at once, for each run that a batch touches.

Spans and histories tell of the same attempts and calls, in any order. Which account counts, and
what a run adds up to, is decided in the transaction that stores the facts, by the rules in the
schema files from 200. Views then only read. Settling a run again gives the same rows; a run that is
not settled after its facts changed would show its past, so whoever stores facts calls this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from analytics.migrations import schema_files
from analytics.tables import registered

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["SETTLED_TABLES", "settle", "settle_all", "settle_traces"]

SETTLED_TABLES: Final = (
    "core.settled_attempts",
    "core.settled_llm_calls",
    "core.settled_steps",
    "core.settled_failures",
    "core.run_time",
    "core.settled_traits",
    "core.settled_runs",
)
"""What the rules fill, in their order."""


def settle(connection: DuckDBPyConnection, runs: Iterable[tuple[str, str]]) -> None:
    """Settle runs inside the transaction that the caller has open.

    Args:
        connection: To the warehouse.
        runs: Workflow id and run id of each run whose facts changed.
    """
    _settle(connection, f"SELECT * FROM touched UNION {_PARENTS}", sorted(set(runs)))


def settle_traces(connection: DuckDBPyConnection, trace_ids: Iterable[str]) -> None:
    """The same for all runs that have spans in these traces."""
    traces = pa.table({"trace_id": pa.array(sorted(set(trace_ids)), pa.string())})
    with registered(connection, "settling_traces", traces):
        runs = connection.execute(
            "SELECT DISTINCT workflow_id, run_id FROM core.spans SEMI JOIN settling_traces"
            " USING (trace_id) WHERE workflow_id IS NOT NULL AND run_id IS NOT NULL"
        ).fetchall()
    _settle(connection, "SELECT * FROM touched", runs)


def settle_all(connection: DuckDBPyConnection) -> None:
    """The same for all runs, for when a rule or a price has changed."""
    _settle(connection, _EVERY_RUN, [])


# A parent's step failed with its child; once the child is known, the failure is told there.
_PARENTS: Final = """
SELECT r.parent_workflow_id, r.parent_run_id FROM core.runs r SEMI JOIN touched
USING (workflow_id, run_id) WHERE r.parent_workflow_id != '' AND r.parent_run_id != ''
"""
_EVERY_RUN: Final = """
SELECT workflow_id, run_id FROM core.runs
UNION
SELECT workflow_id, run_id FROM core.spans
WHERE workflow_id IS NOT NULL AND run_id IS NOT NULL
"""


def _settle(connection: DuckDBPyConnection, which: str, runs: Iterable[tuple[str, ...]]) -> None:
    touched = list(runs)
    columns = list(zip(*touched, strict=True)) or [(), ()]
    names = ("workflow_id", "run_id")
    given = pa.table({n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)})
    with registered(connection, "touched", given):
        chosen = connection.sql(which).to_arrow_table()
    if not chosen.num_rows:
        return
    with registered(connection, "settling", chosen):
        for table in SETTLED_TABLES:
            connection.execute(
                f"DELETE FROM {table} t USING settling s"
                " WHERE t.workflow_id = s.workflow_id AND t.run_id = s.run_id"
            )
        for file in schema_files():
            if file.settles:
                connection.execute(file.sql)
