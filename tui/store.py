"""Where an export puts runs for analysis: a warehouse, or nowhere.

Runs arrive one by one and are stored in batches: a transaction for each would take longer than
fetching it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from replayer.history import RunHistory
from tracer.identity import RunKey

_BATCH_EVENTS = 20_000


class Store(Protocol):
    """Takes runs."""

    def has_whole_run(self, key: RunKey) -> bool:
        """Whether a closed run needs no adding: it is there, and closed."""
        ...

    def add(self, history: RunHistory) -> None:
        """Take one run; it is stored at the latest when the block of `open_store` ends."""
        ...

    def settle(self) -> None:
        """Store what was taken, show it to readers, and let other writers in."""
        ...


class _Nowhere:
    """No warehouse was asked for: nothing is missing in it."""

    def has_whole_run(self, key: RunKey) -> bool:
        return True

    def add(self, history: RunHistory) -> None:
        return

    def settle(self) -> None:
        return


class _InWarehouse:
    """Collects batches for a writer."""

    def __init__(self, path: Path) -> None:
        from analytics.writer import open_writer

        self._closed = _closed_runs(path)
        self._writer = open_writer(path)
        self._batch: list[RunHistory] = []
        self._events = 0

    def has_whole_run(self, key: RunKey) -> bool:
        return key in self._closed

    def add(self, history: RunHistory) -> None:
        self._batch.append(history)
        self._events += len(history.events)
        if self._events >= _BATCH_EVENTS:
            self.flush()

    def settle(self) -> None:
        self.flush()
        self._writer.close(publish=True)

    def flush(self) -> None:
        batch, self._batch, self._events = self._batch, [], 0
        self._writer.ingest(batch)

    def close(self) -> None:
        self._writer.close()


@contextmanager
def open_store(path: Path | None) -> Iterator[Store]:
    """A store for the length of the block.

    Args:
        path: A warehouse, made when it is not there; `None` to store nothing.

    Raises:
        AnalyticsError: The warehouse cannot be written.
    """
    if path is None:
        yield _Nowhere()
        return
    store = _InWarehouse(path)
    try:
        yield store
    finally:
        # What was fetched before an error or Ctrl-C is whole and need not be fetched again.
        try:
            store.flush()
        finally:
            store.close()


def _closed_runs(path: Path) -> frozenset[RunKey]:
    from analytics.runs import list_runs

    if not path.exists():
        return frozenset()
    return frozenset(run.key for run in list_runs(path) if run.status != "RUNNING")
