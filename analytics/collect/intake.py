"""From many senders to one writer: a bounded queue and the thread that stores what is in it.

Senders are answered when their data is queued. A full queue refuses, and the sender tries again:
that is how OTLP slows senders down, and memory stays bounded. What fits together into one
transaction is stored together. A request that cannot be stored, for whatever reason, is dropped
alone and counted; when the disk is the trouble, nothing is dropped and the queue fills up. No error
ends the thread: senders would go on being answered while nothing is stored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import duckdb

from analytics.snapshot import publish_snapshot
from analytics.spans import store_spans
from analytics.spool import Spool, drain
from analytics.tables import insert
from analytics.warehouse import open_warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analytics.tables import Row
    from analytics.warehouse import Warehouse

__all__ = ["Counters", "Intake", "IntakeLimits"]

_log = logging.getLogger("retrospan.collect")

_SNAPSHOT_SHARE: Final = 10
"""Publishing a snapshot may take one in so many seconds of the writer's time."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much may wait, and for how long."""

    queue_rows: int = 50_000
    """Spans and metric points that wait to be stored."""
    batch_seconds: float = 0.25
    """How long to gather before storing; also how often the spool is looked into."""
    retry_seconds: float = 1.0
    """How long to wait after the disk refused."""
    snapshot_seconds: float = 2.0
    """The least time between two snapshots for readers."""


@dataclass(slots=True)
class Counters:
    """What came in and what became of it, since the start."""

    spans_received: int = 0
    spans_stored: int = 0
    """New ones, and those that replaced an earlier account of themselves."""
    spans_repeated: int = 0
    """Already stored."""
    spans_rejected: int = 0
    """They break OTLP's rules."""
    metric_points_stored: int = 0
    log_records_dropped: int = 0
    """Logs are accepted and not kept."""
    requests_refused: int = 0
    """The queue was full; the sender was told to try again."""
    requests_bad: int = 0
    """Not OTLP, or too large."""
    rows_lost: int = 0
    """Could not be stored although the disk is in order."""
    write_errors: int = 0
    """Times that the disk refused."""
    unexpected_errors: int = 0
    """Times that storing failed in a way that neither the disk nor the data explains."""
    runs_spooled: int = 0
    """Runs that other commands handed over."""


@dataclass(frozen=True, slots=True)
class _Request:
    spans: Sequence[Row] = ()
    points: Sequence[Row] = ()

    @property
    def rows(self) -> int:
        return len(self.spans) + len(self.points)


@dataclass(slots=True)
class _Queue:
    requests: deque[_Request] = field(default_factory=deque)
    rows: int = 0


