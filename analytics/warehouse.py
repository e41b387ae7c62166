"""The warehouse file: who may open it, and how it is opened, brought up to date and closed.

One process writes at a time; that is DuckDB's rule. Here it also holds inside a process, because
DuckDB would let a second connection in and two writers would then see each other's conflicts.
People's queries never come here: they read snapshots (`analytics.snapshot`).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import duckdb

from analytics.errors import PriceFileRefused, WarehouseBusy, WarehouseError
from analytics.migrations import migrate
from tracer.genai.prices import load_price_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["STORAGE_VERSION", "Warehouse", "connect", "explained", "open_warehouse"]

STORAGE_VERSION: Final = "v1.5.0"
"""Of the file: clients on DuckDB 1.5, such as the Grafana plugin, can open it."""

_LOG_SIZE: Final = "64MB"
"""Of what commits append to before DuckDB moves it into the file. Each move writes the end of every
table anew; at DuckDB's own 16 MB an import moves with each transaction, which makes half of the
database's work and a third of the file. Until then rows stay in memory, which bounds it here."""
_RETRY_SECONDS: Final = 0.05

_held: set[Path] = set()
_held_lock = threading.Lock()


class Warehouse:
    """An open warehouse. For one thread at a time."""

    def __init__(
        self, path: Path, connection: duckdb.DuckDBPyConnection, home: Path | None = None
    ) -> None:
        self.path = path
        """The file, absolute."""
        self.home = home or path
        """The file that the archive stands beside: another one only while that is made anew."""
        self.connection = connection
        """Open until `close`."""
        self._is_open = True

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Everything inside is stored together or not at all."""
        try:
            # A transaction that somehow stayed open fails this one, and ends with it.
            self.connection.execute("BEGIN")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            self._rollback()
            raise

    def _rollback(self) -> None:
        try:
            self.connection.execute("ROLLBACK")
        except duckdb.Error:
            # A failed COMMIT has ended the transaction already; the first error is the one to tell.
            return

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(sql, parameters or []).fetchall()

    def close(self) -> None:
        """Write everything to the file and let go of it. Calling it again does nothing."""
        self._close(settles=True)

    def _close(self, *, settles: bool) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            if settles:
                _settle_pending(self.connection)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            self.connection.close()
        finally:
            with _held_lock:
                _held.discard(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error there may be no way to write; the next writer settles what was noted.
        self._close(settles=error is None)


def open_warehouse(
    path: Path | str, *, wait_seconds: float = 0.0, home: Path | None = None
) -> Warehouse:
    """Open a warehouse to write to it; make it, or bring its schema up to date, where needed.

    Args:
        path: The file. Its folder is made if it does not exist.
        wait_seconds: How long to wait for another process to let go of it.
        home: The warehouse whose archive is used; by default it has its own.

    Raises:
        WarehouseBusy: Another process, or another part of this one, has it open.
        WarehouseError: It is not a warehouse, is of a newer version, or cannot be read or made.
        PriceFileRefused: The environment names a price file that is none.
    """
    _check_price_file()
    path = Path(path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(f"{path.parent}: cannot make this folder: {error.strerror}") from error
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _open_once(path, home)
        except WarehouseBusy:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _settle_pending(connection: duckdb.DuckDBPyConnection) -> None:
    # Loads Arrow, for which those who only read should not wait.
    from analytics.settling import settle_pending

    settle_pending(connection)


def _check_price_file() -> None:
    """Whoever writes prices calls; without the file they would get other prices than was asked."""
    try:
        load_price_file()
    except ValueError as error:
        raise PriceFileRefused(str(error)) from error


def _open_once(path: Path, home: Path | None) -> Warehouse:
    with _held_lock:
        if path in _held:
            raise WarehouseBusy(
                f"{path}: another part of this process is writing to it; close that first"
            )
        _held.add(path)
    try:
        connection = connect(path, read_only=False)
        try:
            migrate(connection, str(path))
            _settle_pending(connection)  # What a writer that was killed left open.
        except BaseException:
            connection.close()
            raise
    except BaseException:
        with _held_lock:
            _held.discard(path)
        raise
    return Warehouse(path, connection, home)


def connect(path: Path, *, read_only: bool, **config: str | bool) -> duckdb.DuckDBPyConnection:
    """A plain connection to a DuckDB file, with this room's errors.

    Raises:
        WarehouseBusy: Another process holds the lock.
        WarehouseError: The file is not there, not a database, or not readable.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        **config,
    }
    if not read_only:
        settings["storage_compatibility_version"] = STORAGE_VERSION
        settings["checkpoint_threshold"] = _LOG_SIZE
    elif not path.exists():
        raise WarehouseError(f"{path}: no such warehouse; `retrospan import` makes one")
    try:
        connection = duckdb.connect(path, read_only=read_only, config=settings)
    except duckdb.Error as error:
        raise explained(path, error) from error
    if not _is_stored(connection):
        connection.close()
        raise _not_a_database(path)
    return connection


def _is_stored(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether it is a file that is open.

    Where a CSV, JSON or Parquet file has the name, DuckDB opens a database in memory that shows it:
    all that is written there is lost.
    """
    return any(file for *_, file in connection.execute("PRAGMA database_list").fetchall())


def _not_a_database(path: Path) -> WarehouseError:
    return WarehouseError(f"{path}: not a DuckDB file; name another file")


def explained(path: Path, error: duckdb.Error) -> WarehouseError:
    """What DuckDB says about a file that it does not open, in our words."""
    text = str(error)
    # Two connections of one process with different settings are refused with the second text.
    if "Could not set lock" in text or "different configuration" in text:
        return WarehouseBusy(
            f"{path}: another process is writing to it; wait for it to end, or read its snapshot"
        )
    is_other = "not a valid DuckDB database" in text or "in-memory database" in text
    if is_other or isinstance(error, duckdb.SerializationException):
        return _not_a_database(path)
    return WarehouseError(f"{path}: cannot open it: {text.splitlines()[0]}")
