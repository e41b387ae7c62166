"""The SQL that makes a lake known to an engine: for a session here, or as files for a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from analytics.errors import LakeError
from analytics.lake import spark_job
from analytics.lake.catalog import catalog
from analytics.lake.manifest import is_exported, is_of_runs
from analytics.lake.reader import checked_lake
from analytics.lake.spark_job import files_view
from analytics.lake.translation import (
    Dialect,
    Statement,
    flat_name,
    table_statement,
    translated_views,
)

__all__ = ["clickhouse_preparation", "lake_statements", "write_scripts"]

_SETTINGS: Final = {
    "join_use_nulls": 1,
    "aggregate_functions_null_for_empty": 1,
    "prefer_column_name_to_alias": 1,
    "cast_keep_nullable": 1,
    "use_hive_partitioning": 0,
    "session_timezone": "'UTC'",
}
"""Of ClickHouse, without which the views would not answer as standard SQL does."""


def lake_statements(folder: Path, dialect: Dialect) -> list[Statement]:
    """The tables and views of a lake, in the order in which they are to be made.

    Raises:
        LakeError: There is no lake.
    """
    tables = {table.name: table for table in checked_lake(folder).tables}
    sources = {
        name: files_view(name)
        if dialect is Dialect.SPARK
        else _files(str(folder), [file.path for file in table.files])
        for name, table in tables.items()
    }
    return _statements(sources, dialect)


def clickhouse_preparation() -> list[str]:
    """What a session of ClickHouse runs before the views are made, and before they are used."""
    schemas = sorted({name.split(".")[0] for name in catalog().views} | {"core"})
    settings = ", ".join(f"{name} = {value}" for name, value in _SETTINGS.items())
    return [f"SET {settings}", *(f"CREATE DATABASE IF NOT EXISTS {name}" for name in schemas)]


def write_scripts(folder: Path, dialect: Dialect, location: str) -> list[Path]:
    """Write numbered `.sql` files that make the tables and views; for Spark also its job.

    Args:
        folder: Where to; made if it does not exist.
        dialect: Of the cluster.
        location: Of the lake, as ClickHouse's servers see it. Spark's job is told it when it runs.

    Raises:
        LakeError: The folder cannot be written to.
    """
    sources = {
        name: files_view(name) if dialect is Dialect.SPARK else _files(location, [_pattern(name)])
        for name in catalog().tables
        if is_exported(name)
    }
    statements = _statements(sources, dialect)
    texts = [each.create(dialect) for each in statements]
    names = [flat_name(each.name, dialect) for each in statements]
    if dialect is Dialect.CLICKHOUSE:
        texts.insert(0, ";\n".join(clickhouse_preparation()))
        names.insert(0, "settings")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return list(_write(folder, names, texts, dialect))
    except OSError as error:
        raise LakeError(f"{folder}: cannot write here: {error.strerror or error}") from error


def _write(
    folder: Path, names: Sequence[str], texts: Sequence[str], dialect: Dialect
) -> list[Path]:
    written = []
    for number, (name, text) in enumerate(zip(names, texts, strict=True)):
        path = folder / f"{number:03}_{name}.sql"
        path.write_text(text + (";\n" if dialect is Dialect.CLICKHOUSE else "\n"), "utf-8")
        written.append(path)
    if dialect is Dialect.SPARK:
        written.append(Path(shutil.copy(spark_job.__file__, folder / "spark_job.py")))
    return written


def _statements(sources: dict[str, str], dialect: Dialect) -> list[Statement]:
    tables = [table_statement(name, source, dialect) for name, source in sources.items()]
    return [*tables, *translated_views(dialect)]


def _pattern(table: str) -> str:
    return f"{table}/{'*/*/' if is_of_runs(table) else ''}*.parquet"


def _files(location: str, paths: Sequence[str]) -> str:
    """ClickHouse's function for files."""
    pattern = f"{location}/{{{','.join(paths)}}}" if len(paths) > 1 else f"{location}/{paths[0]}"
    quoted = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"file('{quoted}', 'Parquet')"
