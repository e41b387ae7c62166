"""How the types of the warehouse are stored in Parquet, and read back.

Engines agree on few types. JSON is stored as text and times with nanoseconds as numbers: what
Parquet has for them, Spark refuses or ClickHouse reads as something else.
"""

from __future__ import annotations

from typing import Final

__all__ = ["NANOSECONDS", "quoted", "restored", "stored"]

NANOSECONDS: Final = "TIMESTAMP_NS"


def quoted(name: str) -> str:
    """A name as SQL of DuckDB writes it."""
    return '"' + name.replace('"', '""') + '"'


def stored(name: str, kind: str) -> str:
    """SQL of DuckDB that makes what is stored of a column named `t.name`."""
    column = f"t.{quoted(name)}"
    if kind == "JSON":
        return f"{column}::VARCHAR AS {quoted(name)}"
    if kind == NANOSECONDS:
        return f"epoch_ns({column}) AS {quoted(name)}"
    return column


def restored(name: str, kind: str) -> str:
    """SQL of DuckDB that makes the column of the warehouse from what is stored."""
    if kind == "JSON":
        return f"{quoted(name)}::JSON AS {quoted(name)}"
    if kind == NANOSECONDS:
        return f"make_timestamp_ns({quoted(name)}) AS {quoted(name)}"
    return quoted(name)
