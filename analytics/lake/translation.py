"""SQL of the warehouse in the dialects of Spark and ClickHouse.

A query is made explicit first: macros are expanded, stars and names resolved against the catalog.
Then the rules of a dialect (`analytics.lake.rules`) replace what sqlglot would carry over with
another meaning. Each column of a view is cast to the type that it has in the warehouse, so that the
rows of all engines can be compared. What is known to have no counterpart is refused here: engines
would fail late, or answer something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlglot import ErrorLevel, exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from analytics.errors import LakeError
from analytics.lake.catalog import Catalog, View, catalog
from analytics.lake.manifest import Column
from analytics.lake.rules import RULES, Dialect, quoted_name, type_name

__all__ = ["Dialect", "Statement", "flat_name", "table_statement", "translate", "translated_views"]

_DUCKDB: Final = "duckdb"


@dataclass(frozen=True, slots=True)
class Statement:
    """A view in the words of an engine."""

    name: str
    """Of the view in the warehouse, such as mart.run_summary."""
    query: str
    """What the view selects."""
    reads: frozenset[str]
    """Tables and views of the warehouse that it reads."""

    def create(self, dialect: Dialect) -> str:
        """SQL that makes the view."""
        kind = "TEMPORARY VIEW" if dialect is Dialect.SPARK else "VIEW"
        return f"CREATE OR REPLACE {kind} {flat_name(self.name, dialect)} AS\n{self.query}"


def flat_name(name: str, dialect: Dialect) -> str:
    """A table's name in an engine: temporary views of Spark are in no schema."""
    return name.replace(".", "_") if dialect is Dialect.SPARK else name


def translated_views(dialect: Dialect) -> list[Statement]:
    """All views of `mart` and those they read, each after those that it reads.

    Raises:
        LakeError: A view cannot be told in this dialect.
    """
    known = catalog()
    views = known.closure(name for name in known.views if name.startswith("mart."))
    return [_view(view, dialect, known) for view in views]


def translate(query: str, dialect: Dialect) -> str:
    """A query on the warehouse's tables and views, in the words of an engine.

    Args:
        query: One SELECT in the dialect of DuckDB.
        dialect: Of the engine.

    Raises:
        LakeError: It is not one SELECT, or cannot be told in this dialect.
    """
    try:
        statements = parse(query, dialect=_DUCKDB)
    except SqlglotError as error:
        raise LakeError(f"not SQL that can be translated: {_first_line(error)}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise LakeError("expected one SELECT")
    select = statements[0]
    _check_sources(select, catalog())
    return _told(select, dialect, catalog(), "the query")


def table_statement(table: str, source: str, dialect: Dialect) -> Statement:
    """A table of the warehouse, made from its files with the types it has there.

    Args:
        table: With its schema.
        source: What stands for the files, in the words of the engine.
        dialect: Of the engine.
    """
    rules = RULES[dialect]
    columns = [
        f"{rules.stored(column)} AS {quoted_name(column, dialect)}"
        for column in catalog().tables[table]
    ]
    selected = ",\n  ".join(columns)
    return Statement(table, f"SELECT\n  {selected}\nFROM {source}", frozenset())


def _check_sources(query: exp.Query, known: Catalog) -> None:
    """Let nothing through that reads something else than the lake, such as a file."""
    own = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        name = f"{table.db}.{table.name}".lower()
        is_own = not table.db and table.name in own
        is_known = isinstance(table.this, exp.Identifier) and name in {*known.tables, *known.views}
        if not (is_own or is_known):
            raise LakeError(
                f"{table.sql(_DUCKDB)} is no table or view of the lake; name them with their "
                "schema, such as mart.run_summary"
            )


def _view(view: View, dialect: Dialect, known: Catalog) -> Statement:
    rows = exp.Subquery(this=view.query.copy(), alias=exp.TableAlias(this=exp.to_identifier("v")))
    query = exp.Select(expressions=[_typed(column) for column in view.columns]).from_(rows)
    return Statement(view.name, _told(query, dialect, known, view.name), view.reads)


def _typed(column: Column) -> exp.Expr:
    kind = exp.DataType.build(type_name(column), dialect=_DUCKDB)
    value = exp.Cast(this=exp.column(column.name, table="v", quoted=True), to=kind)
    return exp.alias_(value, column.name, quoted=True)


def _told(query: exp.Expr, dialect: Dialect, known: Catalog, what: str) -> str:
    try:
        explicit = qualify(
            _expanded(query.copy(), known),
            schema=dict(known.schema()),
            dialect=_DUCKDB,
            quote_identifiers=True,
        )
        told = RULES[dialect].apply(explicit)
        for table in told.find_all(exp.Table):
            _rename(table, dialect)
        return told.sql(dialect.value, pretty=True, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise LakeError(
            f"{what}: cannot be translated to {dialect}: {_first_line(error)}"
        ) from error


def _expanded(query: exp.Expr, known: Catalog) -> exp.Expr:
    """The query with the body of each macro in its place."""
    return query.transform(lambda node: _body(node, known))


def _body(node: exp.Expr, known: Catalog) -> exp.Expr:
    if not (isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func)):
        return node
    name = f"{node.this.name}.{node.expression.name}".lower()
    macro = known.macros.get(name)
    if macro is None:
        raise LakeError(f"{name}: a macro that stands for a table runs on DuckDB only")
    arguments = node.expression.expressions
    if len(arguments) != len(macro.parameters):
        raise LakeError(f"{name}: takes {len(macro.parameters)} arguments, got {len(arguments)}")
    given = dict(zip(macro.parameters, arguments, strict=True))
    body = macro.body.transform(
        lambda part: (
            exp.paren(given[part.name].copy())
            if isinstance(part, exp.Column) and part.name in given
            else part
        )
    )
    expanded = _expanded(body, known)  # A macro may use another one.
    # An aggregate in brackets takes no FILTER.
    return expanded if isinstance(expanded, exp.Func) else exp.paren(expanded)


def _rename(table: exp.Table, dialect: Dialect) -> None:
    if table.db and dialect is Dialect.SPARK:
        flat = exp.to_identifier(flat_name(f"{table.db}.{table.name}", dialect), quoted=True)
        table.set("this", flat)
        table.set("db", None)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "unknown error")
