"""Rows of many runs on their way into a table, column by column.

Millions of rows pass through an import. An object for each, with its values by name, would cost
more than the values do: the rows of many runs travel as one list or array for each column, and what
can be said of a whole column (its times are UTC, its rows belong to this run) Arrow works out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tracer.model import elapsed_ns

__all__ = [
    "Block",
    "Column",
    "Columns",
    "Repeated",
    "Sparse",
    "Times",
    "as_arrow",
    "seconds",
    "transposed",
    "utc",
]

_IN_MICROSECOND: Final = 1_000
_IN_SECOND: Final = 1e9
_END: Final = 2**63
"""Nanoseconds from which on a column cannot hold a time; in 2262."""


class Packed(Protocol):
    """A column in a form of its own."""

    def arrow(self, type_: pa.DataType) -> pa.Array:
        """All its values."""
        ...


type Column = Sequence[Any] | Packed
"""The values of one column, in the order of the rows."""
type Columns = Mapping[str, Column]
"""Columns of equal length by name."""


@dataclass(frozen=True, slots=True)
class Block:
    """The rows that many runs have in one table, run after run."""

    columns: Columns
    """Beside those of the run's key."""
    counts: Sequence[int]
    """How many rows each run has."""


def as_arrow(column: Column, type_: pa.DataType) -> pa.Array:
    """A column as Arrow."""
    return pa.array(column, type_) if isinstance(column, Sequence) else column.arrow(type_)


def transposed(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """The columns of rows that all have the same ones; none, if there is no row."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def utc(nanoseconds: int | None) -> int | None:
    """Microseconds for a `TIMESTAMP` column. Times that DuckDB cannot hold become `None`."""
    if nanoseconds is None or not 0 < nanoseconds < _END:
        return None
    return nanoseconds // _IN_MICROSECOND


def seconds(start: int | None, end: int | None) -> float | None:
    """Seconds between two times in nanoseconds, never negative; `None` where one is missing."""
    elapsed = elapsed_ns(start, end)
    return None if elapsed is None else elapsed / _IN_SECOND


@dataclass(frozen=True, slots=True)
class Times:
    """Nanoseconds since the epoch, for a `TIMESTAMP` column: `utc` of each."""

    values: Sequence[int | None]

    def arrow(self, type_: pa.DataType) -> pa.Array:
        """Times that DuckDB cannot hold become null."""
        times = _storable(self.values)
        earliest = pc.min(times).as_py()
        if earliest is not None and earliest <= 0:
            times = pc.if_else(pc.greater(times, 0), times, None)
        return pc.divide(times, _IN_MICROSECOND).cast(type_)


def _storable(times: Sequence[int | None]) -> pa.Array:
    try:
        return pa.array(times, pa.int64())
    except OverflowError:
        # Markers of local activities tell times that no server has checked.
        return pa.array([None if utc(time) is None else time for time in times], pa.int64())


@dataclass(frozen=True, slots=True)
class Sparse:
    """A column that only rows of some kinds have values for."""

    parts: Sequence[Sequence[Any] | int]
    """Kind by kind: the values of its rows, or how many rows without a value it has."""
    order: pa.Array
    """For each row of the table, which of all those it is."""

    def arrow(self, type_: pa.DataType) -> pa.Array:
        """Null where no value is."""
        if all(isinstance(part, int) for part in self.parts):
            return pa.nulls(len(self.order), type_)
        arrays = [
            pa.nulls(part, type_) if isinstance(part, int) else pa.array(part, type_)
            for part in self.parts
        ]
        return pa.concat_arrays(arrays).take(self.order)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A column that says the same for all rows of a run."""

    values: Sequence[Any]
    """One for each run."""
    counts: Sequence[int]
    """How many rows each run has."""

    def arrow(self, type_: pa.DataType) -> pa.Array:
        """Each value as often as its run has rows."""
        ends = pa.array(accumulate(filter(None, self.counts)), pa.int32())
        values = pa.array(self._present(), type_)
        return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, values))

    def _present(self) -> Iterator[Any]:
        return (value for value, count in zip(self.values, self.counts, strict=True) if count)
