"""Spans into tables: once each, tied to runs, attempts and model calls."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from analytics.ingest import ingest
from analytics.settling import settle_pending
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse
from tests.analytics.span_requests import TRACE, spans_of
from tests.analytics.stories import history_of, order
from tests.event_builder import EPOCH
from tracer.identity import span_id

RUN = {"temporalWorkflowID": "order-1", "temporalRunID": "run-1", "temporal.namespace": "default"}


def attempt(number: int, **more: object) -> dict[str, object]:
    return {
        "id": 100 + number,
        "parent": span_id("run-1", "step", "3"),
        "name": "attempt declare",
        "start": 60 + number,
        "end": 60.5 + number,
        "attributes": RUN
        | {
            "retrospan.span.kind": "attempt",
            "temporalActivityID": "3",
            "temporal.activity.type": "declare",
            "temporal.activity.attempt": number,
            "temporal.identity": "worker-2",
        }
        | dict(more),
    }


def call(span: int, parent: int, **more: object) -> dict[str, object]:
    return {
        "id": span,
        "parent": parent,
        "name": "chat gpt-4o-mini",
        "start": 61,
        "end": 62.5,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 200,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.response.finish_reasons": ["stop"],
        }
        | dict(more),
    }


def store(warehouse: Warehouse, *spans: dict[str, object]) -> int:
    with warehouse.transaction() as connection:
        stored = store_spans(connection, span_rows(spans_of(*spans)).rows)
    settle_pending(warehouse.connection)
    return stored


def test_a_span_is_stored_under_the_column_names_of_duckdb_otlp(warehouse: Warehouse) -> None:
    store(warehouse, attempt(2))
    (row,) = warehouse.rows(
        "SELECT trace_id, span_id, epoch_ns(start_time_unix_nano), duration_time_unix_nano,"
        " service_name, name, status_code, scope_name, span_attributes ->> 'temporalRunID',"
        " workflow_id, run_id, step_id, attempt, span_kind FROM core.spans"
    )
    start = (EPOCH + 62) * 1_000_000_000
    names = ("worker", "attempt declare", 0, "retrospan", "run-1")
    of_run = ("order-1", "run-1", "activity:3", 2, "attempt")
    assert row == (TRACE, f"{102:016x}", start, 500_000_000, *names, *of_run)


def test_a_span_that_comes_again_is_one_span(warehouse: Warehouse) -> None:
    assert store(warehouse, attempt(1), attempt(1)) == 1
    assert store(warehouse, attempt(1), call(9, 101)) == 1
    assert store(warehouse, call(9, 101)) == 0
    for table, count in [("spans", 2), ("attempts", 1), ("llm_calls", 1)]:
        assert warehouse.rows(f"SELECT count(*) FROM core.{table}") == [(count,)]


def test_the_account_that_ends_last_is_kept(warehouse: Warehouse) -> None:
    early, late = attempt(1), attempt(1) | {"end": 63.0, "name": "longer"}
    for spans in [(early,), (late,), (early,)]:
        store(warehouse, *spans)
    assert warehouse.rows("SELECT name FROM core.spans") == [("longer",)]
    assert warehouse.rows("SELECT duration_s FROM core.attempts") == [(2.0,)]


def test_each_failed_attempt_keeps_its_own_error(warehouse: Warehouse) -> None:
    failed = [
        attempt(n, **{"error.type": "RateLimited", "retrospan.failure.message": f"429, try {n}"})
        | {"error": "429"}
        for n in (1, 2)
    ]
    store(warehouse, *failed, attempt(3))
    assert warehouse.rows(
        "SELECT attempt, outcome, failure_type, failure_message, worker_identity"
        " FROM core.attempts ORDER BY attempt"
    ) == [
        (1, "failed", "RateLimited", "429, try 1", "worker-2"),
        (2, "failed", "RateLimited", "429, try 2", "worker-2"),
        (3, "completed", None, None, "worker-2"),
    ]


def test_spans_and_history_name_steps_alike(warehouse: Warehouse) -> None:
    ingest(warehouse, [history_of(order())])
    store(warehouse, attempt(1), attempt(2), attempt(3))
    assert warehouse.rows(
        "SELECT attempt, attempt_source FROM mart.attempts WHERE step_id = 'activity:3' ORDER BY 1"
    ) == [(1, "span"), (2, "span"), (3, "span")]
    assert warehouse.rows(
        "SELECT span_id = ? FROM core.steps WHERE step_id = 'activity:3'",
        [f"{span_id('run-1', 'step', '3'):016x}"],
    ) == [(True,)]


def test_a_call_finds_its_attempt_though_it_is_exported_first(warehouse: Warehouse) -> None:
    http = {"id": 8, "parent": 101, "name": "POST"}
    store(warehouse, call(9, 8))
    assert warehouse.rows("SELECT run_id, step_id FROM core.llm_calls") == [(None, None)]
    store(warehouse, http)
    store(warehouse, attempt(1))
    assert warehouse.rows(
        "SELECT namespace, workflow_id, run_id, step_id, attempt, latency_s, finish_reason"
        " FROM core.llm_calls"
    ) == [("default", "order-1", "run-1", "activity:3", 1, 1.5, "stop")]


def test_a_call_costs_what_the_day_says_by_class(warehouse: Warehouse) -> None:
    store(warehouse, call(9, 101))
    (row,) = warehouse.rows(
        "SELECT input_tokens, cache_read_tokens, output_tokens, input_cost_usd,"
        " cache_read_cost_usd, output_cost_usd, cost_usd, price_source, price_model"
        " FROM core.llm_calls"
    )
    # 0.15 $ per million input tokens, 0.075 $ cached, 0.60 $ output.
    amounts = [Decimal(text) for text in ("0.00012", "0.000015", "0.00006", "0.000195")]
    assert row == (1000, 200, 100, *amounts, "genai-prices", "openai/gpt-4o-mini")


def test_an_unknown_model_has_no_price_and_not_the_price_zero(warehouse: Warehouse) -> None:
    unknown = {"gen_ai.request.model": "house-1", "gen_ai.response.model": "house-1"}
    store(warehouse, call(9, 101, **unknown))
    assert warehouse.rows("SELECT cost_usd, price_source FROM core.llm_calls") == [
        (None, "unpriced")
    ]


def test_a_call_inside_a_call_is_counted_once(warehouse: Warehouse) -> None:
    agent = {
        "id": 7,
        "parent": 101,
        "name": "invoke_agent",
        "attributes": {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 1000},
    }
    store(warehouse, attempt(1), agent, call(8, 7), call(9, 8))
    assert warehouse.rows("SELECT span_id, is_nested FROM core.llm_calls ORDER BY 1") == [
        (f"{8:016x}", False),
        (f"{9:016x}", True),
    ]
    assert warehouse.rows("SELECT count(*) FROM mart.llm_calls") == [(1,)]


def test_parents_in_a_circle_end(warehouse: Warehouse) -> None:
    store(warehouse, call(8, 9), call(9, 8))
    assert warehouse.rows("SELECT DISTINCT run_id FROM core.llm_calls") == [(None,)]


def test_old_names_of_usage_are_understood(warehouse: Warehouse) -> None:
    old = {
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 10,
        "gen_ai.usage.cache_creation.input_tokens": 400,
    }
    store(warehouse, {"id": 9, "name": "chat", "attributes": old})
    assert warehouse.rows(
        "SELECT operation, input_tokens, cache_write_tokens, output_tokens, cost_usd > 0"
        " FROM core.llm_calls"
    ) == [("chat", 500, 400, 10, True)]


def test_a_call_that_openinference_tells_of_is_a_call_under_the_usual_names(
    warehouse: Warehouse,
) -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.provider": "google",
        "llm.model_name": "gemini-2.5-pro",
        "llm.token_count.prompt": 600,
        "llm.token_count.completion": 30,
        "llm.token_count.completion_details.reasoning": 20,
    }
    store(warehouse, {"id": 9, "name": "ChatGoogle", "attributes": attributes})
    assert warehouse.rows(
        "SELECT operation, provider, request_model, response_model, input_tokens, output_tokens,"
        " reasoning_tokens, price_model FROM core.llm_calls"
    ) == [("chat", "gcp.gen_ai", "gemini-2.5-pro", None, 600, 30, 20, "google/gemini-2.5-pro")]


def test_half_a_character_in_json_text_is_stored_as_a_replacement(warehouse: Warehouse) -> None:
    store(warehouse, call(9, 101, **{"gen_ai.response.finish_reasons": '["st\\ud800op"]'}))
    assert warehouse.rows("SELECT finish_reason FROM core.llm_calls") == [("st?op",)]


@pytest.mark.parametrize(
    "span",
    [
        Span(trace_id=b"", span_id=b"12345678", start_time_unix_nano=1),
        Span(trace_id=bytes(16), span_id=b"12345678", start_time_unix_nano=1),
        Span(trace_id=b"t" * 16, span_id=b"1", start_time_unix_nano=1),
        Span(trace_id=b"t" * 16, span_id=b"12345678"),
        Span(trace_id=b"t" * 16, span_id=b"12345678", start_time_unix_nano=2**63),
    ],
)
def test_spans_that_break_the_rules_are_counted_and_left_out(span: Span) -> None:
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])]
    )
    rows = span_rows(request)
    assert (rows.rows, rows.rejected) == ([], 1)
    assert rows.reason


_TEXT = st.text(max_size=20)
_VALUE = st.one_of(_TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.lists(_TEXT))
_KEYS = st.sampled_from(
    [
        "temporalRunID",
        "temporalWorkflowID",
        "temporalActivityID",
        "temporal.activity.attempt",
        "retrospan.span.kind",
        "retrospan.step.occurrence",
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.response.finish_reasons",
    ]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(attributes=st.dictionaries(_KEYS, st.one_of(_VALUE, st.just("attempt"), st.just("chat"))))
def test_attributes_of_any_type_are_stored(
    warehouse: Warehouse, attributes: dict[str, object]
) -> None:
    with warehouse.transaction() as connection:
        connection.execute("DELETE FROM core.spans")
    assert store(warehouse, {"id": 9, "attributes": attributes}) == 1


@pytest.mark.parametrize("name", ["MCP send tools/call lookup_order", "tools/call lookup_order"])
def test_the_tool_of_an_mcp_client_is_read_from_its_name(warehouse: Warehouse, name: str) -> None:
    """The client of MCP's own SDK has it nowhere else."""
    sent = attempt(1) | {"id": 7, "name": name, "attributes": {"mcp.method.name": "tools/call"}}
    named = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "refund"}
    listed = {"mcp.method.name": "tools/list"}

    store(
        warehouse,
        sent,
        sent | {"id": 8, "attributes": named},
        sent | {"id": 9, "attributes": listed},
    )

    rows = warehouse.rows("SELECT span_id, tool_name FROM core.tool_calls ORDER BY span_id")
    assert [tool for _, tool in rows] == ["lookup_order", "refund"]
