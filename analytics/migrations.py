"""Brings a warehouse to the schema of this version, forward only.

Files in `schema/` are numbered. Those below 100 make tables: each is applied once, in order, and a
released one never changes. Those from 100 make views and macros: all of them are made anew whenever
one differs from what the warehouse has, so that views are always those of the code that reads them.
Those from 200 are rules that settle runs (`analytics.settling`): where one differs, all runs are
settled anew.
A warehouse that a newer version wrote is refused: guessing would lose data.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import duckdb

from analytics.errors import WarehouseError

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

__all__ = [
    "SCHEMA_VERSION",
    "SchemaFile",
    "is_current",
    "made_by_another",
    "migrate",
    "require_warehouse",
    "schema_files",
]

_FIRST_VIEW: Final = 100
_FIRST_RULE: Final = 200
_VERSIONS: Final = "SELECT number, sha256 FROM ref.schema_version"


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One numbered `.sql` file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the text, hex."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def makes_tables(self) -> bool:
        """Whether it is applied once, and not each time that it differs."""
        return self.number < _FIRST_VIEW

    @property
    def makes_views(self) -> bool:
        """Whether it makes views and macros."""
        return _FIRST_VIEW <= self.number < _FIRST_RULE

    @property
    def settles(self) -> bool:
        """Whether it is a rule, applied to the runs that a batch touches."""
        return self.number >= _FIRST_RULE


@cache
def schema_files() -> tuple[SchemaFile, ...]:
    """All schema files, in the order in which they are applied."""
    folder = files("analytics").joinpath("schema")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return tuple(
        SchemaFile(int(name.split("_")[0]), name, folder.joinpath(name).read_text("utf-8"))
        for name in names
    )


SCHEMA_VERSION: Final = max(file.number for file in schema_files() if file.makes_tables)
"""The newest table file that this version knows."""


def migrate(connection: DuckDBPyConnection, path: str) -> None:
    """Apply what is missing, in one transaction.

    Args:
        connection: To the warehouse, writable, with no transaction open.
        path: The warehouse, for messages.

    Raises:
        WarehouseError: It was written by a newer version, or is a DuckDB file of something else.
    """
    applied = _applied(connection, path)
    newest = max((number for number in applied if number < _FIRST_VIEW), default=0)
    if newest > SCHEMA_VERSION:
        raise WarehouseError(
            f"{path}: its schema is version {newest}, this Retrospan knows {SCHEMA_VERSION}; "
            "upgrade Retrospan"
        )
    missing = [file for file in schema_files() if file.makes_tables and file.number not in applied]
    renewed = {file.number: file.sha256 for file in schema_files() if not file.makes_tables}
    has = {number: digest for number, digest in applied.items() if number >= _FIRST_VIEW}
    if not missing and renewed == has:
        return
    connection.execute("BEGIN")
    try:
        if applied:
            # A view may stand where a table is to be, and no table under a view can be altered.
            _drop_views(connection)
        for file in missing:
            _apply(connection, file)
        _renew(connection)
        if missing or _rules(renewed) != _rules(has):
            _settle_all(connection)
        connection.execute("COMMIT")
    except BaseException:
        # A disk that is full may have ended the transaction already; the first error is told.
        with suppress(duckdb.TransactionException):
            connection.execute("ROLLBACK")
        raise


def is_current(connection: DuckDBPyConnection) -> bool:
    """Whether what is open has the tables, views and rules of this version."""
    files = {file.number: file.sha256 for file in schema_files()}
    try:
        return dict(connection.execute(_VERSIONS).fetchall()) == files
    except duckdb.CatalogException:
        return False


def made_by_another(path: Path | str) -> WarehouseError:
    """The error for a warehouse that has not what this version asks for."""
    return WarehouseError(
        f"{path}: another version of Retrospan made it; "
        "`retrospan rebuild` or the next import brings it up to date"
    )


def _rules(digests: dict[int, str]) -> dict[int, str]:
    return {number: digest for number, digest in digests.items() if number >= _FIRST_RULE}


def _settle_all(connection: DuckDBPyConnection) -> None:
    from analytics.settling import settle_all  # Which reads the rules from here.

    settle_all(connection)


def require_warehouse(connection: DuckDBPyConnection, path: Path) -> None:
    """Refuse a DuckDB file of something else, or one that was never filled, before it is read.

    Raises:
        WarehouseError: It is no warehouse.
    """
    if not _applied(connection, str(path)):
        raise WarehouseError(f"{path}: nothing was stored in it yet; import runs first")


def _applied(connection: DuckDBPyConnection, path: str) -> dict[int, str]:
    tables = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal"
    ).fetchall()
    if ("ref.schema_version",) not in tables:
        if tables:
            raise WarehouseError(
                f"{path}: a DuckDB file, but not a Retrospan warehouse; name another file"
            )
        return {}
    return dict(connection.execute(_VERSIONS).fetchall())


def _renew(connection: DuckDBPyConnection) -> None:
    connection.execute("DELETE FROM ref.schema_version WHERE number >= ?", [_FIRST_VIEW])
    for file in schema_files():
        if file.makes_views:
            _apply(connection, file)
        elif file.settles:
            _note(connection, file)


def _drop_views(connection: DuckDBPyConnection) -> None:
    views = connection.execute(
        "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    macros = connection.execute(
        "SELECT DISTINCT schema_name, function_name, function_type FROM duckdb_functions()"
        " WHERE function_type LIKE '%macro' AND NOT internal"
    ).fetchall()
    for schema, name in views:
        connection.execute(f'DROP VIEW "{schema}"."{name}"')
    for schema, name, kind in macros:
        word = "MACRO TABLE" if kind == "table_macro" else "MACRO"
        connection.execute(f'DROP {word} "{schema}"."{name}"')


def _apply(connection: DuckDBPyConnection, file: SchemaFile) -> None:
    connection.execute(file.sql)
    _note(connection, file)


def _note(connection: DuckDBPyConnection, file: SchemaFile) -> None:
    connection.execute(
        "INSERT INTO ref.schema_version VALUES (?, ?, ?, ?)",
        [file.number, file.name, file.sha256, datetime.now(UTC).replace(tzinfo=None)],
    )
