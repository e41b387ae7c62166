"""Where bytes come from: files, folders, archives, compression and stdin, as one stream of members.

Nothing here knows what a history is. Containers are told by their first bytes, never by their name,
and are read as streams: a Cloud export of many gigabytes needs no memory of that size. Bombs end at
the limits of `limits`. A member must be read before the next one is asked for.

In folders and archives, hidden files are left alone, and a file whose suffix is not one that
histories have (a README, a program) is tried, but complained about only when it begins as a
history does.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from replayer.history import packing
from replayer.history.errors import HistoryError, HistoryUnavailable
from replayer.history.limits import MAX_CONTAINER_DEPTH
from replayer.history.model import Rejected
from replayer.history.packing import Budget, Packing

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

__all__ = ["Member", "SourceFile", "files_of", "members_of", "members_of_stream"]

_HISTORY_SUFFIXES = frozenset(
    (
        *(".json", ".jsonl", ".ndjson", ".history"),
        *(".pb", ".binpb", ".proto", ".bin"),
        *(".gz", ".zst", ".zip", ".tar", ".tgz"),
    )
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read, that a user named or that was found in a folder."""

    path: Path
    """It may be an archive."""
    expected: bool
    """Whether to complain when it is no history."""


@dataclass(frozen=True, slots=True)
class Member:
    """One document-sized thing to read, decompressed."""

    uri: str
    """Its path; members of archives follow a `!`."""
    stream: io.BufferedReader
    """Its bytes, with 64 KiB of look-ahead. Reading raises HistoryError when they are damaged."""
    expected: bool
    """Whether to complain when it is no history: named by the user, or by its suffix."""


def files_of(source: str | Path | SourceFile) -> Iterator[SourceFile]:
    """The files that a source stands for: itself, or all in a folder (recursive, sorted)."""
    if isinstance(source, SourceFile):
        yield source
    elif Path(source).is_dir():
        for path in _files_below(Path(source)):
            yield SourceFile(path, expected=_has_history_suffix(path.name))
    else:
        yield SourceFile(Path(source), expected=True)


def members_of(source: str | Path | SourceFile) -> Iterator[Member | Rejected]:
    """Everything to read in a file, a folder (recursive, sorted), an archive, or `-` for stdin."""
    if source == "-":
        yield from members_of_stream(sys.stdin.buffer, "-")
        return
    for file in files_of(source):
        yield from _members_of_file(file.path, expected=file.expected)


def members_of_stream(
    stream: IO[bytes], uri: str, *, expected: bool = True
) -> Iterator[Member | Rejected]:
    """Everything to read in one stream of bytes."""
    try:
        yield from _unpacked(packing.guarded(stream, uri, None), uri, expected, Budget(), depth=0)
    except HistoryError as error:
        if expected:
            yield Rejected(uri, error)


def _members_of_file(path: Path, *, expected: bool) -> Iterator[Member | Rejected]:
    uri = _as_text(str(path))
    try:
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        yield Rejected(uri, HistoryUnavailable(uri, f"cannot be opened: {packing.why(error)}"))
        return
    with stream:
        yield from members_of_stream(stream, uri, expected=expected)


def _as_text(name: str) -> str:
    """A file's name, which may be any bytes, as text that can be stored and shown."""
    return name.encode(errors="backslashreplace").decode()


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _unpacked(
    stream: io.BufferedReader, uri: str, expected: bool, budget: Budget, depth: int
) -> Iterator[Member | Rejected]:
    layer = packing.packing_of(stream)
    if layer is None:
        yield Member(uri, stream, expected)
    elif depth == MAX_CONTAINER_DEPTH:
        raise HistoryError(uri, f"has more than {MAX_CONTAINER_DEPTH} layers of packing")
    elif layer in (Packing.GZIP, Packing.ZSTD):
        inner = packing.guarded(packing.opened(stream, layer, uri), uri, budget)
        yield from _unpacked(inner, uri, expected, budget, depth + 1)
    else:
        for raw_name, content in packing.archive_members(stream, layer, uri):
            name = _as_text(raw_name)
            is_expected = expected and _has_history_suffix(name)
            try:
                if isinstance(content, HistoryError):
                    raise content
                inner = packing.guarded(content, name, budget)
                yield from _unpacked(inner, name, is_expected, budget, depth + 1)
            except HistoryError as error:
                if is_expected:
                    yield Rejected(name, error)


def _has_history_suffix(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _HISTORY_SUFFIXES
