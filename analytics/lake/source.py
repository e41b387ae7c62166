"""The warehouse as an export sees it: one snapshot, cut into partitions.

A partition is all rows of a table whose runs have a namespace and started on a day. Each has a
digest of its rows, whatever changed them: a run that grew, spans that came late, a price that is
known now. Rows whose run the warehouse does not know go by their own namespace and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analytics.lake.columns import quoted, stored
from analytics.lake.manifest import Column, is_exported
from analytics.tables import KEY_COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "Found",
    "attach",
    "copy_nothing",
    "copy_partitions",
    "no_rows",
    "partitions_of",
    "source_tables",
]

_NAMES: Final = "lake_source"

type Tables = dict[str, tuple[Column, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """A partition that the warehouse has."""

    namespace: str | None
    day: str | None
    rows: int
    digest: str

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Which partition of its table it is."""
        return self.namespace, self.day


def attach(connection: DuckDBPyConnection, snapshot: Path) -> None:
    """Open a snapshot beside whatever the connection has open, and find out when runs started."""
    name = str(snapshot).replace("'", "''")
    connection.execute(f"ATTACH '{name}' AS {_NAMES} (READ_ONLY)")
    connection.execute(
        "CREATE TEMP TABLE lake_runs AS SELECT workflow_id, run_id, min(namespace) AS namespace,"
        f" min(started_at)::DATE AS day FROM {_NAMES}.core.runs GROUP BY ALL"
    )


def source_tables(connection: DuckDBPyConnection) -> Tables:
    """The tables that a lake has, with their columns."""
    rows = connection.execute(
        "SELECT schema_name || '.' || c.table_name, column_name, data_type FROM duckdb_columns() c"
        " JOIN duckdb_tables() t USING (database_name, schema_name, table_name)"
        " WHERE database_name = ? ORDER BY 1, column_index",
        [_NAMES],
    ).fetchall()
    tables: dict[str, list[Column]] = {}
    for table, name, kind in rows:
        if is_exported(table):
            tables.setdefault(table, []).append(Column(name, kind))
    return {table: tuple(columns) for table, columns in tables.items()}


def partitions_of(
    connection: DuckDBPyConnection, table: str, columns: Sequence[Column]
) -> list[Found]:
    """The partitions of a table, each with the digest of its rows."""
    namespace, day, source = _placed(table, columns)
    values = ", ".join(f"t.{quoted(column.name)}" for column in columns)
    rows = connection.execute(
        f"SELECT {namespace} AS namespace, {day} AS day, count(*), sum(hash({values})::HUGEINT)"
        f" FROM {source} GROUP BY 1, 2 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST"
    ).fetchall()
    return [
        Found(namespace, day.isoformat() if day else None, n_rows, _digest(columns, n_rows, total))
        for namespace, day, n_rows, total in rows
    ]


def no_rows(columns: Sequence[Column]) -> Found:
    """What stands for a table without rows: a file that has its columns."""
    return Found(None, None, 0, _digest(columns, 0, None))


def _digest(columns: Sequence[Column], rows: int, total: int | None) -> str:
    shape = ",".join(f"{column.name} {column.type}" for column in columns)
    return sha256(f"{shape}|{rows}|{total}".encode()).hexdigest()[:32]


def copy_nothing(
    connection: DuckDBPyConnection, table: str, columns: Sequence[Column], folder: Path
) -> None:
    """Write a file without rows where the first partition of `copy_partitions` would be."""
    place = folder / "lake_part=0"
    place.mkdir(parents=True)
    values = ", ".join(stored(column.name, column.type) for column in columns)
    target = str(place / "none.parquet").replace("'", "''")
    connection.execute(
        f"COPY (SELECT {values} FROM {_NAMES}.{table} t WHERE false) TO '{target}' (FORMAT parquet)"
    )


def copy_partitions(
    connection: DuckDBPyConnection,
    table: str,
    columns: Sequence[Column],
    wanted: Sequence[Found],
    folder: Path,
) -> None:
    """Write partitions as Parquet files into `folder/lake_part=<index in wanted>/`."""
    namespace, day, source = _placed(table, columns)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE lake_wanted (part INTEGER, namespace VARCHAR, day DATE)"
    )
    connection.executemany(
        "INSERT INTO lake_wanted VALUES (?, ?, ?)",
        [
            [part, found.namespace, date.fromisoformat(found.day) if found.day else None]
            for part, found in enumerate(wanted)
        ],
    )
    values = ", ".join(stored(column.name, column.type) for column in columns)
    target = str(folder).replace("'", "''")
    connection.execute(
        f"COPY (SELECT w.part AS lake_part, {values} FROM {source} JOIN lake_wanted w"
        f" ON w.namespace IS NOT DISTINCT FROM {namespace} AND w.day IS NOT DISTINCT FROM {day})"
        f" TO '{target}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (lake_part))"
    )


def _placed(table: str, columns: Sequence[Column]) -> tuple[str, str, str]:
    """SQL of a row's namespace and day, and of where rows come from, for a table named `t`."""
    source = f"{_NAMES}.{table} t"
    if not {column.name for column in columns}.issuperset(KEY_COLUMNS):
        return "NULL::VARCHAR", "NULL::DATE", source
    own = next((c.name for c in columns if c.type.startswith("TIMESTAMP")), None)
    day = f"coalesce(r.day, t.{quoted(own)}::DATE)" if own else "r.day"
    join = "LEFT JOIN lake_runs r ON r.workflow_id = t.workflow_id AND r.run_id = t.run_id"
    return "coalesce(t.namespace, r.namespace)", day, f"{source} {join}"
