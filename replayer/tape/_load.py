"""A tape's file, read so far that positions can be found: everything but the values.

What is read here is checked as far as numbers lead somewhere: a tape may come from anywhere, and
reading it may fail in one way only, with a `TapeError`.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson

from replayer.tape._blocks import Block, BlockFile, Found
from replayer.tape._chunks import (
    NO_FRAME,
    NO_SITE,
    Tables,
    Values,
    read_positions,
    read_values,
)
from replayer.tape.errors import TapeError
from replayer.tape.words import Kind, Stop, StopKind, TapeHead

__all__ = ["Loaded", "load", "reading"]

_MOST_POSITIONS: Final = 20_000_000
_CUT_OFF: Final = Stop(StopKind.INTERRUPTED, "the recording was cut off")


@dataclass(slots=True)
class Loaded:
    """A tape without its values."""

    file: BlockFile
    head: TapeHead
    stop: Stop
    tables: Tables
    firsts: list[int] = field(default_factory=list)
    """The first position of each chunk."""
    states: list[int] = field(default_factory=list)
    """Where the values of each chunk are in the file."""
    sources: dict[int, int] = field(default_factory=dict)
    """Where the text of each file is in the file."""
    kinds: bytearray = field(default_factory=bytearray)
    sites: array[int] = field(default_factory=lambda: array("I"))
    frames: array[int] = field(default_factory=lambda: array("I"))

    def chunk_of(self, position: int) -> int:
        """The number of the chunk that has a position."""
        return bisect_right(self.firsts, position) - 1

    def values(self, chunk: int) -> Values:
        """The values of a chunk.

        Raises:
            TapeError: They are damaged.
        """
        block = self._block(self.states[chunk], Block.STATE)
        with reading(self.file.path, block.offset):
            return read_values(self.file.read(block))

    def source(self, file: int) -> str | None:
        """The text of a source file; None if it was not there when it ran.

        Raises:
            TapeError: It is damaged.
        """
        offset = self.sources.get(file)
        if offset is None:
            return None
        block = self._block(offset, Block.SOURCE)
        with reading(self.file.path, block.offset):
            return str(orjson.loads(self.file.read(block))["text"])

    def _block(self, offset: int, kind: Block) -> Found:
        block = self.file.at(offset)
        if block is None or block.kind != kind:
            raise TapeError(self.file.path, f"has no {kind.name} block at byte {offset}")
        return block


def load(path: str) -> Loaded:
    """Read a tape but for its values.

    Raises:
        TapeError: It cannot be read.
    """
    file = BlockFile(path)
    try:
        index = file.index()
        loaded = _scanned(file) if index is None else _indexed(file, index)
        with reading(path, 0):
            _check(loaded)
        return loaded
    except BaseException:
        file.close()
        raise


@contextmanager
def reading(path: str, offset: int) -> Iterator[None]:
    """Turn what reading a damaged block ends with into the one error that it may end with."""
    try:
        yield
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
        struct.error,
    ) as error:
        said = str(error).partition("\n")[0][:100]
        reason = f"is damaged at byte {offset}: {said or type(error).__name__}"
        raise TapeError(path, f"{reason}; record the run again") from None


def _scanned(file: BlockFile) -> Loaded:
    """A recording that was cut off: read it block by block, up to the last that is whole."""
    loaded: Loaded | None = None
    pending: Found | None = None
    for block in file.blocks():
        if block.kind == Block.HEAD:
            loaded = Loaded(file, _head(file, block), _CUT_OFF, Tables())
        elif loaded is None:
            break
        elif block.kind == Block.POSITIONS:
            pending = block
        elif block.kind == Block.STATE and pending is not None:
            _add_chunk(loaded, pending, block.offset, with_tables=True)
            pending = None
        elif block.kind == Block.SOURCE:
            with reading(file.path, block.offset):
                loaded.sources[int(orjson.loads(file.read(block))["file"])] = block.offset
        elif block.kind == Block.STOP:
            loaded.stop = _stop(file, block)
    if loaded is None:
        raise TapeError(file.path, "has no beginning; record the run again")
    return loaded


def _indexed(file: BlockFile, index: Found) -> Loaded:
    head = next(file.blocks(), None)
    if head is None or head.kind != Block.HEAD:
        raise TapeError(file.path, "has no beginning; record the run again")
    loaded = Loaded(file, _head(file, head), _CUT_OFF, Tables())
    packed = file.read(index)
    with reading(file.path, index.offset):
        length = int.from_bytes(packed[:4], "little")
        document = orjson.loads(packed[4 : 4 + length])
        loaded.tables.add(packed[4 + length :])
        loaded.sources = {int(number): int(offset) for number, offset in document["sources"]}
        chunks = [(int(offset), int(count)) for _, count, offset in document["chunks"]]
        stop = int(document["stop"])
    for offset, _ in chunks:
        block = file.at(offset)
        if block is None or block.kind != Block.POSITIONS:
            raise TapeError(file.path, f"has no positions at byte {offset}; record the run again")
        _add_chunk(loaded, block, block.end, with_tables=False)
    stop_block = file.at(stop)
    if stop_block is not None and stop_block.kind == Block.STOP:
        loaded.stop = _stop(file, stop_block)
    return loaded


def _head(file: BlockFile, block: Found) -> TapeHead:
    with reading(file.path, block.offset):
        document = orjson.loads(file.read(block))
        names = [item.name for item in fields(TapeHead) if item.name != "event_count"]
        texts = {name: str(document[name]) for name in names}
        return TapeHead(event_count=int(document["event_count"]), **texts)


def _stop(file: BlockFile, block: Found) -> Stop:
    with reading(file.path, block.offset):
        document = orjson.loads(file.read(block))
        return Stop(StopKind(document["kind"]), str(document["text"]))


def _add_chunk(loaded: Loaded, block: Found, state: int, *, with_tables: bool) -> None:
    data = loaded.file.read(block)
    with reading(loaded.file.path, block.offset):
        chunk = read_positions(data)
        if chunk.first != len(loaded.kinds):
            raise ValueError(f"it begins at position {chunk.first}, not {len(loaded.kinds)}")
        if chunk.first + len(chunk.kinds) > _MOST_POSITIONS:
            raise ValueError(f"more than {_MOST_POSITIONS} positions")
        if with_tables:
            loaded.tables.add(chunk.tables)
        if not chunk.kinds:
            return
        loaded.firsts.append(chunk.first)
        loaded.states.append(state)
        loaded.kinds += chunk.kinds
        loaded.sites += chunk.sites
        loaded.frames += chunk.frames


def _check(loaded: Loaded) -> None:
    """Whether all numbers lead somewhere.

    Raises:
        ValueError, TypeError, IndexError: One does not.
    """
    tables = loaded.tables
    count = len(loaded.kinds)
    frames = len(tables.frame_codes)
    _within("kinds", loaded.kinds, len(Kind))
    _within("sites", loaded.sites, len(tables.sites), NO_SITE)
    _within("frames", loaded.frames, frames, NO_FRAME)
    _check_kinds(loaded)
    _within("codes of frames", tables.frame_codes, len(tables.codes))
    _within("coroutines of frames", tables.frame_coroutines, len(tables.coroutines))
    if any(
        parent >= number and parent != NO_FRAME
        for number, parent in enumerate(tables.frame_parents)
    ):
        raise ValueError("a frame was called by a later one")
    _within("files of codes", [_number(row[0]) for row in tables.codes], len(tables.files))
    _within("codes of sites", [_number(row[0]) for row in tables.sites], len(tables.codes))
    for row in tables.files:
        _strings(row, 3)
    for row in tables.codes:
        _strings(row[1:2], 1)
        _number(row[2])
    for site in tables.sites:
        _number(site[1])
    for row in tables.objects:
        _strings(row[:1], 1)
        _number(row[1])
    for row in tables.coroutines:
        _strings(row[:2], 2)
        _number(row[2])
    firsts = [_number(activation["first"]) for activation in tables.activations]
    if firsts != sorted(firsts) or any(not 0 <= first < count for first in firsts):
        raise ValueError("activations are out of order")


def _check_kinds(loaded: Loaded) -> None:
    for kind, site, frame in zip(loaded.kinds, loaded.sites, loaded.frames, strict=True):
        if (frame == NO_FRAME) != (kind in (Kind.ACTIVATION, Kind.COMMANDS)):
            raise ValueError("a frame is missing")
        if site == NO_SITE and frame != NO_FRAME and kind != Kind.GONE:
            raise ValueError("a line is missing")


def _within(what: str, numbers: Any, end: int, other: int | None = None) -> None:
    if not numbers:
        return
    largest = max(numbers) if other is None else max((n for n in numbers if n != other), default=-1)
    if largest >= end or min(numbers) < 0:
        raise ValueError(f"{what} lead nowhere")


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError("a number is none")
    return value


def _strings(values: Any, count: int) -> None:
    if len(values) != count or not all(isinstance(value, str) for value in values):
        raise TypeError("a name is none")
