"""Writes the lake, and brings it up to date.

Only partitions whose rows have changed are written. A file is written under another name, put in
place when it is whole and on disk, and belongs to the lake when the manifest says so, which is
written last: a reader sees the lake of before or the lake of after. What an export that was killed
had finished is found by the next one in a journal and is not written again. The journal is a small
DuckDB file, whose lock also keeps two exports from one folder.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyarrow.parquet import read_metadata

from analytics.errors import LakeError, WarehouseBusy, WarehouseError
from analytics.lake.manifest import (
    MANIFEST,
    Column,
    File,
    Lake,
    Partition,
    Table,
    check_folder,
    is_lake_file,
    is_of_runs,
    partition_folder,
    read_manifest,
    write_manifest,
)
from analytics.lake.source import (
    Found,
    attach,
    copy_nothing,
    copy_partitions,
    no_rows,
    partitions_of,
    source_tables,
)
from analytics.migrations import SCHEMA_VERSION
from analytics.snapshot import reader_file
from analytics.warehouse import connect

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Progress", "TableReport", "export_lake"]

_JOURNAL: Final = ".export.duckdb"
_WORKSHOP: Final = ".export.tmp"
_BATCH: Final = 50
"""Partitions written in one pass over a table; DuckDB keeps as many files open."""

type Key = tuple[str | None, str | None]
type Progress = Callable[[str, int], None]
"""Called with a table and the number of its partitions that were written just now."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """What an export did to one table."""

    table: str
    partitions: int
    """In the lake now."""
    written: int
    """Partitions that were new or had changed."""
    removed: int
    """Partitions whose rows are gone."""
    rows: int
    """In the lake now."""
    bytes: int


def export_lake(
    warehouse: Path | str,
    folder: Path | str,
    *,
    since: date | None = None,
    progress: Progress | None = None,
) -> list[TableReport]:
    """Bring a lake up to date with a warehouse.

    Args:
        warehouse: The warehouse; its newest snapshot is read.
        folder: Of the lake; made if it does not exist.
        since: Leave partitions of earlier days as they are in the lake.
        progress: Told of what was written.

    Raises:
        LakeError: The folder cannot be used, or holds a lake of a newer version.
        WarehouseBusy: Another export is at work in the folder.
        WarehouseError: There is no warehouse to read.
    """
    folder = check_folder(Path(folder))
    snapshot = reader_file(warehouse)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _Exporter(folder, progress or _ignore) as exporter:
            return exporter.run(snapshot, since)
    except OSError as error:
        raise LakeError(f"{folder}: cannot write here: {error.strerror or error}") from error


class _Exporter:
    """One export at work in a folder."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._connection = _open_journal(folder)

    def __enter__(self) -> _Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, snapshot: Path, since: date | None) -> list[TableReport]:
        """Write what has changed, publish, tidy up."""
        before = _tables_before(self._folder)
        shutil.rmtree(self._folder / _WORKSHOP, ignore_errors=True)
        attach(self._connection, snapshot)
        tables: list[Table] = []
        reports: list[TableReport] = []
        for name, columns in source_tables(self._connection).items():
            table, report = self._bring_up_to_date(name, columns, before.get(name, {}), since)
            tables.append(table)
            reports.append(report)
        exported_at = datetime.now(UTC).isoformat(timespec="seconds")
        write_manifest(self._folder, Lake(SCHEMA_VERSION, exported_at, tuple(tables)))
        self._connection.execute("DELETE FROM journal")
        _remove_leftovers(self._folder, {file.path for table in tables for file in table.files})
        return reports

    def _bring_up_to_date(
        self,
        name: str,
        columns: tuple[Column, ...],
        before: dict[Key, Partition],
        since: date | None,
    ) -> tuple[Table, TableReport]:
        first_day = since.isoformat() if since and is_of_runs(name) else ""
        found = partitions_of(self._connection, name, columns)
        kept = [old for old in before.values() if _day(old) < first_day]
        wanted = [each for each in found if _day(each) >= first_day]
        if not kept and not wanted:
            wanted = [no_rows(columns)]
        known = {_state(part): part for part in (*before.values(), *self._finished(name))}
        stale = [each for each in wanted if not self._is_whole(known.get(_state(each)))]
        known |= {_state(part): part for part in self._write(name, columns, stale)}
        partitions = (*kept, *(known[_state(each)] for each in wanted))
        table = Table(name, columns, partitions)
        files = list(table.files)
        report = TableReport(
            table=name,
            partitions=len(partitions),
            written=len(stale),
            removed=len(before.keys() - {partition.key for partition in partitions}),
            rows=sum(file.rows for file in files),
            bytes=sum(file.bytes for file in files),
        )
        return table, report

    def _is_whole(self, stored: Partition | None) -> bool:
        """Whether a partition is in place."""
        return stored is not None and all(
            (self._folder / file.path).exists() for file in stored.files
        )

    def _finished(self, table: str) -> list[Partition]:
        """What an export that did not end had put in place."""
        rows = self._connection.execute(
            "SELECT namespace, day, digest, list((path, n_rows, n_bytes)) FROM journal"
            " WHERE name = ? GROUP BY ALL",
            [table],
        ).fetchall()
        return [
            Partition(namespace, day, digest, tuple(File(*file) for file in files))
            for namespace, day, digest, files in rows
        ]

    def _write(
        self, table: str, columns: Sequence[Column], stale: Sequence[Found]
    ) -> list[Partition]:
        written: list[Partition] = []
        for group in batched(stale, _BATCH):
            workshop = self._folder / _WORKSHOP / uuid.uuid4().hex
            workshop.parent.mkdir(exist_ok=True)
            if group[0].rows:
                copy_partitions(self._connection, table, columns, group, workshop)
            else:
                copy_nothing(self._connection, table, columns, workshop)
            done = [self._put_in_place(table, f, workshop, n) for n, f in enumerate(group)]
            shutil.rmtree(workshop)
            self._enter(table, done)
            written += done
            self._progress(table, len(done))
        return written

    def _put_in_place(self, table: str, found: Found, workshop: Path, part: int) -> Partition:
        place = partition_folder(table, *found.key) if is_of_runs(table) else table
        (self._folder / place).mkdir(parents=True, exist_ok=True)
        files = []
        for made in sorted((workshop / f"lake_part={part}").iterdir()):
            path = f"{place}/{uuid.uuid4().hex}.parquet"
            files.append(File(path, read_metadata(made).num_rows, made.stat().st_size))
            _sync(made)
            made.replace(self._folder / path)
        return Partition(found.namespace, found.day, found.digest, tuple(files))

    def _enter(self, table: str, partitions: Sequence[Partition]) -> None:
        """From here on, the next export knows that these are whole."""
        rows = [
            [table, partition.namespace, partition.day, partition.digest, f.path, f.rows, f.bytes]
            for partition in partitions
            for f in partition.files
        ]
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")


