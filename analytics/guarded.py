"""Queries of people, each behind a wall: a process that is ended when it goes beyond its limits.

`run_query` stops a query where DuckDB looks up, which a single call can put off for minutes and
gigabytes. Here the query runs in a child process with a limit on its memory that the system keeps,
and a clock outside. So whatever a query does, its answer, or one line why there is none, comes in
time, and Ctrl-C ends it at once. The answer comes in pieces: it may be larger than any memory.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from analytics._query_child import Head, Piece, Question, begin, proceed
from analytics.errors import QueryRefused, QueryTimeout, QueryTooLarge
from analytics.query import QueryLimits, memory_bytes, needs_too_much, timed_out
from analytics.snapshot import reader_file
from replayer.replaying.child import Child, Limits
from replayer.replaying.errors import ChildError, ChildOutOfMemory, ChildTimedOut

if TYPE_CHECKING:
    from types import TracebackType

    import pyarrow as pa

__all__ = ["GuardedAnswer", "GuardedReader"]

_POLITE_SECONDS: Final = 1.0
"""For DuckDB to stop by itself, which keeps its process for the next query."""
_OWN_BYTES: Final = 512 << 20
"""Of the child, beside what DuckDB counts: Python, libraries, stacks and the piece being sent."""


class GuardedAnswer:
    """The answer to one query; read it before the next one is asked."""

    def __init__(self, reader: GuardedReader, head: Head) -> None:
        self._reader = reader
        self._head = head
        self.is_cut = False
        """There were more rows than the limit; known after the last."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names, which may come twice."""
        return self._head.columns

    @property
    def types(self) -> tuple[str, ...]:
        """DuckDB's names of the columns' types."""
        return self._head.types

    @property
    def arrow_schema(self) -> pa.Schema:
        """Of `batches`, if those were asked for."""
        return self._head.arrow_schema

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Every row, as it comes.

        Raises:
            QueryRefused: It needs too much memory.
            QueryTimeout: Its time was up.
        """
        for pack in self._packs():
            yield from pickle.loads(pack)

    def held_rows(self) -> list[tuple[Any, ...]]:
        """All rows at once, for an answer that is looked at as a whole.

        Raises:
            QueryTooLarge: The answer alone is larger than the memory that the query may use.
            QueryTimeout: Its time was up.
        """
        held, n_bytes = [], 0
        for pack in self._packs():
            n_bytes += len(pack)
            if n_bytes > memory_bytes(self._reader.limits.memory):
                self._reader.stop()
                raise QueryTooLarge(
                    f"its answer is larger than {self._reader.limits.memory}; "
                    "narrow it, or write it as csv, json, parquet or arrow"
                )
            held += pickle.loads(pack)
        return held

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Every record batch, as it comes.

        Raises:
            QueryRefused: It needs too much memory.
            QueryTimeout: Its time was up.
        """
        for pack in self._packs():
            yield pickle.loads(pack)

    def _packs(self) -> Iterator[bytes]:
        while (piece := self._reader.next_piece()) is not None:
            self.is_cut = piece.is_cut
            yield from piece.packs


class GuardedReader:
    """Asks one query after another. A context manager; for one thread."""

    def __init__(self, path: Path | str, limits: QueryLimits | None = None) -> None:
        """Nothing is started or read before the first query.

        Args:
            path: The warehouse.
            limits: For each query.
        """
        self.path = Path(path)
        self.limits = limits or QueryLimits()
        memory = memory_bytes(self.limits.memory) + _OWN_BYTES
        self._child = Child(Limits(self.limits.seconds + _POLITE_SECONDS, memory))

    def ask(
        self,
        sql: str,
        params: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        as_arrow: bool = False,
    ) -> GuardedAnswer:
        """Start a query.

        Args:
            sql: One SELECT (or FROM, WITH, SHOW, DESCRIBE, SUMMARIZE) or EXPLAIN.
            params: Values for `?` or `$name`.
            as_arrow: The answer is read with `batches`, not with `rows`.

        Raises:
            QueryRefused: It is not SQL, does something else than read, or needs too much memory.
            QueryTimeout: Its time was up.
            WarehouseError: There is nothing to read.
        """
        question = Question(reader_file(self.path), sql, params, self.limits, as_arrow)
        return GuardedAnswer(self, self._do(begin, question))

    def next_piece(self) -> Piece | None:
        """The next rows of the query asked last."""
        return self._do(proceed, None)

    def stop(self) -> None:
        """End the query that runs, whatever it does; the next one starts afresh."""
        self._child.end()

    def close(self) -> None:
        """End everything. Calling it again does nothing."""
        self._child.close()

    def _do[A, R](self, job: Callable[[A], R], argument: A) -> R:
        try:
            return self._child.do(job, argument)
        except QueryTooLarge:
            # What it had taken is not all given back, and would be missing for the next query.
            self.stop()
            raise
        except ChildError as error:
            raise self._ended(error) from error

    def _ended(self, error: ChildError) -> QueryRefused | QueryTimeout:
        if isinstance(error, ChildTimedOut):
            return QueryTimeout(timed_out(self.limits))
        if isinstance(error, ChildOutOfMemory):
            return QueryTooLarge(needs_too_much(self.limits))
        return QueryRefused(f"{error}; ask in another way, and report the query as a defect")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
