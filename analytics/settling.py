"""Settles what follows from several facts at once, for each run that a batch touched.

Spans and histories tell of the same attempts and calls, in any order. Which account counts, and
what a run adds up to, is decided by the rules in the schema files from 200, before anybody reads;
views then only look. A batch notes its runs in the transaction that stores it, so that none is
forgotten, and many are settled together: one by one, each would cost more than its import.
Settling a run again gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from analytics.migrations import schema_files
from analytics.tables import registered

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["SETTLED_TABLES", "note_runs", "note_traces", "settle_all", "settle_pending"]

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

_RUNS_AT_ONCE: Final = 10_000
"""As many as memory is sure to hold."""


def note_runs(connection: DuckDBPyConnection, runs: Iterable[tuple[str, str]]) -> None:
    """Note runs whose facts changed, in the transaction that changes them.

    Args:
        connection: To the warehouse, with a transaction open.
        runs: Workflow id and run id of each.
    """
    columns = list(zip(*sorted(set(runs)), strict=True))
    if columns:
        names = ("workflow_id", "run_id")
        _note(connection, {n: pa.array(c) for n, c in zip(names, columns, strict=True)})


def note_traces(connection: DuckDBPyConnection, trace_ids: Iterable[str]) -> None:
    """The same of all runs that have spans in these traces."""
    traces = sorted(set(trace_ids))
    if traces:
        _note(connection, {"trace_id": pa.array(traces)})


def settle_pending(connection: DuckDBPyConnection, *, at_least: int = 1) -> None:
    """Settle the runs that were noted, in transactions of its own.

    Args:
        connection: To the warehouse, writable, with no transaction open.
        at_least: With fewer notes than that, nothing is done yet.
    """
    [[notes]] = connection.execute("SELECT count(*) FROM raw.unsettled").fetchall()
    if notes >= at_least:
        # Arrow keeps what batches needed, and settling needs as much again: an import of 400,000
        # events took 60 MB more.
        pa.default_memory_pool().release_unused()
        _in_transaction(connection, _PENDING)


def settle_all(connection: DuckDBPyConnection) -> None:
    """Settle every run inside the transaction that the caller has open.

    For when a rule, or a price, has changed.
    """
    _settle(connection, _EVERY_RUN)


def _note(connection: DuckDBPyConnection, columns: dict[str, pa.Array]) -> None:
    with registered(connection, "noted", pa.table(columns)):
        connection.execute("INSERT INTO raw.unsettled BY NAME SELECT * FROM noted")


_PENDING: Final = """
WITH touched AS (
    SELECT workflow_id, run_id FROM raw.unsettled WHERE run_id IS NOT NULL
    UNION
    SELECT workflow_id, run_id FROM core.spans SEMI JOIN raw.unsettled USING (trace_id)
    WHERE workflow_id IS NOT NULL AND run_id IS NOT NULL
)
SELECT * FROM touched
UNION
-- A parent's step failed with its child; once the child is known, the failure is told there.
SELECT r.parent_workflow_id, r.parent_run_id
FROM core.runs r SEMI JOIN touched USING (workflow_id, run_id)
WHERE r.parent_workflow_id IS NOT NULL AND r.parent_run_id IS NOT NULL
"""
_EVERY_RUN: Final = """
SELECT workflow_id, run_id FROM core.runs
UNION
SELECT workflow_id, run_id FROM core.spans
WHERE workflow_id IS NOT NULL AND run_id IS NOT NULL
"""


def _in_transaction(connection: DuckDBPyConnection, which: str) -> None:
    connection.execute("BEGIN")
    try:
        _settle(connection, which)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _settle(connection: DuckDBPyConnection, which: str) -> None:
    chosen = connection.sql(which).to_arrow_table()
    for at in range(0, chosen.num_rows, _RUNS_AT_ONCE):
        with registered(connection, "settling", chosen.slice(at, _RUNS_AT_ONCE)):
            _settle_chosen(connection)
    connection.execute("DELETE FROM raw.unsettled")


def _settle_chosen(connection: DuckDBPyConnection) -> None:
    for table in SETTLED_TABLES:
        connection.execute(
            f"DELETE FROM {table} t USING settling s"
            " WHERE t.workflow_id = s.workflow_id AND t.run_id = s.run_id"
        )
    for file in schema_files():
        if file.settles:
            connection.execute(file.sql)
