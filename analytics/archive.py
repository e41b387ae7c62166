"""The raw histories, kept whole beside the warehouse, so that it can always be rebuilt.

Files are named by the SHA-256 of what they hold and compressed with zstd:
`<warehouse>.archive/ab/<sha256>.json.zst`. A file appears under its name only when it is complete
and on disk, and before the warehouse speaks of it; so a crash leaves at most a file too many.

A history does not say whose it is, so `ledger.jsonl` beside the files does: what the warehouse's
own ledger says, one line for each. With it, the archive alone is enough to make the warehouse anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
import zstandard

from analytics.errors import ArchiveError
from analytics.files import write_whole

__all__ = ["Archive", "Packed", "packed"]

_LEVEL: Final = 3
_MAX_BYTES: Final = 1 << 30
"""Of one history; a longer one cannot be read back and is not a history."""


_LEDGER: Final = "ledger.jsonl"
_LEDGER_KEY: Final = ("source_sha256", "namespace", "workflow_id", "run_id")

_WRITERS: Final = 16
"""Threads that write files: a disk brings many to safety in hardly more time than one."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A raw history as the archive keeps it."""

    name: str
    """Of its file, inside the folder."""
    data: bytes
    """Compressed."""


def packed(raw: bytes, digest: str) -> Packed:
    """Compress a history.

    Args:
        raw: The history as it came.
        digest: Its SHA-256, lower-case hex.
    """
    is_text = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    name = f"{digest[:2]}/{digest}.{'json' if is_text else 'pb'}.zst"
    return Packed(name, _compressors.zstd.compress(raw))


class _Compressors(threading.local):
    """One for each thread, kept: to set one up takes a fifth of what a history does."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdCompressor(_LEVEL)


_compressors: Final = _Compressors()


class Archive:
    """The archive folder of one warehouse."""

    def __init__(self, warehouse: Path) -> None:
        """Nothing is made on disk before something is put in."""
        self.folder = Path(f"{warehouse}.archive")

    def put(self, files: Iterable[Packed]) -> None:
        """Store histories; storing the same one again does nothing.

        Raises:
            OSError: One cannot be written.
        """
        with self.putting(files):
            pass

    @contextmanager
    def putting(self, files: Iterable[Packed]) -> Iterator[None]:
        """Store histories while the block runs; after it, all of them are on disk.

        Raises:
            OSError: One cannot be written.
        """
        with ThreadPoolExecutor(_WRITERS, "archive") as threads:
            writes = [threads.submit(self._put, file) for file in files]
            yield
            folders = {folder for write in writes if (folder := write.result()) is not None}
            # The new names themselves must survive a power cut, too.
            list(threads.map(_sync_folder, folders))

    def enter(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write down what the warehouse's ledger is about to say, and bring it to disk.

        Raises:
            OSError: It cannot be written.
        """
        text = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        if not text:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LEDGER).open("ab") as file:
            # A crash may have left half a line.
            file.write(b"\n" + text if file.tell() else text)
            file.flush()
            os.fsync(file.fileno())

    def ledger(self) -> list[dict[str, Any]]:
        """What was entered, oldest first and each once; lines that a crash cut off are left out."""
        try:
            lines = (self.folder / _LEDGER).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        rows: dict[tuple[object, ...], dict[str, Any]] = {}
        for line in filter(None, lines):
            try:
                row = orjson.loads(line)
                name = tuple(row[part] for part in _LEDGER_KEY)
            except (orjson.JSONDecodeError, KeyError, TypeError):
                continue
            rows.setdefault(name, row)
        return list(rows.values())

    def find(self, digest: str) -> str | None:
        """The name of the file that holds the history with this SHA-256, if there is one."""
        names = (f"{digest[:2]}/{digest}.{kind}.zst" for kind in ("json", "pb"))
        return next((name for name in names if (self.folder / name).exists()), None)

    def _put(self, file: Packed) -> Path | None:
        """The folder that has a new name in it, `None` if nothing was to do."""
        target = self.folder / file.name
        if target.exists():
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, file.data, is_private=True)
        return target.parent

    def get(self, name: str, digest: str) -> bytes:
        """Read a history back.

        Raises:
            ArchiveError: The file is missing, damaged, or holds something else.
        """
        path = self.folder / name
        try:
            data = zstandard.ZstdDecompressor().decompress(path.read_bytes(), _MAX_BYTES)
        except FileNotFoundError:
            raise ArchiveError(f"{path}: missing; import the history again to restore it") from None
        except (OSError, zstandard.ZstdError) as error:
            raise ArchiveError(f"{path}: cannot be read: {error}") from error
        if sha256(data).hexdigest() != digest:
            raise ArchiveError(f"{path}: its content is not what its name says; remove the file")
        return data


def _sync_folder(folder: Path) -> None:
    # Some systems cannot open folders.
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
