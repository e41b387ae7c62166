"""Intervals of an answer, told as DuckDB tells them: `1 month`, `2 days 03:00:00`.

An INTERVAL has months, days and microseconds apart. Python's `timedelta` has no months, and DuckDB
makes 30 days of each when it converts, as few of them have. A query whose answer holds intervals is
therefore asked with them cast to text; every other query stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb.sqltypes import DuckDBPyType

__all__ = ["with_intervals_as_text"]

_NESTED: Final = frozenset({"list", "array", "map", "tuple", "struct", "union"})


def with_intervals_as_text(
    connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement
) -> duckdb.Statement | str:
    """The same query with every interval as text, or the statement where it answers with none.

    Args:
        connection: Where the query will run; nothing runs now.
        statement: One that takes no parameters.
    """
    if statement.type is not duckdb.StatementType.SELECT:
        return statement
    answer = connection.sql(statement)
    if not any(map(_may_hold_intervals, answer.types)):
        return statement
    columns = []
    for number, (name, kind) in enumerate(zip(answer.columns, answer.types, strict=True), 1):
        value = (
            f"CAST(#{number} AS {_as_text(kind)})" if _may_hold_intervals(kind) else f"#{number}"
        )
        columns.append(f"{value} AS {_quoted(name)}")
    return f"SELECT {', '.join(columns)} FROM (\n{_without_end(statement.query)}\n)"


def _may_hold_intervals(kind: DuckDBPyType) -> bool:
    return "INTERVAL" in str(kind)


def _as_text(kind: DuckDBPyType) -> str:
    """A type with VARCHAR in every place of INTERVAL."""
    parts: list[tuple[str, Any]] = kind.children if kind.id in _NESTED else []
    match kind.id, parts:
        case "interval", _:
            return "VARCHAR"
        case "list", [(_, part)]:
            return f"{_as_text(part)}[]"
        case "array", [(_, part), (_, length)]:
            return f"{_as_text(part)}[{length}]"
        case "map", [(_, key), (_, value)]:
            return f"MAP({_as_text(key)}, {_as_text(value)})"
        case "tuple", _:
            return f"TUPLE({', '.join(_as_text(part) for _, part in parts)})"
        case "struct", _ if all(name for name, _ in parts):
            return f"STRUCT({_fields(parts)})"
        case "union", [_, *members]:
            # Without the first part, the tag that tells which member it is.
            return f"UNION({_fields(members)})"
        case _:
            # Also a struct without names, as DuckDB 1.5 has them: its type cannot be written.
            return str(kind)


def _fields(parts: Sequence[tuple[str, Any]]) -> str:
    return ", ".join(f"{_quoted(name)} {_as_text(part)}" for name, part in parts)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _without_end(sql: str) -> str:
    """A statement up to its semicolon; a remark may follow that."""
    text = sql.encode()
    ends = (at for at, _ in duckdb.tokenize(sql) if text[at : at + 1] == b";")
    return text[: next(ends, None)].decode()
