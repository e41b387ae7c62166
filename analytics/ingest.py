"""Histories into the warehouse, exactly once.

A batch is one transaction: events, payloads, derived rows and the ledger are stored together or
not at all, so that a crash can be followed by the same import again. Importing what is known
changes nothing. A later export of an open run adds its new events and replaces what was derived.
An account of a run that contradicts the stored one is recorded as a conflict and left out whole: a
run made of two histories would be true of neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from analytics.archive import Archive
from analytics.pool import Known, Part, mark
from analytics.run_rows import DERIVED_TABLES
from analytics.settling import note_runs, settle_pending
from analytics.spans import SpanBatch, store_span_batch
from analytics.staging import (
    Item,
    Staged,
    batches,
    joined,
    stage,
    staged_schemas,
    without_repeated_runs,
)
from analytics.tables import (
    KEY_COLUMNS,
    delete_runs,
    insert,
    insert_arrow,
    key_columns,
    registered,
)
from replayer.history import Rejected, RunHistory
from tracer.identity import RunKey

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from analytics.staging import StagedRun
    from analytics.warehouse import Warehouse

__all__ = [
    "IngestReport",
    "Item",
    "apply_batch",
    "batches",
    "ingest",
    "known_sources",
    "store_parts",
    "store_rejects",
    "store_staged",
]

SETTLE_AT: Final = 5_000
"""Runs that wait to be settled before it is done in the middle of an import."""
_LEDGER_ROWS: Final = 10_000
"""Read at once."""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an import did."""

    runs_new: int = 0
    runs_extended: int = 0
    """Open runs that were known and have grown."""
    runs_unchanged: int = 0
    events_new: int = 0
    rejected: int = 0
    """Sources that could not be read, and spans without a proper id or time."""
    conflicts: int = 0
    """Histories that contradict what is stored."""
    spans_new: int = 0

    def __add__(self, other: IngestReport) -> IngestReport:
        names = [field.name for field in fields(self)]
        return IngestReport(*(getattr(self, n) + getattr(other, n) for n in names))


@dataclass(frozen=True, slots=True)
class _Known:
    """What the warehouse holds of a staged run."""

    new_events: int
    conflicts: int


def ingest(
    warehouse: Warehouse,
    items: Iterable[Item],
    progress: Callable[[IngestReport], None] | None = None,
) -> IngestReport:
    """Store histories, batch by batch.

    Args:
        warehouse: Open for writing.
        items: What reading gives; read as it is needed, so that memory stays bounded.
        progress: Called with the report so far after each batch.

    Returns:
        What was done in all.
    """
    report = IngestReport()
    for batch in batches(items):
        with warehouse.transaction():
            report += apply_batch(warehouse, batch)
        settle_pending(warehouse.connection, at_least=SETTLE_AT)
        if progress is not None:
            progress(report)
    settle_pending(warehouse.connection)
    return report


def apply_batch(warehouse: Warehouse, items: Sequence[Item | SpanBatch]) -> IngestReport:
    """Store one batch inside the transaction that the caller has open."""
    report = store_rejects(warehouse, [item for item in items if isinstance(item, Rejected)])
    histories = [item for item in items if isinstance(item, RunHistory)]
    schemas = staged_schemas(warehouse.connection)
    for group in without_repeated_runs(histories):
        # What is known is not modelled again.
        seen = _seen_sources(warehouse.connection, [h.origin.sha256 for h in group])
        fresh = [h for h in group if (h.origin.sha256, h.key) not in seen]
        report += IngestReport(runs_unchanged=len(group) - len(fresh))
        if fresh:
            report += store_staged(warehouse, stage(fresh, schemas))
    for item in items:
        if isinstance(item, SpanBatch):
            stored, rejected = store_span_batch(warehouse.connection, item)
            report += IngestReport(spans_new=stored, rejected=rejected)
    return report


def store_parts(warehouse: Warehouse, parts: Sequence[Part]) -> IngestReport:
    """Store what was read and staged, in its order, inside the transaction that is open."""
    rejects = [reject for part in parts for reject in part.rejects]
    report = store_rejects(warehouse, rejects)
    report += IngestReport(runs_unchanged=sum(part.runs_known for part in parts))
    for staged in _without_repeated_runs(staged for part in parts for staged in part.staged):
        report += store_staged(warehouse, staged)
    return report


def _without_repeated_runs(parts: Iterable[Staged]) -> Iterator[Staged]:
    """As few as there can be: a second account of a run is compared with the first, once stored."""
    group: list[Staged] = []
    keys: set[RunKey] = set()
    for staged in parts:
        more = {run.key for run in staged.runs}
        if keys & more:
            yield joined(group)
            group, keys = [], set()
        group.append(staged)
        keys |= more
    if group:
        yield joined(group)


