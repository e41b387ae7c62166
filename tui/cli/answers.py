"""How the answer to a query is written: for people, and for programs by row or by column.

Everything but a table is written as it comes, so that an answer may be larger than any memory.
Binary forms never go to a terminal, and a file is there whole or not at all.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from analytics.errors import QueryRefused
from analytics.files import opened_whole
from tui.cli.diagnostics import CommandError
from tui.cli.exits import Exit
from tui.cli.tables import Column, Format, Row, write_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.guarded import GuardedAnswer

__all__ = ["AnswerFormat", "opened_output", "write_answer"]

_NUMBERS = ("INT", "FLOAT", "DOUBLE", "DECIMAL", "NUMERIC")


class AnswerFormat(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    """One object per line."""
    PARQUET = "parquet"
    ARROW = "arrow"
    """An IPC stream."""

    @property
    def is_binary(self) -> bool:
        """Whether it is nothing for a terminal, and read as record batches."""
        return self in {AnswerFormat.PARQUET, AnswerFormat.ARROW}


@contextmanager
def opened_output(file: Path | None, form: AnswerFormat) -> Iterator[None]:
    """Let stdout be a file for the length of the block; the file appears when all went well.

    Args:
        file: `None` to leave stdout what it is.
        form: What will be written.

    Raises:
        CommandError: Something binary would go to a terminal.
        OSError: The file cannot be written.
    """
    if file is None:
        if form.is_binary and sys.stdout.isatty():
            raise CommandError(
                f"{form} is nothing for a terminal; add --out FILE, or a pipe", Exit.USAGE
            )
        yield
        return
    with opened_whole(file) as whole:
        text = io.TextIOWrapper(whole, encoding="utf-8", newline="")
        try:
            with redirect_stdout(text):
                yield
            text.flush()
        finally:
            # Closing the file is not its business.
            text.detach()


def write_answer(answer: GuardedAnswer, form: AnswerFormat) -> None:
    """Write an answer to stdout.

    Args:
        answer: Asked for as Arrow if the form is binary.
        form: How.

    Raises:
        QueryError: The rest of the answer does not come.
        QueryRefused: The form cannot hold a type of the answer.
    """
    match form:
        case AnswerFormat.PARQUET | AnswerFormat.ARROW:
            _write_binary(answer, form)
        case AnswerFormat.TABLE:
            columns = _columns(answer)
            write_rows(columns, _rows(columns, iter(answer.held_rows())), Format.TABLE)
        case AnswerFormat.CSV | AnswerFormat.JSON:
            columns = _columns(answer)
            write_rows(columns, _rows(columns, answer.rows()), Format(form.value))


def _write_binary(answer: GuardedAnswer, form: AnswerFormat) -> None:
    import pyarrow as pa

    names = _unique(answer.columns)
    schema = pa.schema(
        [field.with_name(name) for field, name in zip(answer.arrow_schema, names, strict=True)]
    )
    try:
        with _binary_writer(sys.stdout.buffer, schema, form) as writer:
            for batch in answer.batches():
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    except pa.ArrowNotImplementedError as error:
        raise QueryRefused(f"{form} cannot hold this: {error}; cast the column") from error
    sys.stdout.buffer.flush()


def _binary_writer(stream: IO[bytes], schema: pa.Schema, form: AnswerFormat) -> Any:
    if form is AnswerFormat.ARROW:
        import pyarrow as pa

        return pa.ipc.new_stream(stream, schema)
    from pyarrow.parquet import ParquetWriter

    return ParquetWriter(stream, schema, compression="zstd")


def _columns(answer: GuardedAnswer) -> list[Column]:
    return [
        Column(key, key, right=any(number in kind.upper() for number in _NUMBERS))
        for key, kind in zip(_unique(answer.columns), answer.types, strict=True)
    ]


def _unique(names: Sequence[str]) -> list[str]:
    """A name that comes twice gets a number, or JSON would lose one of them."""
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for name in names:
        unique.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return unique


def _rows(columns: Sequence[Column], rows: Iterator[tuple[object, ...]]) -> Iterator[Row]:
    keys = [column.key for column in columns]
    return (dict(zip(keys, row, strict=True)) for row in rows)
