"""The raw histories, kept whole beside the warehouse, so that it can always be rebuilt.

Files are named by the SHA-256 of what they hold and compressed with zstd:
`<warehouse>.archive/ab/<sha256>.json.zst`. A file appears under its name only when it is complete
and on disk, and before the warehouse speaks of it; so a crash leaves at most a file too many.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

import zstandard

from analytics.errors import ArchiveError

__all__ = ["Archive"]

_LEVEL: Final = 3
_MAX_BYTES: Final = 1 << 30
"""Of one history; a longer one cannot be read back and is not a history."""


class Archive:
    """The archive folder of one warehouse."""

    def __init__(self, warehouse: Path) -> None:
        """Nothing is made on disk before something is put in."""
        self.folder = Path(f"{warehouse}.archive")

    def put(self, data: bytes, digest: str) -> str:
        """Store a history; storing the same one again does nothing.

        Args:
            data: The history as it came.
            digest: Its SHA-256, lower-case hex.

        Returns:
            The file's name inside the folder.
        """
        is_text = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
        name = f"{digest[:2]}/{digest}.{'json' if is_text else 'pb'}.zst"
        target = self.folder / name
        if not target.exists():
            _write_whole(target, zstandard.ZstdCompressor(_LEVEL).compress(data))
        return name

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


def _write_whole(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    # The new name itself must survive a power cut, too; some systems cannot open folders.
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
