"""Rows on their way into tables: collected as plain dicts or tuples, moved as Arrow.

The columns and types of a table are those of the schema files and are read from the database, so
that there is one definition. A row that misses a column or has one too many is a bug and raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from analytics.columns import Block, Columns, Repeated, as_arrow, transposed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tracer.identity import RunKey

__all__ = [
    "KEY_COLUMNS",
    "Row",
    "Rows",
    "arrow_block",
    "arrow_table",
    "delete_runs",
    "insert",
    "insert_arrow",
    "key_columns",
    "registered",
    "table_schema",
]

type Row = Mapping[str, Any]
"""One row by column name."""
type Rows = Sequence[Row]

KEY_COLUMNS: Final = ("namespace", "workflow_id", "run_id")
"""What identifies a run in every table that has one."""


def key_columns(key: RunKey) -> dict[str, object]:
    """The columns that name the run."""
    return {"namespace": key.namespace, "workflow_id": key.workflow_id, "run_id": key.run_id}


def arrow_table(connection: DuckDBPyConnection, table: str, rows: Rows) -> pa.Table:
    """The rows as Arrow, with the columns and types that the table has.

    Raises:
        ValueError: A row's columns are not the table's.
    """
    schema = table_schema(connection, table)
    names = schema.names
    for row in rows:
        if len(row) != len(names):
            raise ValueError(f"row for {table} has other columns: {sorted({*names} ^ row.keys())}")
    if not rows:
        return schema.empty_table()
    try:
        columns = transposed(rows)
    except KeyError as error:
        raise ValueError(f"row for {table} has no column {error}") from error
    return _arrow_columns(schema, table, columns)


def arrow_block(schema: pa.Schema, table: str, keys: Sequence[RunKey], block: Block) -> pa.Table:
    """The rows of many runs as Arrow, for processes that have no database.

    Args:
        schema: The columns of the table.
        table: Its name, for the error.
        keys: The runs.
        block: Their rows.

    Raises:
        ValueError: Their columns are not those of the schema.
    """
    if not any(block.counts):
        return schema.empty_table()
    runs = {
        "namespace": [key.namespace for key in keys],
        "workflow_id": [key.workflow_id for key in keys],
        "run_id": [key.run_id for key in keys],
    }
    repeated = {name: Repeated(values, block.counts) for name, values in runs.items()}
    return _arrow_columns(schema, table, {**repeated, **block.columns})


def _arrow_columns(schema: pa.Schema, table: str, columns: Columns) -> pa.Table:
    if columns.keys() != set(schema.names):
        raise ValueError(f"{table} has other columns: {sorted({*schema.names} ^ columns.keys())}")
    arrays = [as_arrow(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


_schemas: dict[str, pa.Schema] = {}
"""By table. Every open warehouse has the schema of this version, so one lookup serves all."""


def table_schema(connection: DuckDBPyConnection, table: str) -> pa.Schema:
    """The columns of a table, and how they travel as Arrow."""
    if table not in _schemas:
        answer = connection.sql(f"SELECT * FROM {table} LIMIT 0").to_arrow_table()
        _schemas[table] = answer.schema
    return _schemas[table]


@contextmanager
def registered(connection: DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Make an Arrow table visible to SQL under a name, inside a `with` block."""
    connection.register(name, table)
    try:
        yield
    except BaseException:
        # In an aborted transaction nothing can be done; the first error is the one to tell.
        with suppress(duckdb.Error):
            connection.unregister(name)
        raise
    connection.unregister(name)


def insert(connection: DuckDBPyConnection, table: str, rows: Rows) -> int:
    """Append rows to a table; returns how many."""
    return insert_arrow(connection, table, arrow_table(connection, table, rows)) if rows else 0


def insert_arrow(connection: DuckDBPyConnection, table: str, incoming: pa.Table) -> int:
    """Append Arrow rows to a table; returns how many."""
    if not incoming.num_rows:
        return 0
    # DuckDB finds our variable by its name: registering it, and taking that back, takes as long as
    # to store hundreds of rows.
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
    return int(incoming.num_rows)


def delete_runs(
    connection: DuckDBPyConnection, table: str, keys: Iterable[tuple[str, str, str]], where: str
) -> None:
    """Delete the rows of these runs for which the condition holds."""
    columns = zip(*keys, strict=True)
    runs = pa.table(
        {n: pa.array(c, pa.string()) for n, c in zip(KEY_COLUMNS, columns, strict=True)}
    )
    with registered(connection, "gone", runs):
        connection.execute(
            f"DELETE FROM {table} t USING gone g WHERE {where} AND t.namespace = g.namespace"
            " AND t.workflow_id = g.workflow_id AND t.run_id = g.run_id"
        )
