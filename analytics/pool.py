"""Worker processes that read and stage files, for one writer.

Files are handed out in their order, some at a time, and what comes of them is given back in that
order: which account of a run counts does not depend on how many processes read. A worker waits
when the writer is behind, so that memory stays bounded. Workers are forked by a server process
that has no threads, or started afresh; they end when their writer does, however it ends.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from analytics.errors import WorkerDied
from analytics.staging import Schemas, Staged, batches, stage, without_repeated_runs
from replayer.history import Rejected, RunHistory, SourceFile, files_of, read_histories
from tracer.model import uncollected

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from pathlib import Path

    from tracer.identity import RunKey

__all__ = ["Known", "Part", "made_ahead", "mark", "parts_of", "parts_of_files", "worker_count"]

type Known = frozenset[bytes]
"""Marks of what the ledger has."""

_SMALL_BYTES: Final = 16 << 20
"""What takes a process less time than starting others."""
_JOB_BYTES: Final = 3 << 20
_JOB_FILES: Final = 200
_PART_EVENTS: Final = 8_000
_AHEAD: Final = 2
"""Parts, and finished jobs, that wait for the writer per worker."""

_COLLECTED_OBJECTS: Final = 200_000
"""An import may take hours, and keeps little: it does not go wholly without collecting."""
_END: Final = b"."
"""After the last part of a job."""

# Only what starts no threads: pyarrow is loaded by each worker itself.
_PRELOADED: Final = [
    "replayer.history",
    "replayer.history.bulk_json",
    "analytics.run_rows",
    "genai_prices.data_snapshot",
]

_WHOLE_RUNS: Final = frozenset(
    {".json", ".jsonl", ".ndjson", ".pb", ".binpb", ".proto", ".bin", ".gz", ".zst", ".zip", ".tgz"}
)
"""Suffixes of files that do not continue the file before them, as parts of archived runs do."""
_PART_HEAD: Final = b'{"header"'


@dataclass(frozen=True, slots=True)
class Part:
    """What came of some files."""

    staged: tuple[Staged, ...] = ()
    """In their order; a run may be in several of them."""
    rejects: tuple[Rejected, ...] = ()
    """What was not read."""
    runs_read: int = 0
    """Histories, known or not."""
    runs_known: int = 0
    """Of them those that the ledger has; they are not staged."""
    files: tuple[str, ...] = ()
    """Files and members that were finished."""
    span_batches: int = 0
    """Of spans, which come from files of their own."""


@dataclass(frozen=True, slots=True)
class _Task:
    """What every worker of an import is told."""

    namespace: str | None
    schemas: Schemas
    known: Known


def mark(digest: str, key: RunKey) -> bytes:
    """Stands for a raw history and the run that it tells of, in 16 bytes."""
    text = "\0".join((digest, key.namespace, key.workflow_id, key.run_id))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def worker_count(sources: Sequence[str | Path | SourceFile]) -> int:
    """How many processes should read these sources; 1 where starting others does not pay."""
    if any(source == "-" for source in sources):
        return 1
    size = 0
    for file in chain.from_iterable(map(files_of, sources)):
        with suppress(OSError):
            size += file.path.stat().st_size
        if size >= _SMALL_BYTES:
            return _processors()
    return 1


def parts_of(
    sources: Iterable[str | Path | SourceFile],
    namespace: str | None,
    schemas: Schemas,
    known: Known,
) -> Generator[Part]:
    """Read and stage in this process."""
    with uncollected(_COLLECTED_OBJECTS):
        yield from _parts(sources, namespace, schemas, known)


def made_ahead[T](items: Generator[T]) -> Generator[T]:
    """The same items, made by another thread while those before them are used.

    DuckDB lets other threads run while it stores. What making an item raises is raised where the
    item would have come.
    """
    executor = ThreadPoolExecutor(1, "reading")
    with closing(items):
        try:
            coming = deque(executor.submit(next, items, None) for _ in range(_AHEAD))
            while (item := coming.popleft().result()) is not None:
                coming.append(executor.submit(next, items, None))
                yield item
        finally:
            executor.shutdown(cancel_futures=True)


def _parts(
    sources: Iterable[str | Path | SourceFile],
    namespace: str | None,
    schemas: Schemas,
    known: Known,
) -> Iterator[Part]:
    files: list[str] = []
    items = read_histories(
        sources, namespace=namespace, progress=lambda uri, _size: files.append(uri)
    )
    for batch in batches(items, events=_PART_EVENTS):
        histories = [item for item in batch if isinstance(item, RunHistory)]
        fresh = [h for h in histories if not known or mark(h.origin.sha256, h.key) not in known]
        yield Part(
            tuple(stage(group, schemas) for group in without_repeated_runs(fresh)),
            tuple(item for item in batch if isinstance(item, Rejected)),
            len(histories),
            len(histories) - len(fresh),
            tuple(files),
        )
        files.clear()
    if files:
        yield Part(files=tuple(files))


def parts_of_files(
    sources: Iterable[str | Path | SourceFile],
    namespace: str | None,
    schemas: Schemas,
    known: Known,
    workers: int,
) -> Generator[Part]:
    """Read and stage in other processes, in the order of the files.

    Raises:
        WorkerDied: A process was killed, or could not go on.
    """
    task = _Task(namespace, schemas, known)
    with _running(task, workers) as connections:
        yield from _Readers(connections, _jobs(sources)).parts()


class _Readers:
    """One thread for each worker: gives it jobs, takes what comes of them, and closes its pipe."""

    def __init__(
        self, connections: Sequence[Connection], jobs: Iterator[tuple[SourceFile, ...]]
    ) -> None:
        self._connections = connections
        self._jobs = jobs
        self._lock = threading.Lock()
        self._results: queue.Queue[queue.Queue[Any] | None] = queue.Queue(_AHEAD * len(connections))
        self._is_over = threading.Event()

    def parts(self) -> Iterator[Part]:
        """What comes of all jobs, in their order."""
        threads = [
            threading.Thread(target=self._serve, args=[connection], daemon=True)
            for connection in self._connections
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                while (results := self._results.get()) is not None:
                    yield from self._parts_of_job(results)
        finally:
            self._is_over.set()

    @staticmethod
    def _parts_of_job(results: queue.Queue[Any]) -> Iterator[Part]:
        while (result := results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result

    def _serve(self, connection: Connection) -> None:
        # Closed here: its number may be another file's as soon as it is, while this still reads.
        with connection:
            self._give_jobs(connection)

    def _give_jobs(self, connection: Connection) -> None:
        while not self._is_over.is_set():
            results: queue.Queue[Any] = queue.Queue(_AHEAD)
            with self._lock:
                try:
                    job = next(self._jobs, None)
                except Exception as error:  # noqa: BLE001 - for the one who waits to raise
                    self._put(self._results, results)
                    self._put(results, error)
                    return
                if job is None:
                    break
                self._put(self._results, results)
            if not self._do(connection, job, results):
                return
        self._put(self._results, None)

    def _do(
        self, connection: Connection, job: tuple[SourceFile, ...], results: queue.Queue[Any]
    ) -> bool:
        try:
            connection.send(job)
            while (data := connection.recv_bytes()) != _END and not self._is_over.is_set():
                self._put(results, pickle.loads(data))
        except (EOFError, OSError):
            self._put(results, _died(job))
            return False
        self._put(results, None)
        return True

    def _put(self, target: queue.Queue[Any], item: object) -> None:
        while not self._is_over.is_set():
            with suppress(queue.Full):
                target.put(item, timeout=0.2)
                return


def _died(job: Sequence[SourceFile]) -> WorkerDied:
    first, last = job[0].path, job[-1].path
    files = str(first) if first == last else f"{first} to {last}"
    return WorkerDied(
        f"{files}: the process that read this ended, perhaps for want of memory; what was stored "
        "before is kept: import the same again, with --jobs 1"
    )


def _jobs(sources: Iterable[str | Path | SourceFile]) -> Iterator[tuple[SourceFile, ...]]:
    """Files that one worker reads together; parts of one run are never in two jobs."""
    job: list[SourceFile] = []
    size = 0
    for file in chain.from_iterable(map(files_of, sources)):
        if job and (size >= _JOB_BYTES or len(job) >= _JOB_FILES) and _starts_anew(file.path):
            yield tuple(job)
            job, size = [], 0
        job.append(file)
        with suppress(OSError):
            size += file.path.stat().st_size
    if job:
        yield tuple(job)


def _starts_anew(path: Path) -> bool:
    if path.suffix.lower() not in _WHOLE_RUNS or ".history" in path.name:
        return False
    try:
        with path.open("rb") as file:
            return not b"".join(file.read(64).split()).startswith(_PART_HEAD)
    except OSError:
        return True


@contextmanager
def _running(task: _Task, count: int) -> Iterator[list[Connection]]:
    context = _context()
    processes: list[Any] = []
    connections: list[Connection] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, task), daemon=True)  # type: ignore[attr-defined]
            process.start()
            theirs.close()
            connections.append(ours)
            processes.append(process)
        yield connections
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _context() -> BaseContext:
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _work(connection: Connection, task: _Task) -> None:
    """The life of a worker: jobs in, parts out, until nobody is there to give any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The writer is told, and ends it.
    gc.freeze()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = connection.recv()
            for part in parts_of(job, task.namespace, task.schemas, task.known):
                connection.send_bytes(pickle.dumps(part, pickle.HIGHEST_PROTOCOL))
            connection.send_bytes(_END)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
