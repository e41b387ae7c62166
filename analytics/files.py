"""Files that appear whole or not at all, whatever happens while they are written.

What is no file, such as a pipe or `/dev/stdout`, is written to as it is: a file in its place would
take it away from everybody else on the machine.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["opened_whole", "require_folder", "write_whole"]


def write_whole(path: Path, data: bytes, *, is_private: bool = False) -> None:
    """Write a file under its name when all of it is on disk, replacing what was there.

    Args:
        path: In a folder that is there.
        data: All that the file has in it.
        is_private: Only its owner may read it, as befits histories: they hold payloads.

    Raises:
        OSError: Names the path: the folder is not there, or cannot be written.
    """
    with opened_whole(path, is_private=is_private) as file:
        file.write(data)


@contextmanager
def opened_whole(path: Path, *, is_private: bool = False) -> Iterator[IO[bytes]]:
    """A file to write that takes its name when the block ends well, replacing what was there.

    Args:
        path: As for `write_whole`; a link stays one, what it leads to is replaced.
        is_private: As for `write_whole`.

    Raises:
        OSError: As of `write_whole`.
    """
    require_folder(path)
    target = path.resolve()
    try:
        # Where `/dev/stdout` leads to a pipe, there is nothing by the name that it resolves to.
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                yield stream
        else:
            with _replacing(target, is_private=is_private) as file:
                yield file
    except OSError as error:
        # A full disk is told without a name, others with that of the file beside, which is gone.
        if error.filename is None or Path(error.filename).parent == target.parent:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def require_folder(path: Path) -> None:
    """Tell that a file cannot be written before the work that is to fill it.

    Raises:
        FileNotFoundError: Its folder is not there.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(ENOENT, "no such folder", str(path.parent))


@contextmanager
def _replacing(path: Path, *, is_private: bool) -> Iterator[IO[bytes]]:
    mode = 0o600 if is_private else _mode_of(path)
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
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
