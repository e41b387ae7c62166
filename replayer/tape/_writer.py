"""A tape as it is written: block by block, readable up to the last one whenever it is cut off."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import orjson

from replayer.tape._blocks import Block, append_block, begin, finish, whole_length
from replayer.tape._chunks import Chunk, Keyframe, Tables
from replayer.tape.errors import TapeError
from replayer.tape.words import Stop, TapeHead

__all__ = ["TapeWriter", "add_stop"]


class TapeWriter:
    """Writes one tape."""

    def __init__(self, path: str | os.PathLike[str], head: TapeHead, tables: Tables) -> None:
        """Begin the file, in the place of what was there.

        Raises:
            TapeError: It cannot be written.
        """
        self.path = os.fspath(path)
        self.tables = tables
        self._chunks: list[tuple[int, int, int]] = []
        self._sources: dict[int, int] = {}
        self._positions = 0
        try:
            self._file: BinaryIO = Path(path).open("wb")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise TapeError(self.path, f"cannot be written: {error.strerror or error}") from None
        begin(self._file)
        self._add(Block.HEAD, asdict(head))
        self._file.flush()

    def write(self, chunk: Chunk) -> None:
        """Write a chunk, and what it refers to for the first time."""
        positions = append_block(self._file, Block.POSITIONS, chunk.positions(self.tables.delta()))
        append_block(self._file, Block.STATE, chunk.state())
        self._chunks.append((chunk.first, len(chunk.kinds), positions))
        self._positions = chunk.first + len(chunk.kinds)
        sources, self.tables.sources = self.tables.sources, []
        for number, text in sources:
            document = {"file": number, "text": text}
            self._sources[number] = self._add(Block.SOURCE, document)
        self._file.flush()

    def close(self, stop: Stop) -> None:
        """Write why the tape ends, and the index; then close the file."""
        # What activations told after the last chunk was cut.
        self.write(Chunk(self._positions, Keyframe()))
        stop_offset = self._add(Block.STOP, {"kind": stop.kind.value, "text": stop.text})
        index = {
            "chunks": self._chunks[:-1],
            "sources": sorted(self._sources.items()),
            "stop": stop_offset,
        }
        document = orjson.dumps(index)
        packed = len(document).to_bytes(4, "little") + document + self.tables.all()
        finish(self._file, append_block(self._file, Block.INDEX, packed))
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is: it reads as a recording that was cut off."""
        self._file.close()

    def _add(self, kind: Block, document: dict[str, object]) -> int:
        return append_block(self._file, kind, orjson.dumps(document))


def add_stop(path: str | os.PathLike[str], stop: Stop) -> None:
    """Say on a tape whose recording was cut off why it was.

    Raises:
        TapeError: There is no tape.
    """
    end = whole_length(path)
    try:
        with Path(path).open("r+b") as file:
            file.truncate(end)
            file.seek(end)
            document = orjson.dumps({"kind": stop.kind.value, "text": stop.text})
            append_block(file, Block.STOP, document)
    except OSError as error:
        raise TapeError(os.fspath(path), f"cannot be written: {error.strerror or error}") from None
