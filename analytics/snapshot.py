"""Copies of the warehouse for readers, published whole.

A reader of the file itself would keep every writer out. So readers open a snapshot,
`<name>.snapshot.duckdb` beside the warehouse: a complete database that replaces the one before in
one step. It carries the time of the file it was made from, which tells whether it is still the
newest; if not and if nobody writes, the reader who finds out makes a new one.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from analytics.errors import WarehouseBusy, WarehouseError
from analytics.migrations import require_warehouse
from analytics.warehouse import STORAGE_VERSION, connect, explained

if TYPE_CHECKING:
    from analytics.warehouse import Warehouse

__all__ = ["publish_snapshot", "reader_file", "snapshot_path"]

_LEFT_SECONDS: Final = 86_400.0


def snapshot_path(warehouse: Path | str) -> Path:
    """Where the snapshot of a warehouse is, or would be."""
    path = Path(warehouse).absolute()
    return path.with_name(f"{path.name.removesuffix('.duckdb')}.snapshot.duckdb")


def publish_snapshot(warehouse: Warehouse) -> Path:
    """Publish what is stored now; for the process that has the warehouse open."""
    # Loads Arrow, for which those who only read should not wait.
    from analytics.settling import settle_pending

    settle_pending(warehouse.connection)
    warehouse.connection.execute("CHECKPOINT")
    ((name,),) = warehouse.rows("SELECT current_database()")
    return _publish(warehouse.connection, name, warehouse.path)


def reader_file(warehouse: Path | str) -> Path:
    """A snapshot to read: with everything that is stored, or the last one while somebody writes.

    Raises:
        WarehouseBusy: Somebody writes, and there is no snapshot yet.
        WarehouseError: There is no such warehouse, or it cannot be read.
    """
    path = Path(warehouse).absolute()
    snapshot = snapshot_path(path)
    if not path.exists():
        raise WarehouseError(f"{path}: no such warehouse; `retrospan import` makes one")
    if snapshot.exists() and snapshot.stat().st_mtime_ns == _stored_at(path):
        return snapshot
    try:
        return _refresh(path)
    except WarehouseBusy:
        if snapshot.exists():
            return snapshot
        raise WarehouseBusy(
            f"{path}: another process is writing to it and has published no snapshot yet; "
            "try again when it has ended"
        ) from None


def _refresh(path: Path) -> Path:
    # Tells what is wrong with the file in our own words.
    with connect(path, read_only=True) as opened:
        require_warehouse(opened, path)
    connection = duckdb.connect()
    try:
        connection.execute(f"ATTACH {_quoted(path)} AS source (READ_ONLY)")
        return _publish(connection, "source", path)
    except duckdb.IOException as error:  # A writer came in between.
        raise explained(path, error) from error
    finally:
        connection.close()


def _publish(connection: duckdb.DuckDBPyConnection, source: str, path: Path) -> Path:
    snapshot = snapshot_path(path)
    part = snapshot.with_name(f"{snapshot.name}.{uuid.uuid4().hex}.tmp")
    stored_at = _stored_at(path)
    _clear_leftovers(snapshot)
    try:
        connection.execute(
            f"ATTACH {_quoted(part)} AS snapshot (STORAGE_VERSION '{STORAGE_VERSION}')"
        )
        try:
            connection.execute(f'COPY FROM DATABASE "{source}" TO snapshot')
            _settle(connection, source)
        finally:
            connection.execute("DETACH snapshot")
        os.utime(part, ns=(stored_at, stored_at))
        part.replace(snapshot)
    finally:
        part.unlink(missing_ok=True)
    return snapshot


def _settle(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Settle what a writer that was killed left open; the reader cannot write to its file."""
    ((before,),) = connection.execute("SELECT current_database()").fetchall()
    if before == source:
        return
    # Loads Arrow, for which those who only read should not wait.
    from analytics.settling import settle_pending

    connection.execute("USE snapshot")
    try:
        settle_pending(connection)
    except duckdb.CatalogException:  # Of an older version, which left nothing open.
        return
    finally:
        connection.execute(f'USE "{before}"')


def _clear_leftovers(snapshot: Path) -> None:
    """Remove what publishers that were killed left behind; nobody takes so long to write one."""
    for part in snapshot.parent.glob(f"{escape(snapshot.name)}.*.tmp*"):
        with suppress(OSError):  # Another reader clears away, too.
            if part.stat().st_mtime < time.time() - _LEFT_SECONDS:
                part.unlink()


def _stored_at(path: Path) -> int:
    """When something was last stored; commits go to the log first and to the file later."""
    times = [path.stat().st_mtime_ns]
    log = path.with_name(f"{path.name}.wal")
    if log.exists() and log.stat().st_size:
        times.append(log.stat().st_mtime_ns)
    return max(times)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