def known_sources(warehouse: Warehouse) -> Known:
    """What the ledger has, for those who read."""
    answer = warehouse.connection.execute(
        "SELECT source_sha256, namespace, workflow_id, run_id FROM raw.ingest_sources"
    )
    known: set[bytes] = set()
    while rows := answer.fetchmany(_LEDGER_ROWS):
        known.update(mark(digest, RunKey(*key)) for digest, *key in rows)
    return frozenset(known)


def store_rejects(warehouse: Warehouse, rejects: Sequence[Rejected]) -> IngestReport:
    """Record what could not be read, inside the transaction that the caller has open."""
    connection = warehouse.connection
    problems = [reject for reject in rejects if not reject.is_notice]
    if not problems:
        return IngestReport()
    known = set(connection.execute("SELECT uri, error FROM raw.ingest_rejects").fetchall())
    rows = {(reject.uri, reject.error.reason) for reject in problems} - known
    insert(
        connection,
        "raw.ingest_rejects",
        [{"uri": uri, "error": error, "rejected_at": _now()} for uri, error in sorted(rows)],
    )
    return IngestReport(rejected=len(problems))


def store_staged(warehouse: Warehouse, staged: Staged) -> IngestReport:
    """Store runs inside the transaction that the caller has open."""
    connection = warehouse.connection
    seen = _seen_sources(connection, [run.origin.sha256 for run in staged.runs])
    fresh = [
        place for place, run in enumerate(staged.runs) if (run.origin.sha256, run.key) not in seen
    ]
    unchanged = len(staged.runs) - len(fresh)
    staged = staged.only(fresh)
    known = _compare(connection, staged)
    new, extended, same, conflicts = _sorted(staged, known)
    _enter_in_ledger(warehouse, [staged.runs[place] for place in same])
    accepted = staged.only(sorted(new + extended))
    with _archiving(warehouse, accepted.runs):
        events_new = _store_new(connection, staged.only(new))
        events_new += _store_extended(connection, staged.only(extended))
        note_runs(connection, [(run.key.workflow_id, run.key.run_id) for run in accepted.runs])
        _enter_in_ledger(warehouse, accepted.runs)
    return IngestReport(
        runs_new=len(new),
        runs_extended=len(extended),
        runs_unchanged=unchanged + len(same),
        events_new=events_new,
        conflicts=len(conflicts),
    )


