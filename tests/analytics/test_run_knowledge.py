"""What spans tell of a run beside its history: decisions and model calls, ready to compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.run_knowledge import knowledge_of
from analytics.spans import span_rows, store_spans
from analytics.warehouse import open_warehouse
from replayer.alignment import Because, Knowledge, Side, compare, side_of
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import history_of, order
from tests.analytics.test_spans import RUN, attempt, call
from tests.event_builder import EPOCH
from tracer.identity import RunKey


def branch(number: int, outcome: object, **more: object) -> dict[str, object]:
    return {
        "id": 900 + number,
        "name": "branch Order.run",
        "start": 2,
        "attributes": RUN
        | {
            "retrospan.span.kind": "branch",
            "code.function.name": "Order.run",
            "code.file.path": "shop/orders.py",
            "code.line.number": 12,
            "retrospan.branch.condition": "amount > limit",
            "retrospan.branch.outcome": outcome,
            "retrospan.branch.occurrence": number,
        }
        | more,
    }


def known(path: Path, *spans: dict[str, object]) -> Knowledge:
    """The knowledge of a run with these spans."""
    history = history_of(order())
    with open_warehouse(path) as warehouse:
        ingest(warehouse, [history])
        with warehouse.transaction() as connection:
            store_spans(connection, span_rows(spans_of(*spans)).rows)
    return knowledge_of(path, history.key)


def test_calls_of_all_attempts_are_summed_by_step(made: Path) -> None:
    found = known(made, attempt(1), attempt(2), call(7, 101), call(8, 102))
    calls = found.calls["activity", "3", 1]
    assert calls.model == "gpt-4o-mini-2024-07-18"
    assert (calls.input_tokens, calls.output_tokens) == (2000, 200)
    assert calls.cost_usd == pytest.approx(2 * 0.000195)


def test_decisions_come_in_order_with_what_they_read(made: Path) -> None:
    values = {"retrospan.branch.values": '{"amount": 900, "limit": "100"}'}
    found = known(made, branch(2, False), branch(1, True, **values))
    assert [(d.occurrence, d.outcome) for d in found.decisions] == [(1, True), (2, False)]
    first = found.decisions[0]
    assert (first.file, first.line, first.qualname) == ("shop/orders.py", 12, "Order.run")
    assert first.at == (EPOCH + 2) * 1_000_000_000
    assert first.values == (("amount", "900"), ("limit", "100"))


def test_a_decision_explains_where_two_runs_part(made: Path) -> None:
    run = side_of(history_of(order())).run
    told = known(made, branch(1, True))
    [decision] = told.decisions
    sides = [Side(replace(run), [replace(decision, outcome=outcome)]) for outcome in (True, False)]
    other = run.steps[-1]
    sides[1].run.steps = run.steps[:-1]
    found = compare(sides[0], sides[1])
    assert found.cause is not None
    assert found.cause.because is Because.BRANCH
    assert found.rows[found.cause.divergence].entry.seq == other.seq


def test_a_run_without_spans_has_none(made: Path) -> None:
    found = known(made)
    assert found.decisions == []
    assert list(found.calls) == [("activity", "1", 1)], "what its result tells"
    nobody = RunKey("default", "nobody", "nowhere")
    assert knowledge_of(made, nobody) == Knowledge([], {})


@pytest.mark.parametrize("values", ["{", "[1]", "null", '"text"'])
def test_values_that_are_none_are_left_out(made: Path, values: str) -> None:
    found = known(made, branch(1, "maybe", **{"retrospan.branch.values": values}))
    [decision] = found.decisions
    assert (decision.values, decision.outcome) == ((), "maybe")
