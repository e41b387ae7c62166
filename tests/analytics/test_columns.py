"""Columns of many rows say what one row after the other would."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.columns import Block, Repeated, Sparse, Times, as_arrow, utc
from analytics.tables import arrow_block
from tracer.identity import RunKey

TIMES = st.none() | st.integers(-(2**70), 2**70) | st.integers(0, 2**62)


@given(st.lists(TIMES))
def test_a_column_of_times_holds_what_utc_says_of_each(times: list[int | None]) -> None:
    column = Times(times).arrow(pa.timestamp("us"))

    assert column.cast(pa.int64()).to_pylist() == [utc(time) for time in times]
    assert column.type == pa.timestamp("us")


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3))))
def test_a_repeated_column_says_the_same_for_each_row_of_a_run(runs: list[tuple[str, int]]) -> None:
    column = Repeated([text for text, _ in runs], [count for _, count in runs])

    expected = [text for text, count in runs for _ in range(count)]
    assert column.arrow(pa.string()).to_pylist() == expected


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 9)), min_size=1))
def test_values_of_a_sparse_column_are_where_they_belong(
    rows: list[tuple[int, int | None]],
) -> None:
    # Of two kinds the rows have values, of the last they have none.
    kinds = [[place for place, (kind, _) in enumerate(rows) if kind == k] for k in range(3)]
    values = [[rows[place][1] for place in places] for places in kinds[:2]]
    order = pc.inverse_permutation(pa.array([place for places in kinds for place in places]))

    column = Sparse([*values, len(kinds[2])], order).arrow(pa.int32())

    assert column.to_pylist() == [value if kind < 2 else None for kind, value in rows]


def test_a_sparse_column_without_any_value_is_null() -> None:
    column = Sparse([1, 1], pa.array([1, 0]))
    assert as_arrow(column, pa.string()).to_pylist() == [None, None]


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("namespace", "workflow_id", "run_id")]
    + [("event_id", pa.int64()), ("slot", pa.string())]
)
KEYS = [RunKey("n", "w", "r1"), RunKey("n", "w", "r2"), RunKey("n", "w", "r3")]


def test_rows_are_those_of_their_runs() -> None:
    block = Block({"slot": ["a", "b", "c"], "event_id": [1, 2, 1]}, [2, 0, 1])

    rows = arrow_block(SCHEMA, "core.payloads", KEYS, block).to_pylist()

    found = [(row["run_id"], row["event_id"], row["slot"]) for row in rows]
    assert found == [("r1", 1, "a"), ("r1", 2, "b"), ("r3", 1, "c")]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"event_id": [1, 2]}, id="one is missing"),
        pytest.param({"event_id": [1, 2], "slot": ["a", "b"], "extra": [0, 0]}, id="one too many"),
        pytest.param({"event_id": [1, 2], "slot": ["a"]}, id="one is too short"),
        pytest.param({"event_id": [1], "slot": ["a"]}, id="all are too short"),
    ],
)
def test_columns_that_do_not_fit_the_table_are_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"has other columns|expected length"):
        arrow_block(SCHEMA, "core.payloads", KEYS, Block(columns, [1, 1, 0]))
