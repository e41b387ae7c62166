"""A warehouse made anew from its archive, with the same tables.

Rows that come from histories are made again, by the code of today; what came over OTLP, and what
was found wrong on the way, is only in the file and is copied from it. If there is no such file any
more, or DuckDB cannot open it, the archive alone is enough for all that histories tell. The new
file takes the old one's place in one step, and only when nothing is missing from it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analytics.archive import Archive
from analytics.errors import ArchiveError, WarehouseBusy, WarehouseError
from analytics.ingest import SETTLE_AT, apply_batch
from analytics.restore import restored
from analytics.run_rows import DERIVED_TABLES
from analytics.settling import SETTLED_TABLES, settle_all, settle_pending
from analytics.staging import batches
from analytics.tables import KEY_COLUMNS, insert, insert_arrow
from analytics.warehouse import connect, open_warehouse

if TYPE_CHECKING:
    from analytics.warehouse import Warehouse
    from replayer.history import RunHistory

__all__ = ["RebuildReport", "rebuild"]

_MADE_AGAIN: Final = {
    **dict.fromkeys(("core.events", "core.payloads", "raw.ingest_sources", "raw.archive"), "true"),
    **DERIVED_TABLES,
    # They follow from the rest, and are settled when all of it is there.
    **dict.fromkeys((*SETTLED_TABLES, "raw.unsettled"), "true"),
}
"""Tables that are not copied, and which of their rows are made from histories."""
_COPIED_ROWS: Final = 50_000

type LedgerRow = dict[str, Any]


@dataclass(slots=True)
class RebuildReport:
    """What was made."""

    runs: int = 0
    events: int = 0
    copied: int = 0
    """Rows that were copied from the old file."""
    missing: list[str] = field(default_factory=list)
    """Histories that the archive cannot give, one line each."""
    replaced: bool = False
    """Whether the new file took the old one's place."""


def rebuild(
    path: Path,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RebuildReport:
    """Make a warehouse anew.

    Args:
        path: The warehouse, or where it was; its archive is beside it.
        out: Where to make the new one, which must not be there yet. By default it replaces the old
            one, if the archive could give every history.
        progress: Called with the histories that were read so far, and how many there are.

    Raises:
        ArchiveError: There is no archive.
        WarehouseError: Another process has the warehouse open, or `out` is there already.
    """
    path = path.absolute()
    target = path.with_name(f"{path.name}.rebuilt") if out is None else out.absolute()
    if out is not None and target.exists():
        raise WarehouseError(f"{target}: is there already; name a new file")
    _remove(target)
    report = RebuildReport()
    old = _opened(path)
    try:
        ledger = _ledger(path, old)
        with open_warehouse(target, home=path) as new:
            histories = _histories(Archive(path), ledger, _archived(old), report)
            _read_again(new, histories, len(ledger), progress or _nobody)
            report.missing += _without_run(new, ledger)
            if old is not None:
                report.copied = _copy(old, new)
            with new.transaction() as connection:
                settle_all(connection)
            _restore_ledger(new, ledger)
            ((report.runs,),) = new.rows("SELECT count(*) FROM core.runs")
            ((report.events,),) = new.rows("SELECT count(*) FROM core.events")
    except BaseException:
        _remove(target)
        raise
    finally:
        if old is not None:
            old.close()
    if out is None:
        _take_place(target, path, report)
    return report


def _take_place(target: Path, path: Path, report: RebuildReport) -> None:
    if report.missing:
        _remove(target)
        return
    _log_of(path).unlink(missing_ok=True)
    target.replace(path)
    report.replaced = True


def _opened(path: Path) -> Warehouse | None:
    """The old warehouse, or `None` if nothing can be had from it."""
    if not path.exists():
        return None
    try:
        connect(path, read_only=True).close()
    except WarehouseBusy:
        raise
    except WarehouseError:
        return None
    return open_warehouse(path)


def _ledger(path: Path, old: Warehouse | None) -> list[LedgerRow]:
    if old is not None:
        answer = old.connection.execute("SELECT * FROM raw.ingest_sources ORDER BY rowid")
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    rows = Archive(path).ledger()
    if not rows:
        raise ArchiveError(f"{path}.archive: no archive to make a warehouse from; import again")
    return rows


def _archived(old: Warehouse | None) -> frozenset[str]:
    """Digests of what the archive should have, as far as the old warehouse can tell."""
    rows = [] if old is None else old.rows("SELECT sha256 FROM raw.archive")
    return frozenset(digest for (digest,) in rows)


def _read_again(
    new: Warehouse,
    histories: Iterable[RunHistory],
    count: int,
    progress: Callable[[int, int], None],
) -> None:
    done = 0
    for batch in batches(histories):
        with new.transaction():
            apply_batch(new, batch)
        settle_pending(new.connection, at_least=SETTLE_AT)
        done += len(batch)
        progress(done, count)


def _histories(
    archive: Archive, ledger: Iterable[LedgerRow], archived: Container[str], report: RebuildReport
) -> Iterator[RunHistory]:
    for row in ledger:
        digest = row["source_sha256"]
        name = archive.find(digest)
        if name is None:
            # A source that said nothing new is in the ledger, and was not kept.
            if digest in archived:
                report.missing.append(f"{archive.folder}: has no {digest}, of {row['uri']}")
            continue
        key = {part: row[part] for part in KEY_COLUMNS}
        origin = {"uri": row["uri"], "format": row["format"]}
        origin |= {"sha256": digest, "size": row["n_bytes"]}
        about = {"key_source": row["key_source"], "origin": origin}
        try:
            yield restored(archive.get(name, digest), key, about)
        except (ArchiveError, ValueError) as error:
            report.missing.append(str(error))


def _without_run(new: Warehouse, ledger: Iterable[LedgerRow]) -> list[str]:
    runs = set(new.rows(f"SELECT {', '.join(KEY_COLUMNS)} FROM core.runs"))
    lost = {key for row in ledger if (key := tuple(row[part] for part in KEY_COLUMNS)) not in runs}
    return [f"{'/'.join(key)}: the archive has no history of it" for key in sorted(lost)]


def _copy(old: Warehouse, new: Warehouse) -> int:
    """Everything that does not come from histories; returns the number of rows."""
    tables = new.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
        " WHERE NOT internal AND schema_name IN ('raw', 'core') ORDER BY ALL"
    )
    copied = 0
    for (table,) in tables:
        made_again = _MADE_AGAIN.get(table, "false")
        if made_again == "true":
            continue
        rows = old.connection.sql(f"SELECT * FROM {table} WHERE NOT ({made_again})")
        with new.transaction() as connection:
            for batch in _arrow_batches(rows):
                copied += insert_arrow(connection, table, batch)
    return copied


def _arrow_batches(rows: Any) -> Iterator[Any]:
    import pyarrow as pa

    for batch in rows.to_arrow_reader(_COPIED_ROWS):
        yield pa.Table.from_batches([batch])


def _restore_ledger(new: Warehouse, ledger: list[LedgerRow]) -> None:
    """As it was: it also tells of sources that said nothing new, and when each came."""
    with new.transaction() as connection:
        connection.execute("DELETE FROM raw.ingest_sources")
        insert(connection, "raw.ingest_sources", ledger)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _log_of(path).unlink(missing_ok=True)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _nobody(done: int, of: int) -> None:
    """Nobody wants to know."""
