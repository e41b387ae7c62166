"""The one way to write to a warehouse for commands that come and go.

A writer takes the lock if it can. If another process has it, batches go through the spool and the
writer waits for what became of each; should the holder go away meanwhile, it takes the lock and
stores them itself. Either way a batch is stored exactly once and the report is true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from analytics.errors import WarehouseBusy
from analytics.ingest import (
    SETTLE_AT,
    IngestReport,
    Item,
    apply_batch,
    batches,
    known_sources,
    store_parts,
)
from analytics.otlp_files import is_otlp_file, read_otlp_files
from analytics.pool import Part, made_ahead, parts_of, parts_of_files, worker_count
from analytics.settling import settle_pending
from analytics.snapshot import publish_snapshot
from analytics.spans import SpanBatch
from analytics.spool import Spool, Spoolable, drain
from analytics.staging import staged_schemas
from analytics.warehouse import Warehouse, open_warehouse
from replayer.history import Rejected, SourceFile, files_of, read_histories

if TYPE_CHECKING:
    from types import TracebackType

    from duckdb import DuckDBPyConnection

__all__ = ["Told", "Writer", "open_writer"]

_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 120.0
_TRANSACTION_EVENTS: Final = 20_000
_TRANSACTION_PARTS: Final = 50

type Source = str | Path | SourceFile
"""What can be read."""
type Told = Callable[[IngestReport, Sequence[Part]], None]
"""Is told how far an import is, and what the last transaction was made of."""


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

    def import_files(
        self,
        sources: Sequence[str | Path],
        *,
        namespace: str | None = None,
        workers: int | None = None,
        told: Told | None = None,
    ) -> IngestReport:
        """Store the histories in files, folders and archives, and the spans in OTLP files.

        Args:
            sources: Paths, or `-` for stdin.
            namespace: Of all of them, when it is known.
            workers: Processes that read them; by default as many as there are processors where
                that pays. With 1, or while another process has the warehouse, this one reads.
            told: Called with the report so far and what is new since it was last called.

        Raises:
            WarehouseBusy: The holder of the lock does not take the batches.
            WorkerDied: A process that read files ended early. What was stored is kept.
        """
        told = told or _nobody
        files, span_files = _told_apart(sources)
        if self._warehouse is None and not self.try_lock():
            report = self._hand_over_files(files, namespace, told)
        else:
            workers = worker_count(files) if workers is None else workers
            report = self._import_histories(files, namespace, workers, told)
        return self._import_spans(span_files, report, told)

    def _import_histories(
        self, sources: Sequence[Source], namespace: str | None, workers: int, told: Told
    ) -> IngestReport:
        assert self._warehouse is not None
        schemas = staged_schemas(self._warehouse.connection)
        known = known_sources(self._warehouse)
        if workers > 1:
            parts = parts_of_files(sources, namespace, schemas, known, workers)
        else:
            parts = parts_of(sources, namespace, schemas, known)
            if all(map(_is_file, sources)):
                parts = made_ahead(parts)
        report = IngestReport()
        # A generator that is not closed would leave its processes to the garbage collector.
        with closing(parts), _one_thread(self._warehouse.connection):
            for group in _worth_a_transaction(parts):
                with self._warehouse.transaction():
                    report += store_parts(self._warehouse, group)
                drain(self._warehouse, self._spool)
                settle_pending(self._warehouse.connection, at_least=SETTLE_AT)
                told(report, group)
        return report

    def _import_spans(
        self, files: Sequence[SourceFile], report: IngestReport, told: Told
    ) -> IngestReport:
        for found in read_otlp_files(files):
            match found:
                case str():
                    told(report, [Part(files=(found,))])
                case Rejected():
                    report += self._store([found])
                    told(report, [Part(rejects=(found,))])
                case SpanBatch():
                    report += self._store([found])
                    told(report, [Part(span_batches=1)])
        return report

    def _hand_over_files(
        self, sources: Sequence[Source], namespace: str | None, told: Told
    ) -> IngestReport:
        report = IngestReport()
        files: list[str] = []
        items = read_histories(
            sources, namespace=namespace, progress=lambda uri, _size: files.append(uri)
        )
        for batch in batches(items):
            report += self._store(batch)
            rejects = tuple(item for item in batch if isinstance(item, Rejected))
            read = len(batch) - len(rejects)
            told(report, [Part(rejects=rejects, runs_read=read, files=tuple(files))])
            files.clear()
        return report

    def _store(self, batch: Sequence[Spoolable]) -> IngestReport:
        if self._warehouse is None and not self.try_lock():
            return self._hand_over(batch)
        assert self._warehouse is not None
        with self._warehouse.transaction():
            report = apply_batch(self._warehouse, batch)
        drain(self._warehouse, self._spool)
        settle_pending(self._warehouse.connection, at_least=SETTLE_AT)
        return report

    def _hand_over(self, batch: Sequence[Spoolable]) -> IngestReport:
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


@contextmanager
def _one_thread(connection: DuckDBPyConnection) -> Iterator[None]:
    """Store with one thread: batches are small, and each thread of DuckDB's keeps memory.

    400,000 events took as long with two, and 10 to 40 MB more.
    """
    connection.execute("SET threads = 1")
    try:
        yield
    finally:
        connection.execute("RESET threads")


def _nobody(report: IngestReport, parts: Sequence[Part]) -> None:
    """Nobody wants to know."""


def _told_apart(sources: Iterable[str | Path]) -> tuple[list[Source], list[SourceFile]]:
    """Files that may hold histories, and files of spans."""
    histories: list[Source] = []
    spans: list[SourceFile] = []
    for source in sources:
        if str(source) == "-":
            histories.append(source)
            continue
        for file in files_of(source):
            (spans if is_otlp_file(file) else histories).append(file)
    return histories, spans


def _is_file(source: Source) -> bool:
    """Whether reading ends: a thread that waits for what a pipe may give cannot be interrupted."""
    return source != "-" and all(file.path.is_file() for file in files_of(source))


def _worth_a_transaction(parts: Iterable[Part]) -> Iterator[list[Part]]:
    group: list[Part] = []
    events = 0
    for part in parts:
        group.append(part)
        events += sum(staged.n_events for staged in part.staged)
        if events >= _TRANSACTION_EVENTS or len(group) >= _TRANSACTION_PARTS:
            yield group
            group, events = [], 0
    if group:
        yield group


def open_writer(path: Path | str) -> Writer:
    """A writer on this warehouse, holding the lock if it was free.

    Raises:
        WarehouseError: It is not a warehouse, is of a newer version, or cannot be made.
    """
    writer = Writer(Path(path).absolute())
    writer.try_lock()
    return writer
