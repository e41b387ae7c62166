"""The prompt of `retrospan sql`: one query after the other, on a terminal.

It adds typing to `analytics.guarded` and nothing else: history, several lines, colours, completion
of what the warehouse has. A query ends with `;` or with
an empty line. Ctrl-C leaves the line or stops the query; Ctrl-D leaves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from analytics.errors import AnalyticsError
from analytics.guarded import GuardedReader
from tui.cli.answers import AnswerFormat, write_answer
from tui.cli.diagnostics import fail, say, warn
from tui.sql_completion import SqlCompleter, load_names

__all__ = ["history_file", "is_complete", "run_prompt"]

_HELP: Final = """\
Type SQL and end it with ;    Tab completes, Up finds earlier queries, Ctrl-C stops, Ctrl-D leaves
.tables          what can be asked: tables, views and table macros, with their comments
.describe NAME   the columns of one, with their comments
.format FORM     how answers are written: table, csv or json
.help, .quit"""
_NO_CODE: Final = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_OPEN: Final = re.compile(r"['\"]|/\*")
"""A text or remark that has not ended yet: a semicolon in it ends nothing."""
_TABLES: Final = """
    SELECT schema_name || '.' || table_name AS name, comment FROM duckdb_tables()
    WHERE NOT internal
    UNION ALL
    SELECT schema_name || '.' || view_name, comment FROM duckdb_views() WHERE NOT internal
    UNION ALL
    SELECT schema_name || '.' || function_name || '(' || array_to_string(parameters, ', ') || ')',
           comment
    FROM duckdb_functions() WHERE NOT internal AND function_type = 'table_macro'
    ORDER BY 1
"""
_COLUMNS: Final = """
    SELECT column_name AS "column", data_type AS type, comment FROM duckdb_columns()
    WHERE schema_name || '.' || table_name = $name OR table_name = $name
    ORDER BY schema_name, column_index
"""


class _Prompt:
    """The state of one session: how answers are written."""

    def __init__(self, reader: GuardedReader, form: AnswerFormat) -> None:
        self._reader = reader
        self._form = form
        self._commands: dict[str, Callable[[str], bool]] = {
            ".help": self._help,
            ".tables": self._tables,
            ".describe": self._describe,
            ".format": self._set_format,
            ".quit": lambda _: False,
            ".exit": lambda _: False,
        }

    def answer(self, text: str) -> bool:
        """Do what a line says.

        Returns:
            Whether to go on.
        """
        text = text.strip().rstrip(";").strip()
        if not text:
            return True
        if text.lower() in {"quit", "exit"}:
            return False
        if text.startswith("."):
            name, _, argument = text.partition(" ")
            if name not in self._commands:
                fail(f"there is no {name}; .help tells what there is")
                return True
            return self._commands[name](argument.strip())
        return self._ask(text)

    def _ask(self, sql: str, params: dict[str, str] | None = None) -> bool:
        try:
            answer = self._reader.ask(sql, params)
            write_answer(answer, self._form)
            if answer.is_cut:
                warn(f"there are more rows; only {self._reader.limits.rows:,} were fetched")
        except AnalyticsError as error:
            fail(str(error))
        except KeyboardInterrupt:
            self._reader.stop()
            say("stopped")
        return True

    def _help(self, _argument: str) -> bool:
        for line in _HELP.splitlines():
            say(line)
        return True

    def _tables(self, _argument: str) -> bool:
        return self._ask(_TABLES)

    def _describe(self, name: str) -> bool:
        if not name:
            fail("name a table or view, as in: .describe mart.run_summary")
            return True
        return self._ask(_COLUMNS, {"name": name})

    def _set_format(self, name: str) -> bool:
        with suppress(ValueError):
            form = AnswerFormat(name)
            if not form.is_binary:
                self._form = form
                return True
        fail("choose table, csv or json")
        return True


def run_prompt(reader: GuardedReader, form: AnswerFormat) -> None:
    """Take queries until the person leaves.

    Raises:
        AnalyticsError: There is nothing to read.
    """
    names = load_names(reader)
    session: PromptSession[str] = PromptSession(
        "sql> ",
        history=_history(),
        lexer=PygmentsLexer(SqlLexer),
        completer=SqlCompleter(names),
        complete_while_typing=False,
        multiline=True,
        prompt_continuation=lambda _width, _line, _wrap: "...> ",
        key_bindings=_keys(),
    )
    say(f"{reader.path}: {len(names.tables)} tables and views; .help helps, Ctrl-D leaves")
    prompt = _Prompt(reader, form)
    while True:
        try:
            text = session.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not prompt.answer(text):
            return


def is_complete(text: str) -> bool:
    """Whether Enter sends what was typed, instead of beginning another line."""
    text = text.strip()
    if not text or text.startswith(".") or text.lower() in {"quit", "exit"}:
        return True
    code = _NO_CODE.sub("", text)
    return code.rstrip().endswith(";") and not _OPEN.search(code)


def history_file() -> Path:
    """Where the queries of all sessions are kept, for their author only."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "retrospan" / "sql_history"


def _history() -> History:
    file = history_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Queries name customers and amounts.
        file.touch(mode=0o600)
    except OSError as error:
        warn(f"queries are not remembered: {file}: {error.strerror}")
        return InMemoryHistory()
    return FileHistory(str(file))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @Condition
    def can_be_sent() -> bool:
        from prompt_toolkit.application.current import get_app

        buffer = get_app().current_buffer
        at_end = not buffer.document.text_after_cursor.strip()
        ends_with_empty_line = (
            bool(buffer.text.strip()) and not buffer.document.current_line.strip()
        )
        return at_end and (is_complete(buffer.text) or ends_with_empty_line)

    @keys.add("enter", filter=can_be_sent)
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys
