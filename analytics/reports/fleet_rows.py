"""What a fleet report asks a warehouse: views over the runs that were chosen, and nothing else.

The chosen runs are a temporary table, `chosen`, in the reader's own memory. Every question joins
it, so that all parts of a report tell of the same runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from analytics.questions import Scope
from analytics.reports.asking import asking

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Buckets", "Fleet", "open_fleet"]

_MOST_BUCKETS: Final = 48
_STEPS: Final = (
    timedelta(seconds=1),
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=7),
    timedelta(days=28),
    timedelta(days=364),
)


class Buckets(NamedTuple):
    """How time is cut on axes."""

    step: timedelta
    first: datetime
    last: datetime
    """The start of the last bucket."""

    @property
    def edges(self) -> list[str]:
        """What an axis shows: half a bucket on each side, because columns stand on their start."""
        half = self.step / 2
        return [(self.first - half).isoformat(), (self.last + half).isoformat()]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The runs that were chosen, ready to be asked about."""

    connection: DuckDBPyConnection
    n_runs: int
    n_forks: int
    """Forks that fit; they did not happen in production and are left out."""
    buckets: Buckets | None
    """`None` where no run that was chosen has a start."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer to a question about `chosen`."""
        return self.connection.execute(sql, list(values)).fetchall()

    def row(self, sql: str) -> tuple[Any, ...]:
        """The answer to a question that has exactly one row."""
        return self.rows(sql)[0]


@contextmanager
def open_fleet(warehouse: Path | str, scope: Scope) -> Iterator[Fleet]:
    """Choose runs of a warehouse; they can be asked about inside the block.

    Raises:
        WarehouseError: There is nothing to read.
    """
    with asking(warehouse) as connection:
        where, values = scope.tests("r.started_at", settled="r")
        connection.execute(f"{_CHOSEN} WHERE {where}", values)
        n_runs, first, last = connection.execute(_SPAN).fetchall()[0]
        where, values = scope.tests("r.started_at", settled="r", forks=True)
        ((n_forks,),) = connection.execute(f"{_FORKS} WHERE {where}", values).fetchall()
        yield Fleet(connection, n_runs, n_forks, _buckets(first, last))


def _buckets(first: datetime | None, last: datetime | None) -> Buckets | None:
    if first is None or last is None:
        return None
    wide = (last - first) / _MOST_BUCKETS
    step = next((step for step in _STEPS if step >= wide), _STEPS[-1])
    return Buckets(step, _floor(first, step), _floor(last, step))


def _floor(moment: datetime, step: timedelta) -> datetime:
    origin = datetime(2000, 1, 3)  # noqa: DTZ001 - a Monday; the warehouse's times are bare UTC
    return origin + (moment - origin) // step * step


_CHOSEN: Final = """
CREATE TEMP TABLE chosen AS
SELECT r.namespace, r.workflow_id, r.run_id, r.workflow_type, r.tenant, r.status, r.is_stuck,
       r.started_at, r.duration_s, r.n_events
FROM mart.run_summary r
"""
_FORKS: Final = "SELECT count(*) FROM mart.run_summary r"
_SPAN: Final = "SELECT count(*), min(started_at), max(started_at) FROM chosen"
