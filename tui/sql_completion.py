"""What can be typed in a query: tables, views, columns and macros of a warehouse, and SQL itself.

Completion reads the catalog once and guesses from the words around the cursor; it runs no query.
After `alias.` come the columns of that table, after a schema its tables, else first the columns of
the tables that the query names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from analytics.guarded import GuardedReader

__all__ = ["Name", "Names", "SqlCompleter", "load_names"]

_COLUMNS: Final = """
    SELECT c.schema_name || '.' || c.table_name, c.column_name, lower(c.data_type), c.comment,
           coalesce(t.comment, v.comment)
    FROM duckdb_columns() c
    LEFT JOIN duckdb_tables() t USING (schema_name, table_name)
    LEFT JOIN duckdb_views() v ON v.schema_name = c.schema_name AND v.view_name = c.table_name
    WHERE NOT c.internal ORDER BY 1, c.column_index
"""
_MACROS: Final = """
    SELECT DISTINCT schema_name || '.' || function_name, comment FROM duckdb_functions()
    WHERE NOT internal ORDER BY 1
"""
_WORDS: Final = """
    SELECT upper(keyword_name) FROM duckdb_keywords() WHERE keyword_category = 'reserved'
    UNION SELECT unnest(['FILTER', 'BY', 'COUNT(*)', 'EXPLAIN', 'JOIN', 'LEFT', 'OVER', 'PARTITION',
                         'SUM', 'AVG', 'MIN', 'MAX', 'VALUES', 'BETWEEN', 'INTERVAL'])
    ORDER BY 1
"""
_WORD: Final = re.compile(r"[\w.]*$")
_ALIAS: Final = re.compile(r"\b(?:from|join)\s+([\w.]+)(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Name:
    """Something that can be completed to."""

    text: str
    about: str
    """One line."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a warehouse has."""

    tables: dict[str, Name] = field(default_factory=dict)
    """Tables and views, by name with schema."""
    columns: dict[str, list[Name]] = field(default_factory=dict)
    """Of each table."""
    macros: list[Name] = field(default_factory=list)
    keywords: list[Name] = field(default_factory=list)


def load_names(reader: GuardedReader) -> Names:
    """Read the catalog.

    Raises:
        AnalyticsError: There is nothing to read.
    """
    tables: dict[str, Name] = {}
    columns: dict[str, list[Name]] = {}
    for table, column, kind, comment, about in reader.ask(_COLUMNS).rows():
        tables.setdefault(table, Name(table, about or ""))
        columns.setdefault(table, []).append(Name(column, f"{kind}  {comment or ''}"))
    macros = [Name(f"{name}(", comment or "") for name, comment in reader.ask(_MACROS).rows()]
    words = [Name(word, "") for (word,) in reader.ask(_WORDS).rows()]
    return Names(tables, columns, macros, words)


class SqlCompleter(Completer):
    """Completes the word before the cursor."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """What the word can become, the likeliest first."""
        found = _WORD.search(document.text_before_cursor)
        word = found[0] if found else ""
        seen: set[str] = set()
        for name in self._candidates(word, document.text):
            if name.text.lower().startswith(word.lower()) and name.text not in seen:
                seen.add(name.text)
                yield Completion(
                    name.text, start_position=-len(word), display_meta=name.about[:100]
                )

    def _candidates(self, word: str, text: str) -> Iterator[Name]:
        named = self._tables_of(text)
        before, dot, _ = word.rpartition(".")
        if dot and before in named:
            for column in self._names.columns[named[before]]:
                yield Name(f"{before}.{column.text}", column.about)
            return
        if not dot:
            for table in dict.fromkeys(named.values()):
                yield from self._names.columns[table]
        yield from self._relations(after_schema=bool(dot))
        if not dot:
            yield from self._names.keywords

    def _relations(self, *, after_schema: bool) -> Iterable[Name]:
        schemas = sorted({table.partition(".")[0] for table in self._names.tables})
        if not after_schema:
            yield from (Name(f"{schema}.", "schema") for schema in reversed(schemas))
        yield from self._names.tables.values()
        yield from self._names.macros

    def _tables_of(self, text: str) -> dict[str, str]:
        """The tables that a query names, by alias and by name."""
        named: dict[str, str] = {}
        for table, alias in _ALIAS.findall(text):
            if table in self._names.columns:
                named |= {table: table, table.rpartition(".")[2]: table}
                if alias:
                    named[alias] = table
        return named
