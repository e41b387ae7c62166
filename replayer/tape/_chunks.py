"""What a tape's blocks hold: a chunk of positions with a keyframe, and the tables they refer to.

A chunk stands for itself: its keyframe has everything that is known before its first position, so
that the state at any position is that of the keyframe with the chunk's changes on top. Positions
are columns of numbers, small and quick to search; values are kept apart from them.

Scopes are numbered over frames, objects and modules: three times the number of the thing, plus 0, 1
or 2.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from replayer.large_json import json_value
from replayer.tape._snapshots import Node
from replayer.tape.words import CoroutineKind
from tracer.branches import BranchPoint, WorkflowFiles, read_source

__all__ = [
    "NO_FRAME",
    "NO_SITE",
    "Chunk",
    "Keyframe",
    "Tables",
    "Values",
    "column",
    "column_bytes",
]

NO_SITE: Final = 0xFFFFFFFF
NO_FRAME: Final = 0xFFFFFFFF
_HEADER: Final = struct.Struct("<QIII")

type Known = tuple[int, str, Node, int, int]
"""Scope, name, value, position at which it got it, and of the line that set it or -1."""
type Changed = tuple[int, int, str, Node, int]
"""Position, scope, name, value, and position of the line that set it or -1."""


@dataclass(slots=True)
class Keyframe:
    """What is known before a position."""

    frames: list[tuple[int, int]] = field(default_factory=list)
    """Frames that are not over, with the position of their last line."""
    variables: list[Known] = field(default_factory=list)


@dataclass(slots=True)
class Chunk:
    """Some positions in a row."""

    first: int
    keyframe: Keyframe
    most: int = 1024
    kinds: bytearray = field(default_factory=bytearray)
    sites: array[int] = field(default_factory=lambda: array("I"))
    frames: array[int] = field(default_factory=lambda: array("I"))
    changes: list[Changed] = field(default_factory=list)
    subjects: list[tuple[int, Node]] = field(default_factory=list)

    def positions(self, delta: bytes) -> bytes:
        """The `POSITIONS` block: what the chunk refers to first, then its columns."""
        head = _HEADER.pack(self.first, len(self.kinds), len(delta), 0)
        return b"".join(
            (head, delta, self.kinds, column_bytes(self.sites), column_bytes(self.frames))
        )

    def state(self) -> bytes:
        """The `STATE` block."""
        values = _Numbered()
        names = _Numbered()
        keyframe = self.keyframe
        document = {
            "frames": keyframe.frames,
            "variables": [
                (scope, names[name], values[node], at, cause)
                for scope, name, node, at, cause in keyframe.variables
            ],
            "changes": [
                (position - self.first, scope, names[name], values[node], cause)
                for position, scope, name, node, cause in self.changes
            ],
            "subjects": [(position - self.first, values[node]) for position, node in self.subjects],
            "names": names.items,
            "values": values.items,
        }
        return orjson.dumps(document)


class _Numbered:
    """Gives equal things one number."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def __getitem__(self, item: Any) -> int:
        number = self._numbers.get(item)
        if number is None:
            number = self._numbers[item] = len(self.items)
            self.items.append(item)
        return number


@dataclass(slots=True)
class Positions:
    """A `POSITIONS` block that was read."""

    first: int
    tables: bytes
    kinds: bytes
    sites: array[int]
    frames: array[int]


def read_positions(data: bytes) -> Positions:
    """Read a `POSITIONS` block.

    Raises:
        ValueError, struct.error: It is none.
    """
    first, count, length, _ = _HEADER.unpack_from(data)
    start = _HEADER.size + length
    if len(data) != start + count * 9:
        raise ValueError("its columns do not fill it")
    sites = start + count
    frames = sites + count * 4
    return Positions(
        first,
        data[_HEADER.size : start],
        data[start:sites],
        column(data[sites:frames]),
        column(data[frames:]),
    )


def column(data: bytes) -> array[int]:
    """A column of 32-bit numbers."""
    numbers = array("I")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def column_bytes(numbers: array[int]) -> bytes:
    """The bytes of a column, little-endian."""
    if sys.byteorder == "big":
        numbers = array("I", numbers)
        numbers.byteswap()
    return numbers.tobytes()


@dataclass(slots=True)
class Values:
    """A `STATE` block that was read."""

    frames: list[list[int]]
    variables: list[list[int]]
    changes: list[list[int]]
    subjects: dict[int, int]
    names: list[str]
    values: list[Any]


