"""The lake with DuckDB: the tables are its files, the views and macros are those of the warehouse.

Whoever queries it reads the files that the manifest names and nothing else: the connection reaches
no file outside the folder, no network and no settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from analytics.errors import LakeError
from analytics.lake.columns import restored
from analytics.lake.manifest import Column, Lake, Table, check_folder, read_manifest
from analytics.migrations import SCHEMA_VERSION, SchemaFile, schema_files
from analytics.query import QueryLimits, checked, refusal, stopped_after

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "Answer",
    "checked_lake",
    "connect_in_memory",
    "define_tables",
    "define_views",
    "open_lake",
    "query_lake",
    "view_files",
]


def open_lake(folder: Path | str, *, memory: str = "2GB") -> DuckDBPyConnection:
    """A connection on which everything of the warehouse's `core`, `ref` and `mart` can be asked.

    Args:
        folder: Of the lake.
        memory: What queries may use, as DuckDB writes sizes.

    Raises:
        LakeError: There is no lake, or it was written by another version of the schema.
    """
    folder = check_folder(Path(folder))
    lake = checked_lake(folder)
    connection = connect_in_memory(memory)
    try:
        _define(connection, lake, folder)
        connection.execute("SET temp_directory = ''")
        connection.execute("SET allowed_directories = [?]", [f"{folder}/"])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except LakeError:
        connection.close()
        raise
    except duckdb.Error as error:
        connection.close()
        raise LakeError(f"{folder}: cannot be read: {str(error).splitlines()[0]}") from error
    return connection


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query_lake(folder: Path | str, sql: str, *, seconds: float = 600.0) -> Answer:
    """Answer one SELECT with DuckDB.

    Args:
        folder: Of the lake.
        sql: The query.
        seconds: Of wall clock, after which it is stopped.

    Raises:
        LakeError: There is no lake.
        QueryRefused: It is not SQL, or does something else than read.
        QueryTimeout: Its time was up.
    """
    limits = QueryLimits(seconds=seconds)
    with open_lake(folder, memory=limits.memory) as connection:
        try:
            with stopped_after(connection, limits.seconds):
                answer = connection.execute(checked(connection, sql))
                columns = tuple(column[0] for column in answer.description or [])
                return Answer(columns, answer.fetchall())
        except duckdb.Error as error:
            raise refusal(error, limits) from error


def connect_in_memory(memory: str) -> DuckDBPyConnection:
    """A database of its own that loads nothing from anywhere."""
    return duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory,
        }
    )


def checked_lake(folder: Path) -> Lake:
    """The lake in a folder, if its tables are those that the views of this version expect.

    Raises:
        LakeError: There is none, or it was written by another version of the schema.
    """
    lake = read_manifest(folder)
    if lake.schema_version < SCHEMA_VERSION:
        raise LakeError(
            f"{folder}: its schema is version {lake.schema_version}, the views need "
            f"{SCHEMA_VERSION}; run `retrospan lake export` again"
        )
    return lake


def view_files() -> list[SchemaFile]:
    """The schema files that make views and macros."""
    return [file for file in schema_files() if file.makes_views]


def define_tables(connection: DuckDBPyConnection) -> dict[str, tuple[Column, ...]]:
    """Make the tables of a warehouse, empty; returns their columns."""
    for file in schema_files():
        if file.makes_tables:
            connection.execute(file.sql)
    return _columns(connection)


def define_views(connection: DuckDBPyConnection) -> None:
    """Make the views and macros of a warehouse."""
    for file in view_files():
        connection.execute(file.sql)


def _define(connection: DuckDBPyConnection, lake: Lake, folder: Path) -> None:
    expected = define_tables(connection)
    for table in lake.tables:
        if expected.get(table.name) != table.columns:
            raise LakeError(
                f"{folder}: {table.name!r} is not the table that the views need; "
                "run `retrospan lake export` again"
            )
        connection.execute(f"DROP TABLE {table.name}")
        connection.execute(_as_view(table, folder))
    define_views(connection)


def _columns(connection: DuckDBPyConnection) -> dict[str, tuple[Column, ...]]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE NOT internal ORDER BY 1, column_index"
    ).fetchall()
    tables = groupby(rows, key=itemgetter(0))
    return {name: tuple(Column(*row[1:]) for row in group) for name, group in tables}


def _as_view(table: Table, folder: Path) -> str:
    columns = ", ".join(restored(column.name, column.type) for column in table.columns)
    paths = ", ".join("'" + f"{folder}/{f.path}".replace("'", "''") + "'" for f in table.files)
    # Namespaces are columns of the files; those in the folders' names are encoded.
    return (
        f"CREATE VIEW {table.name} AS SELECT {columns}"
        f" FROM read_parquet([{paths}], hive_partitioning = false)"
    )
