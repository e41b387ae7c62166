"""When the rows of two engines are the same.

As sets: a view has no order. Numbers may differ in the ninth digit, because engines add floats in
another order; times are compared to the microsecond, which is all that Spark has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import compress, zip_longest
from typing import Any

type Rows = Iterable[Sequence[Any]]


def differences(
    columns: Sequence[str],
    rows: Rows,
    other_columns: Sequence[str],
    other_rows: Rows,
    picked: tuple[str, ...] = (),
) -> list[str]:
    """What differs, one line each; empty where the answers are the same.

    Args:
        columns: Names, as one engine tells them.
        rows: Its rows.
        other_columns: Names, as the other tells them.
        other_rows: Its rows.
        picked: How names of columns begin that may differ, because several values are as good.
    """
    if tuple(columns) != tuple(other_columns):
        return [f"columns {columns} and {other_columns}"]
    exact = [not name.startswith(picked) for name in columns]
    pairs = zip_longest(_sorted(rows, exact), _sorted(other_rows, exact))
    return [f"{left} and {right}" for left, right in pairs if not _same_row(left, right, exact)]


def _sorted(rows: Rows, exact: Sequence[bool]) -> list[tuple[Any, ...]]:
    """Rows in an order that neither rounding nor picking changes."""
    plain = (tuple(map(_plain, row)) for row in rows)
    return sorted(plain, key=lambda row: _order(tuple(compress(row, exact))))


def _order(row: tuple[Any, ...]) -> tuple[list[str], list[str]]:
    exact = [repr(value) for value in row if not isinstance(value, float)]
    return exact, [f"{value:.6g}" for value in row if isinstance(value, float)]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return value


def _same_row(
    left: tuple[Any, ...] | None, right: tuple[Any, ...] | None, exact: Sequence[bool]
) -> bool:
    if left is None or right is None:
        return False
    return all(map(_same, compress(left, exact), compress(right, exact)))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return type(left) is type(right) and bool(left == right)
