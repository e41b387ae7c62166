"""How commands write rows: one table writer for people, CSV and JSON for programs.

JSON is one object per line (NDJSON), so that a reader can start before the last row and `jq` works
without a flag; it is ASCII and carries every value exactly. Tables and CSV pass `safe_text`: a
control character in a cell is shown as a picture. A table is fitted to the terminal it is written
to: it wraps, and where it must it leaves out columns and says which; into a pipe it is plain,
aligned and whole.
"""

from __future__ import annotations

import base64
import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from tui.cli.diagnostics import say
from tui.figures import UNKNOWN
from tui.text import safe_text

_GAP = 2
"""Cells between two columns."""

type Row = Mapping[str, Any]
"""Values by column key, as JSON carries them."""


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def shown(value: Any) -> str:
    """A value as a table shows it where its column has no wish of its own."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(plain(value), ensure_ascii=False)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return str(plain(value))
    return str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    key: str
    """Where a row has the value; the heading in CSV."""
    title: str
    show: Callable[[Any], str] = shown
    """The value for people. Its result need not be safe."""
    right: bool = False
    """Align to the right, as figures are."""
    spare: int = 0
    """Columns with a higher number are left out first where a terminal is too narrow for all;
    those with 0 never."""


def is_terminal() -> bool:
    """Whether stdout is a terminal that a person looks at."""
    return sys.stdout.isatty()


def write_line(text: str = "") -> None:
    """Write a line that belongs to no row to stdout, at once.

    Not by `click.echo`, which writes UTF-8 to a stdout that was said to be ASCII.
    """
    print(text, flush=True)


def write_rows(columns: Sequence[Column], rows: Iterable[Row], form: Format) -> None:
    """Write rows to stdout. CSV and JSON are written as the rows come, tables after the last."""
    match form:
        case Format.JSON:
            for row in rows:
                write_json(row)
        case Format.CSV:
            _write_csv(columns, rows)
        case Format.TABLE:
            write_table(columns, rows)


def write_json(row: Row) -> None:
    """Write one JSON object on one line."""
    sys.stdout.write(json.dumps(plain(row), separators=(",", ":"), allow_nan=False) + "\n")


def write_table(columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """Write a table: fitted to the terminal, or plain and complete into a pipe."""
    cells = [[safe_text(column.show(row.get(column.key))) for column in columns] for row in rows]
    if is_terminal():
        _write_fitted(columns, cells)
    else:
        _write_plain(columns, cells)


def plain(value: Any) -> Any:
    """The JSON form of a value that a row may hold: numbers and text stay what they are.

    Times become ISO 8601 text, spans of time seconds, bytes base64; NaN and infinity, which JSON
    lacks, `null`.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return plain(float(value))
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode("ascii")
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return str(value)


def _write_csv(columns: Sequence[Column], rows: Iterable[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([safe_text(column.key) for column in columns])
    for row in rows:
        writer.writerow([_csv_cell(row.get(column.key)) for column in columns])


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    value = plain(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return safe_text(text, multiline=True)


def _write_fitted(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    console = Console(file=sys.stdout, highlight=False)
    kept = _fitting(columns, cells, console.width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for index in kept:
        column = columns[index]
        justify: JustifyMethod = "right" if column.right else "left"
        title = Text(safe_text(column.title))
        table.add_column(title, justify=justify, no_wrap=column.right, overflow="fold")
    for row in cells:
        # Text, not str: rich would read `[red]` in a plain string as markup.
        table.add_row(*(Text(row[index]) for index in kept))
    console.print(table)
    left_out = [column.title for index, column in enumerate(columns) if index not in kept]
    if left_out:
        say(f"too narrow for: {', '.join(left_out)}; a pipe and --json have all columns")


def _fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Indexes of the columns to show: spare ones go until the rest fits as it is."""
    widths = _widths(columns, cells)
    kept = list(range(len(columns)))
    for index in sorted(kept, key=lambda index: -columns[index].spare):
        needed = sum(widths[each] + _GAP for each in kept) - _GAP
        if needed <= width or not columns[index].spare:
            break
        kept.remove(index)
    return kept


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """Cells that each column needs to show everything on one line."""
    return [
        max([cell_len(safe_text(column.title)), *(cell_len(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]


def _write_plain(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    widths = _widths(columns, cells)
    for line in [[safe_text(column.title) for column in columns], *cells]:
        padded = map(_pad, line, widths, columns)
        sys.stdout.write((" " * _GAP).join(padded).rstrip() + "\n")


def _pad(cell: str, width: int, column: Column) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if column.right else cell + space
