"""What a lake consists of: its manifest, and the names of its files.

The manifest, `manifest.json`, is written last and replaced in one step: it alone says which files
are the lake. Files that it does not name are of an export that has not ended, and are never read.
A manifest is input like any other: a path in it that leaves the folder is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from analytics.errors import LakeError
from analytics.files import write_whole
from analytics.migrations import SCHEMA_VERSION

__all__ = [
    "MANIFEST",
    "Column",
    "File",
    "Lake",
    "Partition",
    "Table",
    "check_folder",
    "is_exported",
    "is_lake_file",
    "is_of_runs",
    "partition_folder",
    "read_manifest",
    "write_manifest",
]

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_NOTHING: Final = "__HIVE_DEFAULT_PARTITION__"
"""How Hive writes a partition without a value."""
_NAME_LENGTH: Final = 150
"""Of an encoded namespace; file systems end at 255 bytes."""
_PATTERNS: Final = frozenset("*?[]{}")
_PATH: Final = re.compile(r"[a-z_]+\.[a-z_0-9]+(/[A-Za-z0-9%=._~-]+)*/[0-9a-f]+\.parquet")


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the warehouse has it."""

    name: str
    type: str
    """DuckDB's name of the type. JSON is stored as text, TIMESTAMP_NS as nanoseconds."""


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file."""

    path: str
    """Below the folder of the lake, with `/`."""
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of a table that are replaced together."""

    namespace: str | None
    """`None` where nobody knows it, and in tables that are not of runs."""
    day: str | None
    """On which the run started, ISO 8601; of rows without a known run, their own."""
    digest: str
    """Of the rows: another one means that the partition is written anew."""
    files: tuple[File, ...]

    @property
    def key(self) -> tuple[str | None, str | None]:
        """Which partition of its table it is."""
        return self.namespace, self.day


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the lake."""

    name: str
    """With its schema, such as core.runs."""
    columns: tuple[Column, ...]
    partitions: tuple[Partition, ...]

    @property
    def files(self) -> Iterator[File]:
        """All its files."""
        return (file for partition in self.partitions for file in partition.files)


@dataclass(frozen=True, slots=True)
class Lake:
    """A whole lake, as one export left it."""

    schema_version: int
    """Of the warehouse's tables; see `analytics.migrations`."""
    exported_at: str
    """ISO 8601, UTC."""
    tables: tuple[Table, ...]


def check_folder(folder: Path) -> Path:
    """The folder, absolute.

    Raises:
        LakeError: Its name would be read as a pattern by the engines that are to read it.
    """
    folder = folder.absolute()
    if _PATTERNS & set(str(folder)):
        raise LakeError(
            f"{folder}: choose a path without any of * ? [ ] {{ }}; engines expand them"
        )
    return folder


def partition_folder(table: str, namespace: str | None, day: str | None) -> str:
    """Where the files of a partition are, for any namespace that a server may have.

    Everything but letters, digits and `_.-` is percent-encoded, as Hive does; a very long name is
    cut and told apart by its hash. The exact namespace is a column of the files.
    """
    return f"{table}/namespace={_encoded(namespace)}/day={day or _NOTHING}"


def _encoded(namespace: str | None) -> str:
    if not namespace:
        return _NOTHING
    # A lone surrogate is no text that UTF-8 knows, and must not stop an export.
    name = quote(namespace, safe="", errors="surrogatepass").replace("~", "%7E")
    if len(name) <= _NAME_LENGTH:
        return name
    digest = sha256(namespace.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[:_NAME_LENGTH].rpartition('%')[0] or name[:_NAME_LENGTH]}~{digest}"


def write_manifest(folder: Path, lake: Lake) -> None:
    """Publish the lake: from here on it consists of these files."""
    document = {"format": _FORMAT, **asdict(lake)}
    write_whole(folder / MANIFEST, json.dumps(document, indent=1).encode())


def read_manifest(folder: Path) -> Lake:
    """The lake in a folder.

    Raises:
        LakeError: There is none, its manifest is damaged, or a newer version wrote it.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise LakeError(f"{folder}: no lake here; `retrospan lake export` makes one") from None
    except (OSError, ValueError) as error:
        raise LakeError(f"{path}: cannot be read: {error}") from error
    try:
        if document["format"] != _FORMAT:
            raise LakeError(f"{path}: format {document['format']!r}; upgrade Retrospan")
        lake = _lake(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LakeError(
            f"{path}: not a manifest of a lake ({error}); export into another folder"
        ) from error
    if lake.schema_version > SCHEMA_VERSION:
        raise LakeError(
            f"{folder}: its schema is version {lake.schema_version}, this Retrospan knows "
            f"{SCHEMA_VERSION}; upgrade Retrospan"
        )
    return lake


def _lake(document: dict[str, Any]) -> Lake:
    tables = tuple(_table(table) for table in document["tables"])
    return Lake(int(document["schema_version"]), str(document["exported_at"]), tables)


def _table(table: dict[str, Any]) -> Table:
    columns = tuple(Column(str(c["name"]), str(c["type"])) for c in table["columns"])
    return Table(str(table["name"]), columns, tuple(_partition(p) for p in table["partitions"]))


def _partition(partition: dict[str, Any]) -> Partition:
    day = partition["day"]
    if day is not None:
        date.fromisoformat(day)
    files = tuple(
        File(_checked(file["path"]), int(file["rows"]), int(file["bytes"]))
        for file in partition["files"]
    )
    return Partition(partition["namespace"], day, str(partition["digest"]), files)


def is_lake_file(path: str) -> bool:
    """Whether a path, relative to a lake, is one that an export gives to its files."""
    return _PATH.fullmatch(path) is not None and not {"..", "."} & set(path.split("/"))


def is_exported(table: str) -> bool:
    """Whether a table of the warehouse goes into the lake: facts do, the books of ingest do not."""
    return table.startswith(("core.", "ref.")) and table != "ref.schema_version"


def is_of_runs(table: str) -> bool:
    """Whether the rows of a table are of runs; the others are stored in one piece."""
    return table.startswith("core.")


def _checked(path: str) -> str:
    if not is_lake_file(path):
        raise ValueError(f"{path!r} is no path of a lake")
    return path
