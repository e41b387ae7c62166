"""Runs of the warehouse as typed values, for commands and screens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analytics.archive import Archive
from analytics.errors import ArchiveError, RunNotFound
from analytics.query import own_reader
from tracer.identity import RunKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duckdb import DuckDBPyConnection

    from replayer.history import RunHistory

__all__ = ["RunFilter", "RunSummary", "find_runs", "fork_marks", "list_runs", "load_history"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One row of `mart.run_summary`."""

    namespace: str
    workflow_id: str
    run_id: str
    workflow_type: str | None
    status: str
    is_stuck: bool
    """Open, and its workflow task fails again and again."""
    started_at: datetime | None
    """UTC, without time zone."""
    closed_at: datetime | None
    duration_s: float | None
    """To the last event known while the run is open."""
    n_events: int
    n_steps: int
    n_attempts: int
    n_failed_attempts: int
    n_llm_calls: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    """Of the calls whose price is known; `None` if there are none."""
    priced_share: float | None
    """Share of the model calls whose price is known; `None` without calls."""
    human_wait_s: float
    failure_type: str | None
    failure_message: str | None
    failure_fingerprint: str | None
    trace_id: str | None

    @property
    def key(self) -> RunKey:
        """Which run it is."""
        return RunKey(self.namespace, self.workflow_id, self.run_id)


_COLUMNS: Final = ", ".join(RunSummary.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; what is `None` does not matter."""

    namespace: str | None = None
    workflow_type: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    status: str | None = None
    is_stuck: bool | None = None
    fingerprint: str | None = None
    """Runs in which a failure with this fingerprint happened anywhere."""
    started_after: datetime | None = None
    """UTC, without time zone; inclusive."""
    started_before: datetime | None = None
    """UTC, without time zone; exclusive."""

    def conditions(self) -> list[tuple[str, Any]]:
        """SQL conditions with one parameter each."""
        tests = [
            ("namespace = ?", self.namespace),
            ("workflow_type = ?", self.workflow_type),
            ("workflow_id = ?", self.workflow_id),
            ("run_id = ?", self.run_id),
            ("status = ?", self.status),
            ("is_stuck = ?", self.is_stuck),
            (_HAS_FAILURE, self.fingerprint),
            ("started_at >= ?", self.started_after),
            ("started_at < ?", self.started_before),
        ]
        return [(sql, value) for sql, value in tests if value is not None]


_HAS_FAILURE: Final = (
    "run_id IN (SELECT run_id FROM mart.failure_occurrences WHERE fingerprint = ?)"
)


def list_runs(
    warehouse: Path | str | DuckDBPyConnection,
    where: RunFilter | None = None,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> list[RunSummary]:
    """Runs, newest first.

    Args:
        warehouse: Its path, or a connection that is open to it.
        where: Only these.
        limit: At most so many.
        offset: Leave out the first so many.
    """
    conditions = (where or RunFilter()).conditions()
    tests = " AND ".join(sql for sql, _ in conditions) or "true"
    sql = (
        f"SELECT {_COLUMNS} FROM mart.run_summary WHERE {tests}"
        " ORDER BY started_at DESC NULLS LAST, namespace, workflow_id, run_id LIMIT ? OFFSET ?"
    )
    values = [value for _, value in conditions]
    return [RunSummary(*row) for row in _rows(warehouse, sql, [*values, limit, offset])]


def find_runs(
    warehouse: Path | str | DuckDBPyConnection, workflow_id: str, run_id: str | None = None
) -> list[RunSummary]:
    """The runs of a workflow id, newest first; with a run id, the one that has it."""
    return list_runs(warehouse, RunFilter(workflow_id=workflow_id, run_id=run_id))


def fork_marks(warehouse: Path | str | DuckDBPyConnection) -> dict[RunKey, object]:
    """What each fork in the warehouse says that it was made of: the JSON of its memo."""
    sql = (
        "SELECT namespace, workflow_id, run_id, memo -> '$.\"retrospan.fork\"'"
        " FROM core.runs WHERE ref.is_fork(memo)"
    )
    return {RunKey(*names): json.loads(mark) for *names, mark in _rows(warehouse, sql, [])}


def load_history(warehouse: Path | str, key: RunKey) -> RunHistory:
    """The raw history of a run, read again from the archive.

    Raises:
        RunNotFound: There is no such run in the warehouse.
        ArchiveError: Its history is missing from the archive, or damaged.
    """
    # Reading histories loads temporalio, for which those who only list runs should not wait.
    from analytics.restore import restored

    rows = list(_rows(warehouse, _ARCHIVED, [key.namespace, key.workflow_id, key.run_id]))
    if not rows:
        raise RunNotFound(f"{key}: not in {warehouse}; `retrospan runs` lists what is")
    file, sha256, key_source, uri, format_, size = rows[0]
    data = Archive(Path(warehouse).absolute()).get(file, sha256)
    about = {
        "key_source": key_source,
        "origin": {"uri": uri, "format": format_, "sha256": sha256, "size": size},
    }
    names = {
        "namespace": key.namespace,
        "workflow_id": key.workflow_id,
        "run_id": key.run_id,
    }
    try:
        return restored(data, names, about)
    except ValueError as error:
        raise ArchiveError(f"{file}: {error}; import the run again") from error


_ARCHIVED: Final = """
SELECT a.file, a.sha256, s.key_source, s.uri, s.format, s.n_bytes
FROM core.runs r
JOIN raw.archive a ON a.sha256 = r.source_sha256
JOIN raw.ingest_sources s USING (source_sha256, namespace, workflow_id, run_id)
WHERE namespace = ? AND workflow_id = ? AND run_id = ?
"""


def _rows(
    warehouse: Path | str | DuckDBPyConnection, sql: str, values: list[Any]
) -> Iterable[tuple[Any, ...]]:
    if not isinstance(warehouse, (str, Path)):
        return warehouse.execute(sql, values).fetchall()
    with own_reader(warehouse) as connection:
        return connection.execute(sql, values).fetchall()