def _open_journal(folder: Path) -> DuckDBPyConnection:
    path = folder / _JOURNAL
    try:
        connection = connect(path, read_only=False)
    except WarehouseBusy:
        raise WarehouseBusy(
            f"{folder}: another export is at work here; wait for it to end"
        ) from None
    except WarehouseError:
        # A crash while it was made: without it, some partitions are written twice, no more.
        path.unlink()
        connection = connect(path, read_only=False)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS journal (name VARCHAR, namespace VARCHAR, day VARCHAR,"
        " digest VARCHAR, path VARCHAR, n_rows BIGINT, n_bytes BIGINT)"
    )
    return connection


def _tables_before(folder: Path) -> dict[str, dict[Key, Partition]]:
    """What the lake has, by table and partition."""
    if not (folder / MANIFEST).exists():
        return {}
    tables = read_manifest(folder).tables
    return {table.name: {part.key: part for part in table.partitions} for table in tables}


def _remove_leftovers(folder: Path, current: set[str]) -> None:
    """Remove files that were replaced or never finished, and folders that are empty then."""
    shutil.rmtree(folder / _WORKSHOP, ignore_errors=True)
    for place in folder.glob("*.*/"):
        for found in sorted(place.rglob("*"), reverse=True):
            path = found.relative_to(folder).as_posix()
            if found.is_dir():
                _remove_if_empty(found)
            elif path not in current and is_lake_file(path):
                found.unlink()


def _remove_if_empty(folder: Path) -> None:
    # Whether it is empty is for the system to say: asking first would be a race.
    with suppress(OSError):
        folder.rmdir()


def _state(partition: Partition | Found) -> tuple[Key, str]:
    """Which partition it is, and with which rows."""
    return partition.key, partition.digest


def _day(partition: Partition | Found) -> str:
    return partition.day or ""


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _ignore(table: str, partitions: int) -> None:
    """Nobody is watching."""