def read_values(data: bytes) -> Values:
    """Read a `STATE` block.

    Raises:
        ValueError, KeyError, TypeError: It is none.
    """
    document = json_value(data)
    names, values = document["names"], document["values"]
    if not isinstance(values, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("its names and values are none")
    return Values(
        _rows(document["frames"], 2),
        _rows(document["variables"], 5),
        _rows(document["changes"], 5),
        {row[0]: row[1] for row in _rows(document["subjects"], 2)},
        names,
        values,
    )


def _rows(rows: Any, width: int) -> list[list[int]]:
    """Rows of numbers, as they were written."""
    for row in rows:
        if len(row) != width or not all(type(number) is int for number in row):
            raise TypeError("its rows are no numbers")
    checked: list[list[int]] = rows
    return checked


_LISTS: Final = (
    "files",
    "codes",
    "sites",
    "coroutines",
    "objects",
    "points",
    "activations",
    "branches",
)


class Tables:
    """What positions refer to by number."""

    def __init__(self, files: WorkflowFiles | None = None) -> None:
        """Empty tables.

        Args:
            files: Names files; needed for recording only.
        """
        self.files: list[list[Any]] = []
        """Name to show, path, and SHA-256 of the text or empty."""
        self.codes: list[list[Any]] = []
        """File, qualified name, first line."""
        self.sites: list[list[int]] = []
        """Code, line."""
        self.coroutines: list[list[Any]] = []
        """Kind, name, first position."""
        self.objects: list[list[Any]] = []
        """Type, and whether it is the workflow's own object."""
        self.points: list[list[Any]] = []
        """The fields of a `BranchPoint`."""
        self.activations: list[dict[str, Any]] = []
        self.branches: list[list[Any]] = []
        """Position, activation, point, outcome, occurrence, time, what settled it, rounds, reasons
        of a named one."""
        self.frame_codes = array("I")
        self.frame_coroutines = array("I")
        self.frame_parents = array("I")
        self.sources: list[tuple[int, str]] = []
        """Files with their text, until they are written."""
        self._names = files
        self._file_numbers: dict[str, int] = {}
        self._point_numbers: dict[BranchPoint, int] = {}
        self._written = dict.fromkeys((*_LISTS, "frames"), 0)

    # -- recording -----------------------------------------------------------------------------

    def file_number(self, path: str) -> int:
        """The number of a source file, whose text is read when it comes first."""
        number = self._file_numbers.get(path)
        if number is None:
            number = self._file_numbers[path] = len(self.files)
            shown = self._names.shown(path) if self._names else ""
            text = _text_of(path)
            digest = "" if text is None else hashlib.sha256(text.encode()).hexdigest()
            self.files.append([shown or path, path, digest])
            if text is not None:
                self.sources.append((number, text))
        return number

    def add_code(self, path: str, qualname: str, first_line: int) -> int:
        """The number of a new code object."""
        self.codes.append([self.file_number(path), qualname, first_line])
        return len(self.codes) - 1

    def add_site(self, code: int, line: int) -> int:
        """The number of a new place."""
        self.sites.append([code, line])
        return len(self.sites) - 1

    def add_coroutine(self, kind: CoroutineKind, name: str, first: int) -> int:
        """The number of a new coroutine."""
        self.coroutines.append([kind.value, name, first])
        return len(self.coroutines) - 1

    def add_object(self, name: str, is_workflow: bool) -> int:
        """The number of a new object."""
        self.objects.append([name, int(is_workflow)])
        return len(self.objects) - 1

    def add_frame(self, code: int, coroutine: int, parent: int) -> int:
        """The number of a new frame."""
        self.frame_codes.append(code)
        self.frame_coroutines.append(coroutine)
        self.frame_parents.append(parent)
        return len(self.frame_codes) - 1

    def point_number(self, point: BranchPoint) -> int:
        """The number of a place where a decision is taken."""
        number = self._point_numbers.get(point)
        if number is None:
            number = self._point_numbers[point] = len(self.points)
            self.points.append([
                point.qualname,
                point.file,
                point.line,
                point.end_line,
                point.column,
                point.end_column,
                point.kind.value,
                point.condition,
            ])  # fmt: skip
        return number

    # -- reading and writing -------------------------------------------------------------------

    def delta(self) -> bytes:
        """What came since the last call."""
        written, self._written = (
            self._written,
            {name: len(getattr(self, name)) for name in _LISTS} | {"frames": len(self.frame_codes)},
        )
        return self._packed(written)

    def all(self) -> bytes:
        """Everything."""
        return self._packed(dict.fromkeys((*_LISTS, "frames"), 0))

    def add(self, packed: bytes) -> None:
        """Take in what `delta` or `all` gave.

        Raises:
            ValueError, KeyError, TypeError, struct.error: It is something else.
        """
        (length,) = struct.unpack_from("<I", packed)
        document = json_value(packed[4 : 4 + length])
        for name in _LISTS:
            rows = document[name]
            if not isinstance(rows, list):
                raise TypeError(f"{name} are no list")
            getattr(self, name).extend(rows)
        columns = packed[4 + length :]
        size = len(columns) // 3
        self.frame_codes += column(columns[:size])
        self.frame_coroutines += column(columns[size : 2 * size])
        self.frame_parents += column(columns[2 * size :])

    def _packed(self, start: dict[str, int]) -> bytes:
        lists: dict[str, Sequence[Any]] = {
            name: getattr(self, name)[start[name] :] for name in _LISTS
        }
        document = orjson.dumps(lists)
        columns = (self.frame_codes, self.frame_coroutines, self.frame_parents)
        return b"".join(
            (
                struct.pack("<I", len(document)),
                document,
                *(column_bytes(numbers[start["frames"] :]) for numbers in columns),
            )
        )


def _text_of(path: str) -> str | None:
    try:
        return read_source(path)
    except (OSError, SyntaxError, ValueError):
        return None