def _sorted(
    staged: Staged, known: Mapping[RunKey, _Known]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Places of runs that are new, that have grown, that are the same, and that contradict."""
    new: list[int] = []
    extended: list[int] = []
    same: list[int] = []
    conflicts: list[int] = []
    for place, run in enumerate(staged.runs):
        found = known.get(run.key)
        if found is None:
            new.append(place)
        elif found.conflicts:
            conflicts.append(place)
        elif found.new_events:
            extended.append(place)
        else:
            same.append(place)
    return new, extended, same, conflicts


def _seen_sources(
    connection: DuckDBPyConnection, digests: Sequence[str]
) -> set[tuple[str, RunKey]]:
    """Which of these raw histories the ledger has, and for which runs."""
    rows = connection.execute(
        "SELECT source_sha256, namespace, workflow_id, run_id FROM raw.ingest_sources"
        " WHERE source_sha256 IN (SELECT unnest(?))",
        [digests],
    ).fetchall()
    return {(digest, RunKey(*key)) for digest, *key in rows}


def _compare(connection: DuckDBPyConnection, staged: Staged) -> dict[RunKey, _Known]:
    """What the stored events of these runs say; only runs that are stored are in the answer.

    A provisional event is expected to be told differently later and is no conflict. Nor is a stored
    one that an older export still shows as provisional.
    """
    stored = _stored_keys(connection, [run.key for run in staged.runs])
    if not stored:
        return {}
    again = staged.only([n for n, run in enumerate(staged.runs) if run.key in stored])
    with registered(connection, "staged", again.tables["core.events"]):
        _record_conflicts(connection, again.runs)
        found = connection.execute(_COMPARE).fetchall()
    return {RunKey(*key): _Known(*counts) for *key, counts in _split(found)}


def _split(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    return ((*row[:3], row[3:]) for row in rows)


_JOIN: Final = """
FROM staged s LEFT JOIN core.events e
  ON s.namespace = e.namespace AND s.workflow_id = e.workflow_id
 AND s.run_id = e.run_id AND s.event_id = e.event_id
"""
_DIFFERS: Final = "e.event_hash != s.event_hash AND NOT e.is_provisional AND NOT s.is_provisional"
_IS_NEWER: Final = """
e.is_provisional AND e.event_hash != s.event_hash
AND (NOT s.is_provisional OR s.event_time_ns > e.event_time_ns)
"""
_COMPARE: Final = f"""
SELECT s.namespace, s.workflow_id, s.run_id,
       count(*) FILTER (e.event_id IS NULL OR ({_IS_NEWER})),
       count(*) FILTER ({_DIFFERS})
{_JOIN} GROUP BY ALL
"""


def _stored_keys(connection: DuckDBPyConnection, keys: Sequence[RunKey]) -> set[RunKey]:
    columns = ", ".join(KEY_COLUMNS)
    rows = connection.execute(
        f"SELECT {columns} FROM core.runs WHERE run_id IN (SELECT unnest(?))",
        [[key.run_id for key in keys]],
    ).fetchall()
    return {RunKey(*row) for row in rows} & set(keys)


def _record_conflicts(connection: DuckDBPyConnection, runs: Sequence[StagedRun]) -> None:
    columns = ", ".join(f"s.{name}" for name in KEY_COLUMNS)
    differing = connection.execute(
        f"SELECT {columns}, s.event_id, e.event_hash, s.event_hash {_JOIN} WHERE {_DIFFERS}"
    ).fetchall()
    if not differing:
        return
    known = set(
        connection.execute(
            "SELECT namespace, workflow_id, run_id, event_id, other_hash FROM raw.ingest_conflicts"
        ).fetchall()
    )
    sources = {run.key: run.origin for run in runs}
    insert(
        connection,
        "raw.ingest_conflicts",
        [
            key_columns(key := RunKey(*names))
            | {
                "event_id": event_id,
                "kept_hash": kept,
                "other_hash": other,
                "source_sha256": sources[key].sha256,
                "uri": sources[key].uri,
                "found_at": _now(),
            }
            for *names, event_id, kept, other in differing
            if (*names, event_id, other) not in known
        ],
    )


def _store_new(connection: DuckDBPyConnection, staged: Staged) -> int:
    """Runs of which nothing is stored; returns the number of their events."""
    for table, rows in staged.tables.items():
        insert_arrow(connection, table, rows)
    return staged.n_events


def _store_extended(connection: DuckDBPyConnection, staged: Staged) -> int:
    """Runs that have grown; returns the number of events that were not stored before."""
    if not staged.runs:
        return 0
    _forget_derived(connection, [run.key for run in staged.runs])
    tables = staged.tables
    stored = _insert_new(connection, "core.events", tables["core.events"], ("event_id",))
    _insert_new(connection, "core.payloads", tables["core.payloads"], ("event_id", "slot", "idx"))
    for table in DERIVED_TABLES:
        insert_arrow(connection, table, tables[table])
    return stored


def _forget_derived(connection: DuckDBPyConnection, keys: Sequence[RunKey]) -> None:
    names = [(key.namespace, key.workflow_id, key.run_id) for key in keys]
    # Provisional events are parts of workflow tasks, which have no payloads.
    delete_runs(connection, "core.events", names, "is_provisional")
    for table, of_histories in DERIVED_TABLES.items():
        delete_runs(connection, table, names, of_histories)


def _insert_new(
    connection: DuckDBPyConnection, table: str, rows: pa.Table, more_key: tuple[str, ...]
) -> int:
    """Append the rows whose key is not in the table yet; a key on the table would cost more."""
    columns = ", ".join((*KEY_COLUMNS, *more_key))
    with registered(connection, "staged", rows):
        result = connection.execute(
            f"INSERT INTO {table} BY NAME SELECT * FROM staged ANTI JOIN {table} USING ({columns})"
        )
        return int(result.fetchall()[0][0])


@contextmanager
def _archiving(warehouse: Warehouse, runs: Sequence[StagedRun]) -> Iterator[None]:
    """Keep the raw histories; their files are on disk when the block is over."""
    rows = {
        run.origin.sha256: {
            "sha256": run.origin.sha256,
            "format": run.origin.format,
            "n_bytes": run.origin.size,
            "file": run.packed.name,
        }
        for run in runs
    }
    if not rows:
        yield
        return
    known = warehouse.rows(
        "SELECT sha256 FROM raw.archive WHERE sha256 IN (SELECT unnest(?))", [list(rows)]
    )
    for (digest,) in known:
        del rows[digest]
    insert(warehouse.connection, "raw.archive", list(rows.values()))
    with Archive(warehouse.home).putting(run.packed for run in runs):
        yield


def _enter_in_ledger(warehouse: Warehouse, runs: Sequence[StagedRun]) -> None:
    rows = [
        key_columns(run.key)
        | {
            "source_sha256": run.origin.sha256,
            "uri": run.origin.uri,
            "format": run.origin.format,
            "key_source": run.key_source,
            "n_events": run.n_events,
            "n_bytes": run.origin.size,
            "tool_version": _tool_version(),
            "ingested_at": _now(),
        }
        for run in runs
    ]
    Archive(warehouse.home).enter(rows)
    insert(warehouse.connection, "raw.ingest_sources", rows)


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)


@cache
def _tool_version() -> str:
    try:
        return version("retrospan")
    except PackageNotFoundError:  # Run from a checkout that was never installed.
        return "unknown"
