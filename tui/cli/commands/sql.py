"""`retrospan sql`: questions to the warehouse, read-only; one, or one after the other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from analytics.guarded import GuardedReader
from analytics.query import QueryLimits, memory_bytes
from tui.cli.answers import AnswerFormat, opened_output, write_answer
from tui.cli.diagnostics import warn
from tui.cli.options import Amount, json_option, warehouse_option


def _memory(_context: click.Context, _option: click.Parameter, text: str) -> str:
    try:
        memory_bytes(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


@click.command("sql")
@click.argument("query", required=False)
@click.option(
    "--file",
    "-f",
    "file",
    type=click.File(encoding="utf-8"),
    help="Read the query from a file; - is stdin.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([form.value for form in AnswerFormat]),
    show_default="what --out ends with, else table",
    help="How to write the answer; json is one object per line, arrow an IPC stream.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the answer to a file.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=QueryLimits().rows,
    show_default=True,
    help="Rows to fetch at most; 0 for all.",
)
@click.option(
    "--timeout",
    type=Amount(0, is_open=True),
    default=QueryLimits().seconds,
    show_default=True,
    metavar="SECONDS",
    help="Stop the query after so long.",
)
@click.option(
    "--memory",
    default=QueryLimits().memory,
    show_default=True,
    metavar="SIZE",
    callback=_memory,
    help="What a query may use, such as 512MB.",
)
@warehouse_option()
@json_option()
def command(
    query: str | None,
    file: TextIO | None,
    form: str | None,
    out: Path | None,
    limit: int,
    timeout: float,
    memory: str,
    warehouse: Path,
    as_json: bool,
) -> None:
    """Ask the warehouse with SQL: one SELECT, SHOW, DESCRIBE or EXPLAIN.

    Without a query, on a terminal, a prompt takes one after the other, with history and completion.
    Nothing that a query says can change the warehouse, read files or use the network. Start with
    `SHOW ALL TABLES`.
    """
    shape = AnswerFormat.JSON if as_json else AnswerFormat(form or _form_of(out))
    text = _question(query, file)
    limits = QueryLimits(seconds=timeout, memory=memory, rows=limit or None)
    with GuardedReader(warehouse, limits) as reader:
        if text is None:
            if out is not None or shape.is_binary:
                raise click.UsageError("the prompt writes to the terminal; give a query with this")
            from tui.sql_prompt import run_prompt

            run_prompt(reader, shape)
            return
        with opened_output(out, shape):
            answer = reader.ask(text, as_arrow=shape.is_binary)
            write_answer(answer, shape)
        if answer.is_cut:
            warn(f"there are more rows; only {limit:,} were fetched, see --limit")


def _form_of(out: Path | None) -> AnswerFormat:
    """What the name of a file promises, a table where it promises nothing."""
    suffix = out.suffix.lower().removeprefix(".") if out is not None else ""
    if suffix in {"jsonl", "ndjson"}:
        return AnswerFormat.JSON
    return AnswerFormat(suffix) if suffix in set(AnswerFormat) else AnswerFormat.TABLE


def _question(query: str | None, file: TextIO | None) -> str | None:
    """The query, or `None` where a person is there to type it."""
    if query is not None and file is not None:
        raise click.UsageError("give a query or a --file, not both")
    if query is not None:
        return query
    if file is not None:
        return file.read()
    if not sys.stdin.isatty():
        return sys.stdin.read()
    if sys.stdout.isatty():
        return None
    raise click.UsageError("give a query, a --file, or a query on stdin")
