"""Histories into the warehouse, exactly once.

A batch is one transaction: events, payloads, derived rows and the ledger are stored together or
not at all, so that a crash can be followed by the same import again. Importing what is known
changes nothing. A later export of an open run adds its new events and replaces what was derived.
An account of a run that contradicts the stored one is recorded as a conflict and left out whole: a
run made of two histories would be true of neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from analytics.archive import Archive
from analytics.event_rows import history_rows, key_columns
from analytics.run_rows import DERIVED_TABLES, derived_rows
from analytics.tables import KEY_COLUMNS, arrow_table, delete_runs, insert, registered
from replayer.history import Rejected, RunHistory
from tracer.identity import RunKey
from tracer.model import run_from_events

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from analytics.tables import Row
    from analytics.warehouse import Warehouse

__all__ = ["IngestReport", "Item", "apply_batch", "batches", "ingest"]

type Item = RunHistory | Rejected
"""What reading gives."""

_BATCH_EVENTS: Final = 20_000
_BATCH_BYTES: Final = 64 << 20
_BATCH_ITEMS: Final = 500


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an import did."""

    runs_new: int = 0
    runs_extended: int = 0
    """Open runs that were known and have grown."""
    runs_unchanged: int = 0
    events_new: int = 0
    rejected: int = 0
    """Sources that could not be read."""
    conflicts: int = 0
    """Histories that contradict what is stored."""

    def __add__(self, other: IngestReport) -> IngestReport:
        names = [field.name for field in fields(self)]
        return IngestReport(*(getattr(self, n) + getattr(other, n) for n in names))


