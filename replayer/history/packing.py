"""Layers of packing: gzip, zstd, zip and tar, unpacked as streams and never trusted.

Layers are told by their first bytes. Whatever the standard library raises on damage becomes a
HistoryError that names the member; a bomb ends at the budget that all layers of a source share.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast

from replayer.history.errors import HistoryError
from replayer.history.limits import MAX_EXPANDED_BYTES, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer
    from zstandard import ZstdDecompressor

    type Members = Iterator[tuple[str, IO[bytes] | HistoryError]]

__all__ = [
    "Budget",
    "Packing",
    "archive_members",
    "guarded",
    "is_hidden",
    "opened",
    "packing_of",
    "why",
]

_LOOK_AHEAD = 64 * 1024
_SPOOL_BYTES = 64 * MIB
# One packed byte can unpack to 32 KiB, so this bounds a step to 64 MiB.
_ZSTD_STEP = 2048
_TAR_MAGIC = slice(257, 262)

_DAMAGE: Final = (
    *(OSError, EOFError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError),
    *(zlib.error, lzma.LZMAError, struct.error, zipfile.BadZipFile, tarfile.TarError),
)
"""What the standard library raises on damage; RuntimeError is an encrypted zip."""


class Packing(Enum):
    """How a stream is packed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    ZIP = "zip"
    TAR = "tar"


def packing_of(stream: io.BufferedReader) -> Packing | None:
    """What the first bytes of a stream say; None when it is not packed."""
    head = stream.peek(_LOOK_AHEAD)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Packing.ZIP
    if head.startswith(b"\x1f\x8b"):
        return Packing.GZIP
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return Packing.ZSTD
    return Packing.TAR if head[_TAR_MAGIC] == b"ustar" else None


def opened(stream: io.BufferedReader, packing: Packing, uri: str) -> IO[bytes]:
    """The content of a compressed stream."""
    if packing is Packing.GZIP:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    try:
        import zstandard
    except ImportError:
        raise HistoryError(uri, "is zstd; install the `zstandard` package to read it") from None
    return cast("IO[bytes]", _ZstdStream(stream, zstandard.ZstdDecompressor()))


def archive_members(stream: io.BufferedReader, packing: Packing, uri: str) -> Members:
    """The files in an archive, each valid until the next; an error in place of a damaged one."""
    yield from _zip_members(stream, uri) if packing is Packing.ZIP else _tar_members(stream, uri)


@dataclass(slots=True)
class Budget:
    """How many bytes one source may still unpack to."""

    left: int = MAX_EXPANDED_BYTES


class _Guarded(io.RawIOBase):
    """A stream that turns damage into HistoryError and stops at the budget."""

    def __init__(self, inner: IO[bytes], uri: str, budget: Budget | None) -> None:
        self._inner = inner
        self._uri = uri
        self._budget = budget
        self._count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._budget is None and self._inner.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell() if self.seekable() else self._count

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        # Pipes and decompressors give less than was asked for; a look-ahead needs all of it.
        while filled < len(view) and (data := self._read(len(view) - filled)):
            view[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def _read(self, size: int) -> bytes:
        try:
            data = self._inner.read(size)
        except _DAMAGE as error:
            reason = f"cannot be read past byte {self._count}: {why(error)}"
            raise HistoryError(self._uri, reason) from None
        self._count += len(data)
        if self._budget is not None:
            self._budget.left -= len(data)
            if self._budget.left < 0:
                limit = MAX_EXPANDED_BYTES // MIB
                raise HistoryError(self._uri, f"unpacks to more than {limit} MiB; unpack it first")
        return data


def guarded(stream: IO[bytes], uri: str, budget: Budget | None) -> io.BufferedReader:
    """A stream with 64 KiB of look-ahead that raises HistoryError for damage, and past the budget.

    Without a budget it is the outermost one, and seeks where the file below it does.
    """
    return io.BufferedReader(_Guarded(stream, uri, budget), _LOOK_AHEAD)


class _ZstdStream:
    """Decompressed zstd frames that, unlike zstandard's own reader, notice a missing end."""

    def __init__(self, inner: io.BufferedReader, decompressor: ZstdDecompressor) -> None:
        self._inner = inner
        self._decompressor = decompressor
        self._frame = decompressor.decompressobj()
        self._packed = b""
        self._unpacked = io.BytesIO()

    def read(self, size: int) -> bytes:
        while not (data := self._unpacked.read(size)):
            self._packed = self._packed or self._inner.read(_ZSTD_STEP)
            if not self._packed:
                if not self._frame.eof:
                    raise EOFError("the compressed data ends early")
                return b""
            self._unpack()
        return data

    def _unpack(self) -> None:
        import zstandard

        if self._frame.eof:
            self._frame = self._decompressor.decompressobj()
        try:
            self._unpacked = io.BytesIO(self._frame.decompress(self._packed))
        except zstandard.ZstdError as error:
            raise OSError(str(error)) from None
        self._packed = self._frame.unused_data


def _zip_members(stream: io.BufferedReader, uri: str) -> Members:
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as copy:
        try:
            archive = zipfile.ZipFile(_seekable(stream, copy))
            infos = sorted(archive.infolist(), key=lambda info: info.filename)
        except _DAMAGE as error:
            raise HistoryError(uri, f"is a damaged zip file: {why(error)}") from None
        for info in infos:
            if info.is_dir() or is_hidden(info.filename):
                continue
            name = f"{uri}!{info.filename}"
            try:
                member = archive.open(info)
            except _DAMAGE as error:
                yield name, HistoryError(name, f"cannot be unpacked: {why(error)}")
                continue
            with member:
                yield name, member


def _tar_members(stream: io.BufferedReader, uri: str) -> Members:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:
                member = None if is_hidden(info.name) or not info.isreg() else info
                content = archive.extractfile(member) if member else None
                if content is not None:
                    yield f"{uri}!{info.name}", content
    except _DAMAGE as error:
        raise HistoryError(uri, f"is a damaged tar file: {why(error)}") from None


def _seekable(stream: io.BufferedReader, copy: IO[bytes]) -> IO[bytes]:
    """The stream itself or its copy: a zip file's index is at its end."""
    if stream.seekable():
        return stream
    while chunk := stream.read(MIB):
        copy.write(chunk)
    return copy


def is_hidden(name: str) -> bool:
    """Whether a path goes through a name that starts with a dot."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") and part not in (".", "..") for part in parts)


def why(error: BaseException) -> str:
    """What an exception says, without the path that the message names already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
