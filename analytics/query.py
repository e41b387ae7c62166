"""SQL on a snapshot: read-only, within limits.

A query can neither write nor reach files, the network, settings or variables of this program,
whatever it says: DuckDB is opened with these doors locked, and only SELECT and EXPLAIN are let in.
`run_query` is for queries that Retrospan writes; it stops them when DuckDB looks at the clock.
Queries that people write go through `analytics.guarded`, which stops all of them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from analytics.errors import QueryError, QueryRefused, QueryTimeout, QueryTooLarge
from analytics.migrations import is_current, made_by_another
from analytics.snapshot import reader_file
from analytics.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "QueryLimits",
    "QueryResult",
    "checked",
    "memory_bytes",
    "needs_too_much",
    "open_reader",
    "open_snapshot",
    "own_reader",
    "refusal",
    "run_query",
    "stopped_after",
    "timed_out",
]

_ALLOWED: Final = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
# A function that changes settings in the midst of a SELECT; DuckDB 1.5 does not lock it.
_CHANGES_SETTINGS: Final = re.compile(r"\b(enable|disable)_logging\s*\(", re.IGNORECASE)
_OUT_OF_REACH: Final = "files, network and settings are out of reach of queries"
_HINT: Final = re.compile("Did you mean|Candidate bindings")
"""How the line begins in which DuckDB tells what was probably meant."""
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B", re.IGNORECASE)


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


@contextmanager
def own_reader(
    path: Path | str, limits: QueryLimits | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for questions that are not the user's, for the length of the block.

    Raises:
        WarehouseError: There is nothing to read, or not what this version asks for.
    """
    connection = open_reader(path, limits)
    try:
        yield connection
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        raise made_by_another(path) from error
    finally:
        connection.close()


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
        WarehouseError: There is nothing to read, or not what this version asks for.
    """
    limits = limits or QueryLimits()
    connection = open_reader(path, limits)
    try:
        with stopped_after(connection, limits.seconds):
            return _answer(connection, checked(connection, sql), params, limits)
    except duckdb.Error as error:
        is_name = isinstance(error, (duckdb.BinderException, duckdb.CatalogException))
        if is_name and not is_current(connection):
            raise made_by_another(path) from error
        raise refusal(error, limits) from error
    finally:
        connection.close()


def open_reader(path: Path | str, limits: QueryLimits | None = None) -> duckdb.DuckDBPyConnection:
    """A connection to a snapshot that can read tables and do nothing else.

    Raises:
        WarehouseError: There is nothing to read.
    """
    return open_snapshot(reader_file(path), limits or QueryLimits())


def open_snapshot(snapshot: Path, limits: QueryLimits) -> duckdb.DuckDBPyConnection:
    """A connection to a file that nobody writes to, with all doors locked.

    Raises:
        WarehouseError: It cannot be read.
    """
    connection = connect(
        snapshot,
        read_only=True,
        memory_limit=limits.memory,
        temp_directory="",
        # A name that no table has would otherwise be looked for among our own variables.
        python_enable_replacements=False,
    )
    # The order matters: without external access, the folder for spilling cannot be taken away,
    # and after the lock nothing can be changed.
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement of a query, if it is of a kind that only reads.

    Raises:
        QueryRefused: It is not.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise QueryRefused(f"expected one statement, found {len(statements)}")
    kind = statements[0].type
    if kind not in _ALLOWED:
        raise QueryRefused(f"{kind.name} is not allowed here; only SELECT and EXPLAIN are")
    if _CHANGES_SETTINGS.search(sql):
        raise QueryRefused(_OUT_OF_REACH)
    return statements[0]


def memory_bytes(text: str) -> int:
    """A size as DuckDB writes it, such as `512MB` or `1.5GiB`, in bytes.

    Raises:
        ValueError: It is not a size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size; write it as 512MB or 2GB")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** ("KMGT".index(found[2].upper()) + 1))


def _answer(
    connection: duckdb.DuckDBPyConnection,
    statement: duckdb.Statement,
    params: Sequence[Any] | Mapping[str, Any] | None,
    limits: QueryLimits,
) -> QueryResult:
    answer = connection.execute(statement, params) if params else connection.execute(statement)
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
def stopped_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt what the connection does when so many seconds are over."""
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # The connection must not be closed under a timer that has just fired.
        timer.join()


def refusal(error: Exception, limits: QueryLimits) -> QueryError:
    """What became of a query that did not finish, in our words and on one line.

    Args:
        error: DuckDB's own, or what carries its text through Arrow.
        limits: Those of the query.
    """
    lines = [line for line in str(error).splitlines() if line.strip()] or ["unknown error"]
    text = lines[0]
    if isinstance(error, duckdb.InterruptException) or "INTERRUPT Error" in text:
        return QueryTimeout(timed_out(limits))
    if isinstance(error, MemoryError) or "Out of Memory Error" in text:
        return QueryTooLarge(needs_too_much(limits))
    if "read-only mode" in text:
        return QueryRefused("queries only read; what this one writes is refused")
    if isinstance(error, duckdb.PermissionException) or "configuration has been locked" in text:
        return QueryRefused(_OUT_OF_REACH)
    return QueryRefused("; ".join([text, *(hint for hint in lines[1:2] if _HINT.match(hint))]))


def timed_out(limits: QueryLimits) -> str:
    """The message for a query whose time was up."""
    return f"stopped after {limits.seconds:g} s; narrow the query or allow more time"


def needs_too_much(limits: QueryLimits) -> str:
    """The message for a query that ran out of memory."""
    return f"needs more than {limits.memory} of memory; narrow it or allow more"
