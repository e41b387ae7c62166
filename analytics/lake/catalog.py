"""What the schema files define, as the translation needs it: views in their order, macros, types.

It is read from an empty database with this version's schema, so that a view is known here as soon
as it has a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import duckdb
from sqlglot import TokenType, exp, parse_one, tokenize

from analytics.lake.manifest import Column
from analytics.lake.reader import connect_in_memory, define_tables, define_views, view_files

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Catalog", "Macro", "View", "catalog"]

DUCKDB: Final = "duckdb"


@dataclass(frozen=True, slots=True)
class View:
    """A view of the warehouse."""

    name: str
    """With its schema, such as mart.run_summary."""
    query: exp.Expr
    """As it was written, parsed. To be copied before it is changed."""
    columns: tuple[Column, ...]

    @property
    def reads(self) -> frozenset[str]:
        """Tables and views that it is made of."""
        return frozenset(
            f"{table.db}.{table.name}" for table in self.query.find_all(exp.Table) if table.db
        )


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro that stands for an expression."""

    parameters: tuple[str, ...]
    body: exp.Expr


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that the schema files define."""

    tables: Mapping[str, tuple[Column, ...]]
    """Base tables by name."""
    views: Mapping[str, View]
    """By name; a view comes after those that it reads."""
    macros: Mapping[str, Macro]
    """By name, in lower case. Macros that stand for tables are not among them."""

    def closure(self, names: Iterable[str]) -> list[View]:
        """These views and all that they read, each after those that it reads."""
        wanted = set(names)
        for name, view in reversed(list(self.views.items())):
            if name in wanted:
                wanted |= view.reads
        return [view for name, view in self.views.items() if name in wanted]

    def schema(self) -> dict[str, dict[str, dict[str, str]]]:
        """Columns by schema and table, as sqlglot wants them."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        views = {name: view.columns for name, view in self.views.items()}
        for name, columns in {**self.tables, **views}.items():
            schema, _, table = name.partition(".")
            found.setdefault(schema, {})[table] = {c.name: c.type for c in columns}
        return found


@cache
def catalog() -> Catalog:
    """The catalog of this version's schema."""
    with connect_in_memory("1GB") as connection:
        tables = define_tables(connection)
        define_views(connection)
        views = _views(connection)
        macros = _macros(connection)
    return Catalog(tables, views, macros)


def _views(connection: DuckDBPyConnection) -> dict[str, View]:
    found: dict[str, View] = {}
    for file in view_files():
        for statement in duckdb.extract_statements(file.sql):
            # The text that DuckDB keeps of a view spells functions in ways of its own.
            if _makes_view(statement.query):
                created = parse_one(statement.query, dialect=DUCKDB)
                name = f"{created.this.db}.{created.this.name}"
                found[name] = View(name, created.expression, _columns_of(connection, name))
    return found


def _makes_view(sql: str) -> bool:
    # Not all macros are SQL that sqlglot can read.
    return [token.token_type for token in tokenize(sql, dialect=DUCKDB)[:2]] == [
        TokenType.CREATE,
        TokenType.VIEW,
    ]


def _columns_of(connection: DuckDBPyConnection, name: str) -> tuple[Column, ...]:
    rows = connection.execute(f"DESCRIBE {name}").fetchall()
    return tuple(Column(row[0], row[1]) for row in rows)


def _macros(connection: DuckDBPyConnection) -> dict[str, Macro]:
    rows = connection.execute(
        "SELECT schema_name || '.' || function_name, parameters, macro_definition"
        " FROM duckdb_functions() WHERE function_type = 'macro' AND NOT internal"
    ).fetchall()
    return {
        name.lower(): Macro(tuple(parameters), parse_one(body, dialect=DUCKDB))
        for name, parameters, body in rows
    }
