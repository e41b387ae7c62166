"""People's SQL: read-only, on a snapshot, within limits.

A query can neither write nor reach files, the network or settings, whatever it says: DuckDB is
opened with these doors locked, and only SELECT and EXPLAIN are let in. It is stopped when its time
is up.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from analytics.errors import QueryRefused, QueryTimeout
from analytics.snapshot import reader_file
from analytics.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["QueryLimits", "QueryResult", "open_reader", "run_query"]

_ALLOWED: Final = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """How much a query may use."""

    seconds: float = 60.0
    """Of wall clock."""
    memory: str = "2GB"
    """As DuckDB writes sizes. Nothing is spilled to disk."""
    rows: int | None = 100_000
    """Rows of the answer, `None` for all; more are cut off and `QueryResult.is_cut` says so."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a query."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """DuckDB's names of the columns' types."""
    rows: list[tuple[Any, ...]]
    is_cut: bool
    """There were more rows than the limit."""


def run_query(
    path: Path | str,
    sql: str,
    *,
    params: Sequence[Any] | Mapping[str, Any] | None = None,
    limits: QueryLimits | None = None,
) -> QueryResult:
    """Answer one query.

    Args:
        path: The warehouse.
        sql: One SELECT (or FROM, WITH, SHOW, DESCRIBE, SUMMARIZE) or EXPLAIN.
        params: Values for `?` or `$name`.
        limits: Instead of the default ones.

    Raises:
        QueryRefused: It is not SQL, does something else than read, or needs too much memory.
        QueryTimeout: Its time was up.
        WarehouseError: There is nothing to read.
    """
    limits = limits or QueryLimits()
    connection = open_reader(path, limits)
    try:
        with _stopped_after(connection, limits.seconds):
            _check(connection, sql)
            return _answer(connection, sql, params, limits)
    except duckdb.InterruptException as error:
        raise QueryTimeout(
            f"stopped after {limits.seconds:g} s; narrow the query or allow more time"
        ) from error
    except duckdb.Error as error:
        raise _refusal(error, limits) from error
    finally:
        connection.close()


def open_reader(path: Path | str, limits: QueryLimits | None = None) -> duckdb.DuckDBPyConnection:
    """A connection to a snapshot that can read tables and do nothing else.

    Raises:
        WarehouseError: There is nothing to read.
    """
    limits = limits or QueryLimits()
    connection = connect(
        reader_file(path), read_only=True, memory_limit=limits.memory, temp_directory=""
    )
    # The order matters: without external access, the folder for spilling cannot be taken away,
    # and after the lock nothing can be changed.
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _check(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryRefused(f"expected one statement, found {len(statements)}")
    kind = statements[0].type
    if kind not in _ALLOWED:
        raise QueryRefused(f"{kind.name} is not allowed here; only SELECT and EXPLAIN are")


def _answer(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] | None,
    limits: QueryLimits,
) -> QueryResult:
    answer = connection.execute(sql, params) if params else connection.execute(sql)
    description = answer.description or []
    rows = answer.fetchall() if limits.rows is None else answer.fetchmany(limits.rows + 1)
    is_cut = limits.rows is not None and len(rows) > limits.rows
    return QueryResult(
        columns=tuple(column[0] for column in description),
        types=tuple(str(column[1]) for column in description),
        rows=rows[: limits.rows],
        is_cut=is_cut,
    )


@contextmanager
def _stopped_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # The connection must not be closed under a timer that has just fired.
        timer.join()


def _refusal(error: duckdb.Error, limits: QueryLimits) -> QueryRefused:
    text = next((line for line in str(error).splitlines() if line.strip()), "unknown error")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryRefused(f"needs more than {limits.memory} of memory; narrow it or allow more")
    if isinstance(error, duckdb.PermissionException):
        return QueryRefused("files, network and settings are out of reach of queries")
    return QueryRefused(text)
