"""Histories on their way in: modelled, written down as Arrow tables, their raw bytes compressed.

Nothing here knows a database, so that worker processes can stage what one writer stores
(`analytics.pool`). A batch names a run once, and remembers which rows are whose: the writer may
find that it has some of the runs already and leaves those rows out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from analytics.archive import Packed, packed
from analytics.event_rows import EventRows
from analytics.run_rows import DERIVED_TABLES, derived_blocks
from analytics.tables import arrow_block, table_schema
from replayer.history import Rejected, RunHistory
from tracer.model import run_from_events

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from replayer.history import Origin
    from tracer.identity import RunKey
    from tracer.model import Run

__all__ = [
    "STAGED_TABLES",
    "Item",
    "Schemas",
    "Staged",
    "StagedRun",
    "batches",
    "joined",
    "stage",
    "staged_schemas",
    "without_repeated_runs",
]

type Item = RunHistory | Rejected
"""What reading gives."""
type Schemas = Mapping[str, pa.Schema]
"""Columns by table."""
type Source = tuple[str, RunKey]
"""SHA-256 of a raw history, and the run that it tells of."""

STAGED_TABLES: Final = ("core.events", "core.payloads", *DERIVED_TABLES)
"""Every table that has rows from histories."""

_BATCH_EVENTS: Final = 20_000
_BATCH_BYTES: Final = 64 << 20
_BATCH_ITEMS: Final = 500


@dataclass(frozen=True, slots=True)
class StagedRun:
    """One history, without its rows."""

    key: RunKey
    key_source: str
    origin: Origin
    n_events: int
    packed: Packed
    """Its raw bytes for the archive."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Some histories as rows. No run comes twice."""

    runs: tuple[StagedRun, ...] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    """The rows of all runs by table, in the order of `runs`."""
    ends: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By table, where the rows of each run end."""

    @property
    def n_events(self) -> int:
        """Events of all runs."""
        return sum(run.n_events for run in self.runs)

    def only(self, places: Sequence[int]) -> Staged:
        """The runs at these places, in ascending order, with their rows."""
        if len(places) == len(self.runs):
            return self
        tables, ends = {}, {}
        for name, table in self.tables.items():
            spans = list(pairwise((0, *self.ends[name])))
            wanted = [spans[place] for place in places]
            slices = [table.slice(start, end - start) for start, end in wanted]
            tables[name] = pa.concat_tables(slices) if slices else table.slice(0, 0)
            ends[name] = tuple(accumulate(end - start for start, end in wanted))
        return Staged(tuple(self.runs[place] for place in places), tables, ends)


def batches(items: Iterable[Item], *, events: int = _BATCH_EVENTS) -> Iterator[list[Item]]:
    """Cut a stream into pieces that fit into memory and are worth a transaction.

    Args:
        items: What reading gives.
        events: A piece ends when it has so many.
    """
    batch: list[Item] = []
    count = size = 0
    for item in items:
        batch.append(item)
        if isinstance(item, RunHistory):
            count += len(item.events)
            size += len(item.raw)
        if count >= events or size >= _BATCH_BYTES or len(batch) >= _BATCH_ITEMS:
            yield batch
            batch, count, size = [], 0, 0
    if batch:
        yield batch


def without_repeated_runs(histories: Iterable[RunHistory]) -> Iterator[list[RunHistory]]:
    """Each group names a run once: a second account is compared with the first, once stored."""
    group: dict[RunKey, RunHistory] = {}
    for history in histories:
        if history.key in group:
            yield list(group.values())
            group = {}
        group[history.key] = history
    if group:
        yield list(group.values())


def staged_schemas(connection: DuckDBPyConnection) -> Schemas:
    """The columns of all `STAGED_TABLES`, for `stage`."""
    return {table: table_schema(connection, table) for table in STAGED_TABLES}


def stage(histories: Sequence[RunHistory], schemas: Schemas) -> Staged:
    """Model the histories and write them down as rows.

    Args:
        histories: Each of another run.
        schemas: The columns of the tables.
    """
    models: list[Run] = []
    events = EventRows()
    for history in histories:
        run = run_from_events(history.key, history.events)
        events.add(history, is_closed=run.is_closed)
        models.append(run)
    blocks = events.blocks() | derived_blocks(models, histories, events.payload_bytes)
    keys = [history.key for history in histories]
    return Staged(
        tuple(_staged_run(history) for history in histories),
        {table: arrow_block(schemas[table], table, keys, block) for table, block in blocks.items()},
        {table: tuple(accumulate(block.counts)) for table, block in blocks.items()},
    )


def joined(parts: Sequence[Staged]) -> Staged:
    """Several as one; no run may be in two of them."""
    if len(parts) == 1:
        return parts[0]
    tables, ends = {}, {}
    for name in STAGED_TABLES:
        tables[name] = pa.concat_tables([part.tables[name] for part in parts])
        starts = accumulate((part.tables[name].num_rows for part in parts), initial=0)
        ends[name] = tuple(
            start + end
            for start, part in zip(starts, parts, strict=False)
            for end in part.ends[name]
        )
    return Staged(tuple(run for part in parts for run in part.runs), tables, ends)


def _staged_run(history: RunHistory) -> StagedRun:
    return StagedRun(
        history.key,
        str(history.key_source),
        history.origin,
        len(history.events),
        packed(history.raw, history.origin.sha256),
    )
