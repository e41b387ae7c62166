"""The container of a tape: compressed blocks in a row, and where to find the index.

    magic   8 bytes  b"RETROTAP"
    version u16      the format's version
    zeros   6 bytes
    blocks  …
    footer  u64      offset of the index block
            8 bytes  b"PATORTER"

A block is a header and a zstd frame:

    kind    u8       `Block`
    zeros   3 bytes
    stored  u32      bytes of the zstd frame
    size    u32      bytes that it unpacks to
    crc32   u32      of the zstd frame

All numbers are little-endian. A recording that was cut off has no footer; its blocks are found one
after the other, up to the first that is not whole. Sizes are checked before anything is unpacked:
a tape may come from anywhere.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from zlib import crc32

import zstandard

from replayer.tape.errors import TapeError

__all__ = [
    "Block",
    "BlockFile",
    "Found",
    "append_block",
    "begin",
    "finish",
    "is_tape",
    "whole_length",
]

MAGIC: Final = b"RETROTAP"
END_MAGIC: Final = b"PATORTER"
VERSION: Final = 1
MOST_BYTES: Final = 256 << 20
"""That one block may unpack to."""

_START: Final = struct.Struct("<8sH6x")
_HEADER: Final = struct.Struct("<B3xIII")
_FOOTER: Final = struct.Struct("<Q8s")
_LEVEL: Final = 3


class Block(IntEnum):
    """What a block holds; readers pass over kinds that they do not know."""

    HEAD = 1
    """What was recorded. JSON."""
    POSITIONS = 2
    """Positions of a chunk, and what they refer to for the first time."""
    STATE = 3
    """Values of the chunk whose positions stand before it. JSON."""
    SOURCE = 4
    """A source file. JSON."""
    STOP = 5
    """Why the tape ends. JSON."""
    INDEX = 6
    """Where the blocks are, and all that positions refer to."""


class Found(NamedTuple):
    """A block within a file."""

    kind: int
    offset: int
    """Of its header."""
    stored: int
    size: int
    crc: int

    @property
    def end(self) -> int:
        """Where the next block begins."""
        return self.offset + _HEADER.size + self.stored


def begin(file: BinaryIO) -> None:
    """Write the start of a tape."""
    file.write(_START.pack(MAGIC, VERSION))


def append_block(file: BinaryIO, kind: Block, data: bytes) -> int:
    """Write a block and return its offset."""
    offset = file.tell()
    stored = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    file.write(_HEADER.pack(kind, len(stored), len(data), crc32(stored)) + stored)
    return offset


def finish(file: BinaryIO, index_offset: int) -> None:
    """Write the end of a tape that is whole."""
    file.write(_FOOTER.pack(index_offset, END_MAGIC))


class BlockFile:
    """A tape's file, read block by block."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file.

        Raises:
            TapeError: It cannot be opened, or is no tape that this version reads.
        """
        self.path = os.fspath(path)
        try:
            self._file = open(self.path, "rb")  # noqa: SIM115, PTH123 - closed by `close`
            self.length = os.fstat(self._file.fileno()).st_size
            start = self._file.read(_START.size)
        except OSError as error:
            raise TapeError(self.path, f"cannot be opened: {error.strerror or error}") from None
        try:
            self._check(start)
        except TapeError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, block: Found) -> bytes:
        """What a block holds.

        Raises:
            TapeError: It is damaged.
        """
        if block.size > MOST_BYTES:
            raise self.damaged(block, f"unpacks to {block.size} bytes")
        stored = self._bytes(block.offset + _HEADER.size, block.stored)
        if len(stored) != block.stored or crc32(stored) != block.crc:
            raise self.damaged(block, "its checksum does not fit")
        try:
            # Not more than was announced, whatever the frame's own header says.
            unpacker = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
            if zstandard.frame_content_size(stored) > block.size:
                raise self.damaged(block, "its size does not fit")
            data = unpacker.decompress(stored)
        except zstandard.ZstdError as error:
            raise self.damaged(block, f"cannot be unpacked: {error}") from None
        if len(data) != block.size:
            raise self.damaged(block, "its size does not fit")
        return data

    def at(self, offset: int) -> Found | None:
        """The block that begins at an offset; None if no whole one does."""
        if not _START.size <= offset <= self.length - _HEADER.size:
            return None
        header = self._bytes(offset, _HEADER.size)
        if len(header) < _HEADER.size:
            return None
        kind, stored, size, crc = _HEADER.unpack(header)
        block = Found(kind, offset, stored, size, crc)
        return block if block.end <= self.length else None

    def blocks(self) -> Iterator[Found]:
        """All blocks that are whole, up to the first that is not."""
        block = self.at(_START.size)
        while block is not None and block.kind != 0:
            yield block
            block = self.at(block.end)

    def index(self) -> Found | None:
        """The index; None if the recording was cut off before it was written."""
        if self.length < _START.size + _FOOTER.size:
            return None
        offset, magic = _FOOTER.unpack(self._bytes(self.length - _FOOTER.size, _FOOTER.size))
        if magic != END_MAGIC:
            return None
        block = self.at(offset)
        return block if block is not None and block.kind == Block.INDEX else None

    def damaged(self, block: Found, reason: str) -> TapeError:
        """The error that a block is to blame for."""
        return TapeError(
            self.path,
            f"the block at byte {block.offset} is damaged: {reason}; record the run again",
        )

    def _bytes(self, offset: int, length: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as error:
            raise TapeError(self.path, f"cannot be read: {error.strerror or error}") from None

    def _check(self, start: bytes) -> None:
        if len(start) < _START.size or start[:8] != MAGIC:
            raise TapeError(self.path, "is no tape; make one with `retrospan record`")
        _, version = _START.unpack(start)
        if version != VERSION:
            raise TapeError(
                self.path,
                f"is a tape of version {version}, and this Retrospan reads version {VERSION}; "
                "record the run again",
            )


def is_tape(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a tape does, of whatever version."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def whole_length(path: str | os.PathLike[str]) -> int:
    """Where the last whole block of a tape ends.

    Raises:
        TapeError: It is no tape.
    """
    file = BlockFile(path)
    try:
        end = _START.size
        for block in file.blocks():
            file.read(block)
            end = block.end
    except TapeError:
        return end
    finally:
        file.close()
    return end