class Intake:
    """Owns the warehouse while it runs: nobody else writes."""

    def __init__(self, path: Path, limits: IntakeLimits) -> None:
        """Nothing is opened before `start`."""
        self.counters = Counters()
        self._path = path
        self._limits = limits
        self._queue = _Queue()
        self._wake = threading.Condition()
        self._is_stopping = False
        self._is_flushing = False
        self._is_changed = True
        self._next_snapshot = 0.0
        self._warehouse: Warehouse | None = None
        self._thread: threading.Thread | None = None

    def start(self, wait_seconds: float) -> None:
        """Open the warehouse and start to store.

        Raises:
            WarehouseBusy: Another process has it open for longer than that.
            WarehouseError: It cannot be used.
        """
        self._warehouse = open_warehouse(self._path, wait_seconds=wait_seconds)
        # Readers find a snapshot from the first moment on.
        self._publish(self._warehouse)
        self._thread = threading.Thread(target=self._work, name="retrospan-collect", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Store what waits, publish a last snapshot and close the warehouse."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def offer(self, *, spans: Sequence[Row] = (), points: Sequence[Row] = ()) -> bool:
        """Queue what one request brought; `False` if there is no room for it now."""
        request = _Request(spans, points)
        with self._wake:
            has_room = self._queue.rows + request.rows <= self._limits.queue_rows
            # One request that is larger than the whole queue must get through some time.
            if self._is_stopping or not (has_room or not self._queue.requests):
                self.counters.requests_refused += 1
                return False
            self.counters.spans_received += len(spans)
            self._queue.requests.append(request)
            self._queue.rows += request.rows
            self._wake.notify_all()
        return True

    def count(self, **more: int) -> None:
        """Add to counters; receivers run on several threads."""
        with self._wake:
            for name, number in more.items():
                setattr(self.counters, name, getattr(self.counters, name) + number)

    def flush(self, seconds: float = 30.0) -> bool:
        """Wait until everything that is queued now is stored; `False` if that took too long."""
        with self._wake:
            self._is_flushing = True
            self._wake.notify_all()
            return self._wake.wait_for(lambda: not self._queue.requests, seconds)

    def _work(self) -> None:
        assert self._warehouse is not None
        try:
            while True:
                requests, is_last = self._gather()
                done = self._store(self._warehouse, requests)
                self._forget(requests[:done])
                if is_last:
                    break
                if done < len(requests):
                    self._pause()
                self._serve_others(self._warehouse)
        finally:
            self._finish(self._warehouse)

    def _gather(self) -> tuple[list[_Request], bool]:
        """Wait for requests, and a little longer for more of them."""
        with self._wake:
            seconds = self._limits.batch_seconds
            if self._wake.wait_for(lambda: self._queue.requests or self._is_hurried, seconds):
                self._wake.wait_for(lambda: self._is_hurried or self._is_half_full, seconds)
            self._is_flushing = False
            return list(self._queue.requests), self._is_stopping

    @property
    def _is_hurried(self) -> bool:
        return self._is_stopping or self._is_flushing

    @property
    def _is_half_full(self) -> bool:
        return self._queue.rows * 2 >= self._limits.queue_rows

    def _pause(self) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._is_stopping, self._limits.retry_seconds)

    def _forget(self, requests: Sequence[_Request]) -> None:
        with self._wake:
            for request in requests:
                self._queue.requests.popleft()
                self._queue.rows -= request.rows
            self._wake.notify_all()

    def _store(self, warehouse: Warehouse, requests: Sequence[_Request]) -> int:
        """How many of the requests are dealt with, from the first on; all if the disk is well."""
        if not requests:
            return 0
        try:
            self._store_together(warehouse, requests)
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            self.count(write_errors=1)
            _log.warning("%s: cannot write: %s", self._path, _first_line(error))
            return 0
        except duckdb.Error as error:
            return self._store_singly(warehouse, requests, error)
        except Exception as error:  # noqa: BLE001 - nothing may end the thread
            self._note_unexpected(error)
            return self._store_singly(warehouse, requests, error)
        self._is_changed = True
        return len(requests)

    def _store_singly(
        self, warehouse: Warehouse, requests: Sequence[_Request], error: Exception
    ) -> int:
        if len(requests) == 1:
            self.count(rows_lost=requests[0].rows)
            _log.warning("%s: a request was dropped: %s", self._path, _first_line(error))
            return 1
        for index, request in enumerate(requests):
            if not self._store(warehouse, [request]):
                return index
        return len(requests)

    def _store_together(self, warehouse: Warehouse, requests: Sequence[_Request]) -> None:
        spans = [row for request in requests for row in request.spans]
        points = [row for request in requests for row in request.points]
        with warehouse.transaction() as connection:
            stored = store_spans(connection, spans)
            insert(connection, "raw.metric_points", points)
        self.count(
            spans_stored=stored,
            spans_repeated=len(spans) - stored,
            metric_points_stored=len(points),
        )

    def _serve_others(self, warehouse: Warehouse) -> None:
        try:
            report = drain(warehouse, Spool(self._path))
            if runs := report.runs_new + report.runs_extended + report.runs_unchanged:
                self.count(runs_spooled=runs)
                self._is_changed = True
            if self._is_changed and time.monotonic() >= self._next_snapshot:
                self._publish(warehouse)
        except (duckdb.Error, OSError) as error:
            self.count(write_errors=1)
            _log.warning("%s: cannot write: %s", self._path, _first_line(error))
        except Exception as error:  # noqa: BLE001 - nothing may end the thread
            self._note_unexpected(error)

    def _note_unexpected(self, error: Exception) -> None:
        self.count(unexpected_errors=1)
        kind = type(error).__name__
        _log.error("%s: unexpected %s: %s", self._path, kind, _first_line(error))

    def _publish(self, warehouse: Warehouse) -> None:
        start = time.monotonic()
        publish_snapshot(warehouse)
        end = time.monotonic()
        pause = max(self._limits.snapshot_seconds, (end - start) * _SNAPSHOT_SHARE)
        self._next_snapshot = end + pause
        self._is_changed = False

    def _finish(self, warehouse: Warehouse) -> None:
        self.count(rows_lost=self._queue.rows)
        self._next_snapshot = 0.0
        self._serve_others(warehouse)
        warehouse.close()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "no further words")
