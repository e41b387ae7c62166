"""A connection for the questions of a report, whose errors are words about the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from analytics.errors import WarehouseError
from analytics.query import QueryLimits, own_reader

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["asking"]


@contextmanager
def asking(warehouse: Path | str) -> Iterator[DuckDBPyConnection]:
    """A connection to the newest snapshot, for the length of the block.

    Raises:
        WarehouseError: There is nothing to read, or not what a report needs.
    """
    try:
        with own_reader(warehouse, QueryLimits(rows=None)) as connection:
            yield connection
    except duckdb.OutOfMemoryException as error:
        raise WarehouseError(
            f"{warehouse}: the report needs more memory than {QueryLimits().memory}; choose fewer "
            "runs"
        ) from error
