"""Histories and spans tell of the same things: which account counts."""

from __future__ import annotations

from typing import Any

from temporalio.api.failure.v1 import Failure, TimeoutFailureInfo

from analytics.ingest import ingest
from analytics.settling import settle_pending
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import history_of, order
from tests.event_builder import EventBuilder

RUN = {"temporalWorkflowID": "order-1", "temporalRunID": "run-1"}


def attempt(step: str, number: int, outcome: str, span: int) -> dict[str, Any]:
    return {
        "id": span,
        "start": 1,
        "end": 2,
        "attributes": RUN
        | {
            "retrospan.span.kind": "attempt",
            "retrospan.outcome": outcome,
            "temporalActivityID": step,
            "temporal.activity.attempt": number,
        },
    }


def call(parent: int, span: int, **attributes: object) -> dict[str, Any]:
    about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}
    return {"id": span, "parent": parent, "attributes": about | attributes}


def store(warehouse: Warehouse, *spans: dict[str, Any]) -> None:
    with warehouse.transaction() as connection:
        store_spans(connection, span_rows(spans_of(*spans)).rows)
    settle_pending(warehouse.connection)


def timed_out_once() -> EventBuilder:
    """The server gives the first try up; the second completes."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.1)
    scheduled = events.activity("1", "classify", 0.1)
    late = Failure(message="too late", timeout_failure_info=TimeoutFailureInfo(timeout_type=1))  # type: ignore[arg-type]
    started = events.add(
        "ACTIVITY_TASK_STARTED",
        5.0,
        scheduled_event_id=scheduled,
        attempt=2,
        last_failure=late,
    )
    events.add(
        "ACTIVITY_TASK_COMPLETED", 6.0, scheduled_event_id=scheduled, started_event_id=started
    )
    return events


def test_an_attempt_that_the_server_gave_up_failed_whatever_its_worker_saw(
    warehouse: Warehouse,
) -> None:
    ingest(warehouse, [history_of(timed_out_once())])
    store(warehouse, attempt("1", 1, "completed", 11), attempt("1", 2, "completed", 12))
    assert warehouse.rows(
        "SELECT attempt, attempt_source, outcome, is_overruled, failure_type, duration_s"
        " FROM mart.attempts ORDER BY attempt"
    ) == [
        (1, "span", "timed_out", True, "START_TO_CLOSE", 1.0),
        (2, "span", "completed", False, None, 1.0),
    ]
    assert warehouse.rows("SELECT n_failed_attempts, attempts_are_exact FROM mart.steps") == [
        (1, True)
    ]


def test_a_call_is_counted_once_though_span_and_history_tell_of_it(warehouse: Warehouse) -> None:
    ingest(warehouse, [history_of(order())])
    tokens = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
    store(warehouse, attempt("1", 1, "completed", 11), call(11, 21, **tokens))
    assert warehouse.rows(
        "SELECT usage_source, count(*) FROM core.llm_calls GROUP BY 1 ORDER BY 1"
    ) == [
        ("history", 1),
        ("span", 1),
    ]
    assert warehouse.rows("SELECT usage_source, input_tokens FROM mart.llm_calls") == [
        ("span", 1000)
    ]


def test_the_history_tells_the_tokens_that_a_span_does_not(warehouse: Warehouse) -> None:
    """A span that failed is another call and stays."""
    ingest(warehouse, [history_of(order())])
    refused = call(11, 21, **{"error.type": "RateLimitError"})
    store(warehouse, attempt("1", 1, "completed", 11), refused, call(11, 22))
    assert warehouse.rows(
        "SELECT usage_source, input_tokens, error_type, is_billable FROM mart.llm_calls ORDER BY 1"
    ) == [
        ("history", 1000, None, True),
        ("span", None, "RateLimitError", False),
    ]
    assert warehouse.rows("SELECT n_llm_calls, priced_share FROM mart.run_summary") == [(2, 1.0)]


def test_spans_of_a_run_without_history_are_kept(warehouse: Warehouse) -> None:
    store(warehouse, attempt("1", 1, "failed", 11), call(11, 21))
    assert warehouse.rows("SELECT workflow_id, outcome FROM mart.attempts") == [
        ("order-1", "failed")
    ]
    assert warehouse.rows("SELECT workflow_id, run_id FROM mart.llm_calls") == [
        ("order-1", "run-1")
    ]
    assert warehouse.rows("SELECT * FROM mart.run_summary") == []
