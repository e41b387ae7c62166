"""Everything public in the schema is documented, in the words of the house."""

from __future__ import annotations

import re

from analytics.run_rows import DERIVED_TABLES
from analytics.settling import SETTLED_TABLES
from analytics.warehouse import Warehouse

_SCHEMAS = "('raw', 'core', 'mart', 'ref')"


def test_every_table_view_and_column_has_a_comment(warehouse: Warehouse) -> None:
    tables = warehouse.rows(
        "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE NOT internal"
        " UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views() WHERE NOT internal"
    )
    assert len(tables) > 25
    assert [row for row in tables if not row[2]] == []
    columns = warehouse.rows(
        "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns()"
        f" WHERE NOT internal AND schema_name IN {_SCHEMAS}"
    )
    assert len(columns) > 250
    assert [row for row in columns if not row[3]] == []


def test_every_macro_has_a_comment(warehouse: Warehouse) -> None:
    macros = warehouse.rows(
        "SELECT schema_name, function_name, comment FROM duckdb_functions()"
        f" WHERE function_type LIKE '%macro' AND schema_name IN {_SCHEMAS}"
    )
    assert macros
    assert [row for row in macros if not row[2]] == []


def test_comments_are_sentences_and_not_repetitions(warehouse: Warehouse) -> None:
    columns = warehouse.rows(
        "SELECT column_name, comment FROM duckdb_columns()"
        f" WHERE NOT internal AND schema_name IN {_SCHEMAS}"
    )
    bare = [row for row in columns if row[1].lower() == row[0].lower() or row[1].endswith(".")]
    assert bare == []


def test_the_list_of_derived_tables_is_complete(warehouse: Warehouse) -> None:
    """A table that is not made anew when a run grows would tell of its past for ever."""
    tables = warehouse.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'core'")
    of_events = {"core.events", "core.payloads", "core.spans", "core.branches", "core.tool_calls"}
    derived = {*DERIVED_TABLES, *SETTLED_TABLES}
    assert {f"core.{name}" for (name,) in tables} == derived | of_events


def test_mart_views_keep_to_what_other_engines_know(warehouse: Warehouse) -> None:
    """They run on Spark and ClickHouse too: no nested values, and one name for quantiles."""
    views = warehouse.rows(
        "SELECT view_name, sql FROM duckdb_views() WHERE schema_name = 'mart' AND NOT internal"
    )
    assert len(views) > 30
    foreign = re.compile(
        r"quantile_cont|ASOF|unnest|list_|struct_|EXCLUDE|COLUMNS|lambda|\[|\{", re.I
    )
    assert [name for name, sql in views if foreign.search(sql)] == []
    nested = warehouse.rows(
        "SELECT table_name, column_name, data_type FROM duckdb_columns()"
        " WHERE schema_name = 'mart' AND regexp_matches(data_type, 'STRUCT|MAP|UNION|\\[')"
    )
    assert nested == []
