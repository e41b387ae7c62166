"""Files that appear whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import tempfile
from errno import ENOENT
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, data: bytes, *, is_private: bool = False) -> None:
    """Write a file under its name when all of it is on disk, replacing what was there.

    Args:
        path: In a folder that is there.
        data: All that the file has in it.
        is_private: Only its owner may read it, as befits histories: they hold payloads.

    Raises:
        OSError: The folder is not there, or cannot be written.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(ENOENT, "no such folder", str(path.parent))
    mode = 0o600 if is_private else _mode_of(path)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(mode)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _mode_of(path: Path) -> int:
    """The mode that the file has, or that a new one gets; temporary files are for their owner."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
