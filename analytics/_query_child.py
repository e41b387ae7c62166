"""The child's side of a guarded query: one query at a time, one piece after another.

It runs in a process of its own, which `analytics.guarded` starts and ends. Here is the polite part
of the limits: DuckDB's own, which leave the process alive. What DuckDB does not heed, such as one
call that builds a list of a billion numbers, the parent and the system end.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from analytics._intervals import with_intervals_as_text
from analytics.errors import QueryRefused, QueryTimeout
from analytics.query import QueryLimits, checked, open_snapshot, refusal, stopped_after, timed_out

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Head", "Piece", "Question", "begin", "proceed"]

_ROWS_AT_ONCE: Final = 1000
_BYTES_AT_ONCE: Final = 1 << 20
"""Of a piece, at least: the way to the parent costs more than a thousand small rows."""
# What DuckDB raises in the midst of an Arrow stream arrives as one of the last two.
_FAILURES: Final = (duckdb.Error, MemoryError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Question:
    """One query of a person, and what it may use."""

    snapshot: Path
    sql: str
    params: Sequence[Any] | Mapping[str, Any] | None
    limits: QueryLimits
    as_arrow: bool
    """Pieces are record batches instead of rows."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an answer before its first row."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """DuckDB's names of the columns' types."""
    arrow_schema: Any = None
    """Of the record batches, where those were asked for."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of an answer."""

    packs: tuple[bytes, ...]
    """Pickled, lists of tuples or record batches: their length tells what holding them takes."""
    is_cut: bool
    """There are more rows than the limit."""


@dataclass(slots=True)
class _Answering:
    """The query that runs now."""

    connection: duckdb.DuckDBPyConnection
    limits: QueryLimits
    deadline: float
    packs: Iterator[tuple[bytes, bool]]
    """Packed rows, and whether there are more than the limit."""


_opened: dict[tuple[Path, int, int, str], duckdb.DuckDBPyConnection] = {}
_current: list[_Answering] = []


def begin(question: Question) -> Head:
    """Start a query; the one before is forgotten.

    Raises:
        QueryRefused: It is not allowed, not SQL, or too large.
        QueryTimeout: Its time was up.
        WarehouseError: The snapshot cannot be read.
    """
    _leave_nothing_to_find()
    _forget()
    if question.as_arrow:
        # Now, while there is memory for it: DuckDB would load it in the midst of the query.
        importlib.import_module("pyarrow")
    # A connection of its own: an answer that was not read to its end keeps the one it is on.
    connection = _connection(question.snapshot, question.limits).cursor()
    deadline = time.monotonic() + question.limits.seconds
    try:
        with stopped_after(connection, question.limits.seconds):
            statement = checked(connection, question.sql)
            head, packs = (_arrow if question.as_arrow else _rows)(connection, statement, question)
    except _FAILURES as error:
        raise refusal(error, question.limits) from error
    _current.append(_Answering(connection, question.limits, deadline, packs))
    return head


def proceed(_nothing: None) -> Piece | None:
    """The next rows of the query that runs, `None` after the last.

    Raises:
        QueryRefused: It needs too much memory.
        QueryTimeout: Its time was up.
    """
    if not _current:
        raise QueryRefused("its process ended before all rows were there; ask again")
    answering = _current[0]
    left = answering.deadline - time.monotonic()
    if left <= 0:
        raise QueryTimeout(timed_out(answering.limits))
    try:
        with stopped_after(answering.connection, left):
            return _piece(answering.packs)
    except _FAILURES as error:
        raise refusal(error, answering.limits) from error


def _piece(packs: Iterator[tuple[bytes, bool]]) -> Piece | None:
    taken: list[bytes] = []
    n_bytes, is_cut = 0, False
    while n_bytes < _BYTES_AT_ONCE:
        pack, is_cut = next(packs, (b"", is_cut))
        if not pack:
            break
        taken.append(pack)
        n_bytes += len(pack)
    return Piece(tuple(taken), is_cut) if taken else None


def _forget() -> None:
    for answering in _current:
        answering.connection.close()
    _current.clear()


def _leave_nothing_to_find() -> None:
    """Take away what a query could get hold of should DuckDB's own locks not hold."""
    os.environ.clear()
    if sys.platform != "win32":
        import resource
        import signal

        # A write to a file beyond the limit would end the process without a word.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _connection(snapshot: Path, limits: QueryLimits) -> duckdb.DuckDBPyConnection:
    """That of the query before, if it has the same file."""
    status = snapshot.stat()
    key = (snapshot, status.st_ino, status.st_mtime_ns, limits.memory)
    if key not in _opened:
        for connection in _opened.values():
            connection.close()
        _opened.clear()
        _opened[key] = open_snapshot(snapshot, limits)
    return _opened[key]


def _rows(
    connection: duckdb.DuckDBPyConnection, statement: Any, question: Question
) -> tuple[Head, Iterator[tuple[bytes, bool]]]:
    params = question.params
    if params:
        answer = connection.execute(statement, params)
    else:
        answer = connection.execute(with_intervals_as_text(connection, statement))
    described = answer.description or []
    head = Head(tuple(column[0] for column in described), tuple(str(c[1]) for c in described))
    return head, _row_packs(connection, question.limits.rows)


def _row_packs(
    connection: duckdb.DuckDBPyConnection, limit: int | None
) -> Iterator[tuple[bytes, bool]]:
    n_rows = 0
    while rows := connection.fetchmany(_ROWS_AT_ONCE):
        kept = rows if limit is None else rows[: limit - n_rows]
        n_rows += len(kept)
        is_cut = len(kept) < len(rows)
        yield pickle.dumps(kept), is_cut
        if is_cut:
            return


def _arrow(
    connection: duckdb.DuckDBPyConnection, statement: Any, question: Question
) -> tuple[Head, Iterator[tuple[bytes, bool]]]:
    relation = connection.sql(statement, params=question.params or None)
    reader = relation.to_arrow_reader(_ROWS_AT_ONCE)
    head = Head(tuple(relation.columns), tuple(map(str, relation.types)), reader.schema)
    return head, _batch_packs(reader, question.limits.rows)


def _batch_packs(reader: pa.RecordBatchReader, limit: int | None) -> Iterator[tuple[bytes, bool]]:
    n_rows = 0
    for batch in reader:
        kept = batch if limit is None else batch.slice(0, limit - n_rows)
        n_rows += kept.num_rows
        is_cut = kept.num_rows < batch.num_rows
        yield pickle.dumps(kept), is_cut
        if is_cut:
            return
