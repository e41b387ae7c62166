"""The one way to write to a warehouse for commands that come and go.

A writer takes the lock if it can. If another process has it, batches go through the spool and the
writer waits for what became of each; should the holder go away meanwhile, it takes the lock and
stores them itself. Either way a batch is stored exactly once and the report is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from analytics.errors import WarehouseBusy
from analytics.ingest import IngestReport, Item, apply_batch, batches
from analytics.snapshot import publish_snapshot
from analytics.spool import Spool, drain
from analytics.warehouse import Warehouse, open_warehouse

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Writer", "open_writer"]

_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 120.0


class Writer:
    """Writes batches, by lock or by spool. A context manager; for one thread."""

    def __init__(self, path: Path, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Nothing is opened before `open_writer` or the first batch."""
        self.path = path
        self._spool = Spool(path)
        self._patience = patience_seconds
        self._warehouse: Warehouse | None = None

    @property
    def holds_lock(self) -> bool:
        """Whether it writes to the file itself."""
        return self._warehouse is not None

    def try_lock(self) -> bool:
        """Take the lock if nobody has it; what waits in the spool is stored first."""
        if self._warehouse is None:
            try:
                self._warehouse = open_warehouse(self.path)
            except WarehouseBusy:
                return False
            drain(self._warehouse, self._spool)
        return True

    def ingest(
        self, items: Iterable[Item], progress: Callable[[IngestReport], None] | None = None
    ) -> IngestReport:
        """Store histories, batch by batch.

        Args:
            items: What reading gives.
            progress: Called with the report so far after each batch.

        Raises:
            WarehouseBusy: The holder of the lock does not take the batches.
        """
        report = IngestReport()
        for batch in batches(items):
            report += self._store(batch)
            if progress is not None:
                progress(report)
        return report

    def _store(self, batch: Sequence[Item]) -> IngestReport:
        if self._warehouse is None and not self.try_lock():
            return self._hand_over(batch)
        assert self._warehouse is not None
        with self._warehouse.transaction():
            report = apply_batch(self._warehouse, batch)
        drain(self._warehouse, self._spool)
        return report

    def _hand_over(self, batch: Sequence[Item]) -> IngestReport:
        name = self._spool.put(batch)
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            # After taking the lock, the batch has been stored with all that waited.
            self.try_lock()
            report = self._spool.take_report(name)
            if report is not None:
                return report
            time.sleep(_POLL_SECONDS)
        raise WarehouseBusy(
            f"{self.path}: another process has it open and does not take batches; what is left in "
            f"{self._spool.folder} is stored by the next command that writes"
        )

    def close(self, *, publish: bool = False) -> None:
        """Let go of the lock.

        Args:
            publish: Publish a snapshot first, so that the next reader finds it ready.
        """
        if self._warehouse is None:
            return
        warehouse, self._warehouse = self._warehouse, None
        try:
            drain(warehouse, self._spool)
            if publish:
                publish_snapshot(warehouse)
        finally:
            warehouse.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_writer(path: Path | str) -> Writer:
    """A writer on this warehouse, holding the lock if it was free.

    Raises:
        WarehouseError: It is not a warehouse, is of a newer version, or cannot be made.
    """
    writer = Writer(Path(path).absolute())
    writer.try_lock()
    return writer