@dataclass(slots=True)
class _Staged:
    """One history on its way in."""

    history: RunHistory
    events: list[Row]
    payloads: list[Row]
    derived: dict[str, Sequence[Row]]


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
        if progress is not None:
            progress(report)
    return report


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut a stream into pieces that fit into memory and are worth a transaction."""
    batch: list[Item] = []
    events = size = 0
    for item in items:
        batch.append(item)
        if isinstance(item, RunHistory):
            events += len(item.events)
            size += len(item.raw)
        if events >= _BATCH_EVENTS or size >= _BATCH_BYTES or len(batch) >= _BATCH_ITEMS:
            yield batch
            batch, events, size = [], 0, 0
    if batch:
        yield batch


def apply_batch(warehouse: Warehouse, items: Sequence[Item]) -> IngestReport:
    """Store one batch inside the transaction that the caller has open."""
    report = _store_rejects(warehouse.connection, [i for i in items if isinstance(i, Rejected)])
    histories = [item for item in items if isinstance(item, RunHistory)]
    for group in _without_repeated_runs(histories):
        report += _store_histories(warehouse, group)
    return report


def _without_repeated_runs(histories: Iterable[RunHistory]) -> Iterator[list[RunHistory]]:
    """Each group names a run once: a second account is compared with the first, once stored."""
    group: dict[RunKey, RunHistory] = {}
    for history in histories:
        if history.key in group:
            yield list(group.values())
            group = {}
        group[history.key] = history
    yield list(group.values())


def _store_rejects(connection: DuckDBPyConnection, rejects: Sequence[Rejected]) -> IngestReport:
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


def _store_histories(warehouse: Warehouse, histories: Sequence[RunHistory]) -> IngestReport:
    connection = warehouse.connection
    seen = _seen_sources(connection, histories)
    fresh = [h for h in histories if (h.origin.sha256, h.key) not in seen]
    unchanged = len(histories) - len(fresh)
    if not fresh:
        return IngestReport(runs_unchanged=unchanged)
    staged = {history.key: _stage(history) for history in fresh}
    known = _compare(connection, staged)
    accepted: dict[RunKey, _Staged] = {}
    conflicts = 0
    for key, item in staged.items():
        if key in known and known[key].conflicts:
            conflicts += 1
        elif key in known and not known[key].new_events:
            unchanged += 1
            _enter_in_ledger(connection, [item.history])
        else:
            accepted[key] = item
    extended = [key for key in accepted if key in known]
    events_new = _store_accepted(warehouse, accepted, extended)
    return IngestReport(
        runs_new=len(accepted) - len(extended),
        runs_extended=len(extended),
        runs_unchanged=unchanged,
        events_new=events_new,
        conflicts=conflicts,
    )


def _seen_sources(
    connection: DuckDBPyConnection, histories: Sequence[RunHistory]
) -> set[tuple[str, RunKey]]:
    digests = [history.origin.sha256 for history in histories]
    rows = connection.execute(
        "SELECT source_sha256, namespace, workflow_id, run_id FROM raw.ingest_sources"
        " WHERE source_sha256 IN (SELECT unnest(?))",
        [digests],
    ).fetchall()
    return {(digest, RunKey(*key)) for digest, *key in rows}


def _stage(history: RunHistory) -> _Staged:
    run = run_from_events(history.key, history.events)
    events, payloads = history_rows(history, is_closed=run.is_closed)
    payload_bytes = sum(row["payload_bytes"] for row in events)
    return _Staged(history, events, payloads, derived_rows(run, history, payload_bytes))


def _compare(connection: DuckDBPyConnection, staged: dict[RunKey, _Staged]) -> dict[RunKey, _Known]:
    """What the stored events of these runs say; only runs that are stored are in the answer.

    A provisional event is expected to be told differently later and is no conflict. Nor is a stored
    one that an older export still shows as provisional.
    """
    keys = _stored_keys(connection, staged)
    rows = [row for key in keys for row in staged[key].events]
    if not rows:
        return {}
    events = arrow_table(connection, "core.events", rows)
    with registered(connection, "staged", events):
        _record_conflicts(connection, [staged[key].history for key in keys])
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


def _stored_keys(connection: DuckDBPyConnection, keys: Collection[RunKey]) -> set[RunKey]:
    columns = ", ".join(KEY_COLUMNS)
    rows = connection.execute(
        f"SELECT {columns} FROM core.runs WHERE run_id IN (SELECT unnest(?))",
        [[key.run_id for key in keys]],
    ).fetchall()
    return {RunKey(*row) for row in rows} & set(keys)


def _record_conflicts(connection: DuckDBPyConnection, histories: Sequence[RunHistory]) -> None:
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
    sources = {history.key: history.origin for history in histories}
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


def _store_accepted(
    warehouse: Warehouse, accepted: dict[RunKey, _Staged], extended: Sequence[RunKey]
) -> int:
    connection = warehouse.connection
    _archive(warehouse, [item.history for item in accepted.values()])
    if extended:
        _forget_derived(connection, extended)
    payloads = [row for item in accepted.values() for row in item.payloads]
    stored = _insert_events(connection, [row for i in accepted.values() for row in i.events])
    _insert_new(connection, "core.payloads", payloads, ("event_id", "slot", "idx"))
    for table in DERIVED_TABLES:
        insert(connection, table, [row for i in accepted.values() for row in i.derived[table]])
    _enter_in_ledger(connection, [item.history for item in accepted.values()])
    return stored


def _forget_derived(connection: DuckDBPyConnection, keys: Sequence[RunKey]) -> None:
    names = [(key.namespace, key.workflow_id, key.run_id) for key in keys]
    # Provisional events are parts of workflow tasks, which have no payloads.
    delete_runs(connection, "core.events", names, "is_provisional")
    for table, of_histories in DERIVED_TABLES.items():
        delete_runs(connection, table, names, of_histories)


def _insert_events(connection: DuckDBPyConnection, rows: Sequence[Row]) -> int:
    return _insert_new(connection, "core.events", rows, ("event_id",))


def _insert_new(
    connection: DuckDBPyConnection, table: str, rows: Sequence[Row], more_key: tuple[str, ...]
) -> int:
    """Append the rows whose key is not in the table yet; a key on the table would cost more."""
    if not rows:
        return 0
    columns = ", ".join((*KEY_COLUMNS, *more_key))
    with registered(connection, "staged", arrow_table(connection, table, rows)):
        result = connection.execute(
            f"INSERT INTO {table} BY NAME SELECT * FROM staged ANTI JOIN {table} USING ({columns})"
        )
    return int(result.fetchall()[0][0])


def _archive(warehouse: Warehouse, histories: Sequence[RunHistory]) -> None:
    archive = Archive(warehouse.path)
    rows = {
        history.origin.sha256: {
            "sha256": history.origin.sha256,
            "format": history.origin.format,
            "n_bytes": len(history.raw),
            "file": archive.put(history.raw, history.origin.sha256),
        }
        for history in histories
    }
    known = warehouse.rows(
        "SELECT sha256 FROM raw.archive WHERE sha256 IN (SELECT unnest(?))", [list(rows)]
    )
    for (digest,) in known:
        del rows[digest]
    insert(warehouse.connection, "raw.archive", list(rows.values()))


def _enter_in_ledger(connection: DuckDBPyConnection, histories: Sequence[RunHistory]) -> None:
    insert(
        connection,
        "raw.ingest_sources",
        [
            key_columns(history.key)
            | {
                "source_sha256": history.origin.sha256,
                "uri": history.origin.uri,
                "format": history.origin.format,
                "key_source": str(history.key_source),
                "n_events": len(history.events),
                "n_bytes": history.origin.size,
                "tool_version": _tool_version(),
                "ingested_at": _now(),
            }
            for history in histories
        ],
    )


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)


@cache
def _tool_version() -> str:
    try:
        return version("retrospan")
    except PackageNotFoundError:  # Run from a checkout that was never installed.
        return "unknown"
