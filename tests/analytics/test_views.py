"""Golden tests: tiny histories and spans in, the text of each view out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse, open_warehouse
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, history_of, order, stuck_order
from tests.event_builder import EventBuilder


def waiting_order() -> EventBuilder:
    """Open, and waiting for an answer with a time limit."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.5)
    events.timer("1", 0.5, summary="approval")
    return events


def _attempt(number: int, error: str = "") -> dict[str, object]:
    span: dict[str, object] = {
        "id": 10 + number,
        "name": "attempt declare",
        "start": 62 + 2 * number,
        "end": 62.5 + 2 * number,
        "attributes": {
            "retrospan.span.kind": "attempt",
            "temporalWorkflowID": "order-1",
            "temporalRunID": "run-1",
            "temporalActivityID": "3",
            "temporal.activity.type": "declare",
            "temporal.activity.attempt": number,
        },
    }
    if error:
        attributes = span["attributes"]
        assert isinstance(attributes, dict)
        attributes |= {
            "error.type": "CustomsError",
            "retrospan.failure.message": error,
            "retrospan.failure.fingerprint": "f00d",
        }
        span["error"] = error
    return span


def _call(span: int, parent: int, model: str) -> dict[str, object]:
    return {
        "id": span,
        "parent": parent,
        "name": "chat",
        "start": 64.1,
        "end": 64.4,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": model,
            "gen_ai.usage.input_tokens": 2000,
            "gen_ai.usage.output_tokens": 0,
        },
    }


def _branch(span: int, run: int, outcome: object, **more: object) -> dict[str, object]:
    attributes = {
        "retrospan.span.kind": "branch",
        "temporalWorkflowID": f"order-{run}",
        "temporalRunID": f"run-{run}",
        "temporal.workflow.type": "Order",
        "code.function.name": "Order.run",
        "code.file.path": "shop/orders.py",
        "code.line.number": 17,
        "retrospan.branch.kind": "if",
        "retrospan.branch.condition": "amount > 100",
        "retrospan.branch.outcome": outcome,
        "retrospan.branch.occurrence": 1,
    } | more
    return {
        "id": span,
        "name": "branch Order.run",
        "start": 70 + span,
        "attributes": {name: value for name, value in attributes.items() if value is not None},
    }


_NAMED = {
    "code.line.number": 21,
    "retrospan.branch.kind": "decision",
    "retrospan.branch.condition": None,
    "retrospan.decision.name": "route",
    "retrospan.decision.why": '{"amount": 250}',
}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Four runs; of one, spans tell of each try and of the model calls in it."""
    warehouse = open_warehouse(tmp_path_factory.mktemp("golden") / "w.duckdb")
    ingest(
        warehouse,
        [
            history_of(order()),
            history_of(failed_order(), "run-2", "order-2"),
            history_of(stuck_order(), "run-3", "order-3"),
            history_of(waiting_order(), "run-4", "order-4"),
        ],
    )
    spans = spans_of(
        _attempt(1, "429 for order 17"),
        _attempt(2, "429 for order 17"),
        _attempt(3),
        _call(21, 11, "gpt-4o-mini"),
        _call(22, 13, "house-model"),
        _branch(31, 1, True, **{"retrospan.branch.because": "amount > 100"}),
        _branch(32, 2, True),
        _branch(33, 3, False, **{"retrospan.branch.dropped": 4}),
        _branch(34, 1, "desk", **_NAMED),
        _branch(
            35,
            9,
            False,
            **{
                "code.line.number": 30,
                "retrospan.branch.kind": "while",
                "retrospan.branch.condition": "left",
                "retrospan.branch.occurrence": 4,
                "retrospan.branch.rounds": 3,
            },
        ),
    )
    with warehouse.transaction() as connection:
        store_spans(connection, span_rows(spans).rows)
    return warehouse


def text_of(warehouse: Warehouse, sql: str) -> str:
    answer = warehouse.connection.execute(sql)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column[0] for column in answer.description or []])
    for row in answer.fetchall():
        writer.writerow([round(v, 6) if isinstance(v, float) else v for v in row])
    return out.getvalue()


QUERIES = {
    "core.branches": (
        "SELECT * EXCLUDE (namespace, trace_id) FROM core.branches ORDER BY taken_at"
    ),
    "mart.branch_outcomes": "SELECT * FROM mart.branch_outcomes ORDER BY line, outcome, build_id",
    "core.payloads_json": (
        "SELECT workflow_id, event_id, slot, idx, encoding, n_bytes, value FROM "
        "core.payloads_json ORDER BY ALL"
    ),
    "mart.attempts": (
        "SELECT workflow_id, step_id, step_name, attempt, attempt_source, duration_s, "
        "outcome, failure_type, failure_message, failure_fingerprint, worker_identity FROM "
        "mart.attempts ORDER BY ALL"
    ),
    "mart.llm_calls": (
        "SELECT workflow_id, workflow_type, step_id, attempt, usage_source, provider, model, "
        "latency_s, input_tokens, cache_read_tokens, output_tokens, finish_reason, cost_usd, "
        "price_source FROM mart.llm_calls ORDER BY ALL"
    ),
    "mart.steps": (
        "SELECT * EXCLUDE (namespace, run_id, workflow_type, scheduled_at, started_at, "
        "closed_at, failure_message) FROM mart.steps ORDER BY workflow_id, seq"
    ),
    "mart.retries": "SELECT * EXCLUDE (namespace, run_id) FROM mart.retries ORDER BY workflow_id",
    "mart.step_stats": "SELECT * FROM mart.step_stats ORDER BY name",
    "mart.failure_occurrences": (
        "SELECT * EXCLUDE (namespace, run_id) FROM mart.failure_occurrences ORDER BY "
        "workflow_id, owner_id, failed_at"
    ),
    "mart.failure_groups": (
        "SELECT * EXCLUDE (example_namespace, example_run_id) FROM mart.failure_groups ORDER "
        "BY n_failures DESC, fingerprint"
    ),
    "mart.stuck_runs": "SELECT * EXCLUDE (namespace, run_id) FROM mart.stuck_runs",
    "mart.cost_by_model": "SELECT * FROM mart.cost_by_model ORDER BY model",
    "mart.cost_by_workflow": "SELECT * FROM mart.cost_by_workflow",
    "mart.cost_coverage": "SELECT * FROM mart.cost_coverage ORDER BY usage_source",
    "mart.run_summary": (
        "SELECT * EXCLUDE (namespace, run_id, trace_id, started_at, closed_at, "
        "failure_message) FROM mart.run_summary ORDER BY workflow_id"
    ),
    "mart.time_split": (
        "SELECT * EXCLUDE (namespace, run_id, workflow_type) FROM mart.time_split ORDER BY "
        "workflow_id"
    ),
    "mart.human_waits": "SELECT * EXCLUDE (namespace, run_id) FROM mart.human_waits",
    "mart.open_waits": "SELECT * EXCLUDE (namespace, run_id) FROM mart.open_waits",
}
"""What of each view is compared; the answers are in `golden/<view>.csv`."""


@pytest.mark.parametrize("view", QUERIES)
def test_view(golden: Warehouse, view: str) -> None:
    expected = Path(__file__).parent / "golden" / f"{view}.csv"
    assert text_of(golden, QUERIES[view]) == expected.read_text()


def test_every_view_has_a_golden_text(golden: Warehouse) -> None:
    views = golden.rows(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
    )
    assert {name for (name,) in views} == set(QUERIES)
