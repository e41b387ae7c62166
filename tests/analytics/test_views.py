"""Golden tests: tiny histories and spans in, the text of each view and macro out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.warehouse import Warehouse, open_warehouse
from tests.analytics.golden_runs import fill

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(tmp_path_factory.mktemp("golden") / "w.duckdb") as warehouse:
        fill(warehouse)
        yield warehouse


def text_of(warehouse: Warehouse, sql: str) -> str:
    answer = warehouse.connection.execute(sql)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column[0] for column in answer.description or []])
    for row in answer.fetchall():
        writer.writerow([round(v, 6) if isinstance(v, float) else v for v in row])
    return out.getvalue()


def _all(view: str, *but: str) -> str:
    """A view without what the story says anyway, in an order that does not depend on its plan."""
    left_out = f" EXCLUDE ({', '.join(but)})" if but else ""
    return f"SELECT *{left_out} FROM {view} ORDER BY ALL"


_KEY = ("namespace", "run_id")
_TYPED = (*_KEY, "workflow_type")

QUERIES = {
    "core.payloads_json": _all("core.payloads_json", *_KEY),
    "mart.approval_stats": _all("mart.approval_stats"),
    "mart.approvals": _all("mart.approvals", *_TYPED),
    "mart.attempts": _all("mart.attempts", *_TYPED, "started_at", "ended_at", "trace_id"),
    "mart.branch_coverage": _all("mart.branch_coverage", "file", "first_seen", "last_seen"),
    "mart.branch_drift": _all("mart.branch_drift", "file"),
    "mart.branch_outcomes": _all("mart.branch_outcomes", "file"),
    "mart.cost_by_branch_outcome": _all("mart.cost_by_branch_outcome", "file"),
    "mart.cost_by_day": _all("mart.cost_by_day"),
    "mart.cost_by_model": _all("mart.cost_by_model"),
    "mart.cost_by_outcome": _all("mart.cost_by_outcome"),
    "mart.cost_by_step": _all("mart.cost_by_step"),
    "mart.cost_by_tenant": _all("mart.cost_by_tenant"),
    "mart.cost_by_workflow": _all("mart.cost_by_workflow"),
    "mart.cost_coverage": _all("mart.cost_coverage"),
    "mart.cost_of_success": _all("mart.cost_of_success"),
    "mart.critical_path": _all("mart.critical_path", *_TYPED, "is_fork"),
    "mart.critical_steps": _all("mart.critical_steps"),
    "mart.failure_groups": _all("mart.failure_groups"),
    "mart.failure_occurrences": _all("mart.failure_occurrences", *_TYPED),
    "mart.failure_spread": _all("mart.failure_spread"),
    "mart.history_headroom": _all("mart.history_headroom", *_TYPED),
    "mart.human_waits": _all("mart.human_waits", *_KEY),
    "mart.llm_calls": (
        "SELECT workflow_id, workflow_type, status, tenant, step_id, step_kind, step_name, attempt,"
        " is_wasted, usage_source, provider, model, latency_s, input_tokens, cache_read_tokens,"
        " output_tokens, finish_reason, cost_usd, price_source, is_billable"
        " FROM mart.llm_calls ORDER BY ALL"
    ),
    "mart.near_deadlocks": _all("mart.near_deadlocks", *_TYPED),
    "mart.open_waits": _all("mart.open_waits", *_KEY),
    "mart.payload_headroom": _all("mart.payload_headroom", "example_namespace"),
    "mart.retries": _all("mart.retries", *_KEY),
    "mart.retry_waste": _all("mart.retry_waste"),
    "mart.run_summary": _all(
        "mart.run_summary", *_KEY, "started_at", "closed_at", "failure_message", "trace_id"
    ),
    "mart.run_traits": _all("mart.run_traits", *_KEY),
    "mart.step_stats": _all("mart.step_stats"),
    "mart.steps": _all(
        "mart.steps", *_TYPED, "scheduled_at", "started_at", "closed_at", "failure_message"
    ),
    "mart.stuck_runs": _all("mart.stuck_runs", *_KEY),
    "mart.time_by_workflow": _all("mart.time_by_workflow"),
    "mart.time_split": _all("mart.time_split", *_TYPED),
    "mart.tool_blocks": _all("mart.tool_blocks"),
    "mart.tool_use": _all("mart.tool_use"),
    "mart.workflow_task_failures": _all("mart.workflow_task_failures", *_KEY),
    "ref.limits": _all("ref.limits"),
}
"""What of each view is compared; the answers are in `golden/<view>.csv`."""

TABLES = {
    "core.branches": _all("core.branches", *_KEY, "trace_id"),
    "core.tool_calls": _all("core.tool_calls", *_KEY, "trace_id"),
}
"""The same of tables that only spans fill."""

MACROS = {
    "mart.compare_sets": "FROM mart.compare_sets(['run-1'], ['run-2', 'run-3'])",
    "mart.reset_repeats": "FROM mart.reset_repeats('run-1', 10)",
    "mart.slo_burn": (
        "FROM mart.slo_burn(target := 0.9, max_s := 70, until := '2023-11-14 22:15:00')"
    ),
    "mart.step_latency": "FROM mart.step_latency(since := '2023-11-14 22:13:21')",
    "mart.top_failures": "FROM mart.top_failures(since := '2023-11-14 22:13:20.5', n := 2)",
    "ref.is_fork": (
        "SELECT memo, ref.is_fork(memo) AS is_fork FROM (VALUES"
        """ ('{"retrospan.fork": {"run_id": "r"}}'::JSON), ('{"fork": 1}'), (NULL)) AS m(memo)"""
    ),
    "ref.p50": "SELECT ref.p50(n) AS middle FROM range(6) AS r(n)",
    "ref.p95": "SELECT ref.p95(n) AS p95, ref.p95(nullif(0, 0)) AS none FROM range(6) AS r(n)",
    "ref.p99": "SELECT ref.p99(n) AS p99 FROM range(6) AS r(n)",
    "ref.quantile": "SELECT ref.quantile(n, 0.25) AS quarter FROM range(5) AS r(n)",
    "ref.share": "SELECT ref.share(1, 4) AS a, ref.share(1, 0) AS b, ref.share(NULL, 2) AS c",
    "ref.tenant": (
        "SELECT memo, ref.tenant(memo) AS tenant FROM (VALUES"
        """ ('{"tenant": "a"}'::JSON), ('{"TenantId": "b"}'), ('{"name": "c"}')) AS m(memo)"""
    ),
}
"""A call of each macro; the answers are in `golden/<macro>.csv`."""


@pytest.mark.parametrize("name", [*QUERIES, *TABLES, *MACROS])
def test_golden_text(golden: Warehouse, name: str) -> None:
    sql = {**QUERIES, **TABLES, **MACROS}[name]
    assert text_of(golden, sql) == (GOLDEN / f"{name}.csv").read_text()


def test_every_view_has_a_golden_text(golden: Warehouse) -> None:
    views = golden.rows(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal"
    )
    assert {name for (name,) in views} == set(QUERIES)


def test_every_macro_has_a_golden_text(golden: Warehouse) -> None:
    macros = golden.rows(
        "SELECT DISTINCT schema_name || '.' || function_name FROM duckdb_functions()"
        " WHERE function_type LIKE '%macro' AND NOT internal"
    )
    assert {name for (name,) in macros} == set(MACROS)


def test_no_golden_text_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.csv")} == {*QUERIES, *TABLES, *MACROS}
