"""Warehouse: what histories tell, of runs that never had a tracer too.

Figures are of the runs that started in the time range. Stuck runs and open waits are as of the last
import: a snapshot knows nothing newer.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from dashboards.board import Board, board
from dashboards.panels import HALF
from dashboards.selection import data_sources
from dashboards.sql import WITHIN, sql_figure, sql_graph, sql_table, warehouse_variables

__all__ = ["warehouse"]

_RUNS: Final = f"FROM mart.run_summary WHERE {WITHIN} AND $__timeFilter(started_at)"
_FAILED: Final = "status IN ('FAILED', 'TIMED_OUT')"
_ENDED: Final = "closed_at IS NOT NULL AND status <> 'CONTINUED_AS_NEW'"


def warehouse() -> Dashboard:
    """The dashboard, complete and laid out."""
    return board(
        Board.WAREHOUSE,
        "Warehouse",
        "Runs, failures, waits, retries and cost from the histories in a Retrospan warehouse.",
        variables=[*data_sources(), *warehouse_variables()],
        rows=[
            ("At a glance", _figures()),
            ("Runs", [_runs_by_status(), _cost_over_time(), _workflow_types(), _dearest()]),
            ("Stuck and waiting", [_stuck(), _open_waits(), _approvals(), _near_limits()]),
            ("Failures and retries", [_failures(), _retries()]),
            ("Models and tenants", [_models(), _tenants()]),
            ("Time and decisions", [_time_split(), _branches()]),
        ],
    )


def _figures() -> list[Builder[Panel]]:
    return [
        sql_figure(
            "Runs",
            "Runs that started in the time range, open ones included.",
            f"SELECT count(*)::DOUBLE {_RUNS}",
            unit="short",
        ),
        sql_figure(
            "Failed runs",
            "Share of those that ended which failed or timed out.",
            f"SELECT (count(*) FILTER ({_FAILED}) / nullif(count(*), 0))::DOUBLE"
            f" {_RUNS} AND {_ENDED}",
            unit="percentunit",
            steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
        ),
        sql_figure(
            "Stuck now",
            "Runs whose workflow task fails again and again, as of the last import.",
            f"SELECT count(*)::DOUBLE FROM mart.stuck_runs WHERE {WITHIN}",
            unit="short",
            steps=((None, "green"), (1, "red")),
        ),
        sql_figure(
            "Waiting now",
            "Open runs that stand still, as of the last import.",
            f"SELECT count(*)::DOUBLE FROM mart.open_waits WHERE {WITHIN}",
            unit="short",
        ),
        sql_figure(
            "Cost",
            "US dollars of the model calls whose price is known.",
            f"SELECT sum(cost_usd)::DOUBLE {_RUNS}",
            unit="currencyUSD",
        ),
        sql_figure(
            "Lost to retries",
            "US dollars of model calls in attempts that failed, as far as they are known.",
            f"SELECT sum(wasted_usd)::DOUBLE FROM mart.retries JOIN ({_keys()}) USING"
            " (namespace, workflow_id, run_id)",
            unit="currencyUSD",
        ),
    ]


def _keys() -> str:
    return f"SELECT namespace, workflow_id, run_id {_RUNS}"


def _runs_by_status() -> Builder[Panel]:
    return sql_graph(
        "Runs by status",
        "Runs by the hour of their start and how they ended; RUNNING are open.",
        f"SELECT time_bucket(INTERVAL 1 HOUR, started_at)::TIMESTAMP AS time,"
        f" status::VARCHAR AS status, count(*)::DOUBLE AS runs {_RUNS} GROUP BY ALL ORDER BY time",
        unit="short",
        width=HALF,
    )


def _cost_over_time() -> Builder[Panel]:
    return sql_graph(
        "Cost by workflow type",
        "US dollars of the runs that started in each hour.",
        f"SELECT time_bucket(INTERVAL 1 HOUR, started_at)::TIMESTAMP AS time, workflow_type,"
        f" coalesce(sum(cost_usd), 0)::DOUBLE AS usd {_RUNS} GROUP BY ALL ORDER BY time",
        unit="currencyUSD",
        width=HALF,
    )


def _workflow_types() -> Builder[Panel]:
    return sql_table(
        "Workflow types",
        "Rate, errors, duration and cost of each workflow type, and what a run that completed cost"
        " with the money of all others.",
        f"""
        SELECT workflow_type AS "Workflow type", count(*)::DOUBLE AS "Runs",
               (count(*) FILTER ({_FAILED}) / nullif(count(*) FILTER ({_ENDED}), 0))::DOUBLE
                   AS "Failed",
               quantile_cont(duration_s, 0.5)::DOUBLE AS "p50",
               quantile_cont(duration_s, 0.95)::DOUBLE AS "p95",
               sum(cost_usd)::DOUBLE AS "Cost",
               (sum(cost_usd) / nullif(count(*) FILTER (status = 'COMPLETED'), 0))::DOUBLE
                   AS "Per completed run",
               sum(cost_usd) FILTER ({_FAILED})::DOUBLE AS "Cost of failed runs"
        {_RUNS} GROUP BY workflow_type ORDER BY count(*) DESC
        """,
        {
            "Runs": "short",
            "Failed": "percentunit",
            "p50": "s",
            "p95": "s",
            "Cost": "currencyUSD",
            "Per completed run": "currencyUSD",
            "Cost of failed runs": "currencyUSD",
        },
    )


def _dearest() -> Builder[Panel]:
    return sql_table(
        "Dearest runs",
        "The runs that cost most. A click on a workflow id opens the run.",
        f"""
        SELECT workflow_id AS "Workflow id", workflow_type AS "Workflow type",
               status::VARCHAR AS "Status", started_at::TIMESTAMP AS "Started",
               duration_s::DOUBLE AS "Duration", n_attempts::DOUBLE AS "Attempts",
               n_llm_calls::DOUBLE AS "Model calls", cost_usd::DOUBLE AS "Cost",
               priced_share::DOUBLE AS "Priced", trace_id AS "Trace id"
        {_RUNS} ORDER BY cost_usd DESC NULLS LAST, started_at LIMIT 50
        """,
        {
            "Duration": "s",
            "Attempts": "short",
            "Model calls": "short",
            "Cost": "currencyUSD",
            "Priced": "percentunit",
        },
    )


def _stuck() -> Builder[Panel]:
    return sql_table(
        "Stuck runs",
        "Runs that look alive and never move, as of the last import, whatever the time range.",
        f"""
        SELECT workflow_id AS "Workflow id", workflow_type AS "Workflow type",
               failed_since::TIMESTAMP AS "Since", n_failed_tasks::DOUBLE AS "Failed tasks",
               failure_kind::VARCHAR AS "Kind", failure_type AS "Error type",
               failure_message AS "Message"
        FROM mart.stuck_runs WHERE {WITHIN} ORDER BY failed_since
        """,
        {"Failed tasks": "short"},
    )


def _open_waits() -> Builder[Panel]:
    return sql_table(
        "Open waits",
        "Open runs that stand still, as of the last import, the longest first.",
        f"""
        SELECT workflow_id AS "Workflow id", workflow_type AS "Workflow type", label AS "For",
               opened_at::TIMESTAMP AS "Since",
               date_diff('second', opened_at::TIMESTAMP, now()::TIMESTAMP)::DOUBLE AS "Waiting"
        FROM mart.open_waits WHERE {WITHIN} ORDER BY opened_at
        """,
        {"Waiting": "s"},
    )


def _approvals() -> Builder[Panel]:
    return sql_table(
        "Approvals",
        "Waits for people that began in the time range: how they ended, and how long they took.",
        f"""
        SELECT workflow_type AS "Workflow type", label AS "For", outcome::VARCHAR AS "Outcome",
               count(*)::DOUBLE AS "Waits", quantile_cont(wait_s, 0.5)::DOUBLE AS "p50",
               quantile_cont(wait_s, 0.95)::DOUBLE AS "p95", max(wait_s)::DOUBLE AS "Longest"
        FROM mart.approvals WHERE {WITHIN} AND $__timeFilter(opened_at)
        GROUP BY workflow_type, label, outcome ORDER BY count(*) DESC
        """,
        {"Waits": "short", "p50": "s", "p95": "s", "Longest": "s"},
    )


def _near_limits() -> Builder[Panel]:
    return sql_table(
        "Longest histories",
        "Runs that have the least left of the events or bytes that a history may have.",
        f"""
        SELECT workflow_id AS "Workflow id", workflow_type AS "Workflow type",
               status::VARCHAR AS "Status", n_events::DOUBLE AS "Events",
               history_bytes::DOUBLE AS "Bytes", nearest_limit::VARCHAR AS "Nearest limit",
               headroom::DOUBLE AS "Headroom"
        FROM mart.history_headroom WHERE {WITHIN} ORDER BY headroom LIMIT 50
        """,
        {"Events": "short", "Bytes": "bytes", "Headroom": "percentunit"},
    )


def _failures() -> Builder[Panel]:
    return sql_table(
        "Failures by fingerprint",
        "Failures in the time range that differ only in ids, numbers and addresses are one row.",
        """
        SELECT f.fingerprint AS "Fingerprint", any_value(f.type) AS "Error type",
               any_value(f.owner_name) AS "Where", min(f.message) AS "Message",
               count(*)::DOUBLE AS "Failures",
               count(DISTINCT f.run_id)::DOUBLE AS "Runs", min(f.workflow_id) AS "Workflow id"
        FROM mart.failure_occurrences f JOIN core.runs r USING (namespace, workflow_id, run_id)
        WHERE NOT f.is_fork AND f.namespace IN ($namespace) AND r.workflow_type IN ($workflow_type)
              AND $__timeFilter(f.failed_at)
        GROUP BY f.fingerprint ORDER BY count(*) DESC LIMIT 100
        """,
        {"Failures": "short", "Runs": "short"},
    )


def _retries() -> Builder[Panel]:
    return sql_table(
        "What retries took",
        "Steps that were tried more than once, of runs in the time range: time of their earlier"
        " attempts and backoff, and money of model calls in them.",
        f"""
        SELECT name AS "Step", count(*)::DOUBLE AS "Steps",
               sum(n_failed_attempts)::DOUBLE AS "Failed attempts",
               sum(wasted_s)::DOUBLE AS "Time", sum(wasted_usd)::DOUBLE AS "Cost",
               min(failure_message) AS "Message"
        FROM mart.retries JOIN ({_keys()}) USING (namespace, workflow_id, run_id)
        GROUP BY name ORDER BY sum(wasted_s) DESC NULLS LAST
        """,
        {"Steps": "short", "Failed attempts": "short", "Time": "s", "Cost": "currencyUSD"},
    )


def _models() -> Builder[Panel]:
    return sql_table(
        "Models",
        "Model calls in the time range, from spans and, without spans, from recorded results.",
        f"""
        SELECT model AS "Model", provider AS "Provider", count(*)::DOUBLE AS "Calls",
               count(error_type)::DOUBLE AS "Failed",
               sum(input_tokens)::DOUBLE AS "Tokens in", sum(output_tokens)::DOUBLE AS "Tokens out",
               sum(cost_usd)::DOUBLE AS "Cost",
               quantile_cont(latency_s, 0.95)::DOUBLE AS "p95"
        FROM mart.llm_calls WHERE {WITHIN} AND $__timeFilter(started_at)
        GROUP BY model, provider ORDER BY sum(cost_usd) DESC NULLS LAST
        """,
        {
            "Calls": "short",
            "Failed": "short",
            "Tokens in": "short",
            "Tokens out": "short",
            "Cost": "currencyUSD",
            "p95": "s",
        },
    )


def _tenants() -> Builder[Panel]:
    return sql_table(
        "Tenants",
        "Runs that started in the time range, and what their model calls cost, by tenant.",
        f"""
        SELECT coalesce(tenant, '–') AS "Tenant", count(*)::DOUBLE AS "Runs",
               (count(*) FILTER ({_FAILED}) / nullif(count(*) FILTER ({_ENDED}), 0))::DOUBLE
                   AS "Failed",
               sum(cost_usd)::DOUBLE AS "Cost",
               (sum(cost_usd) / nullif(count(*) FILTER (status = 'COMPLETED'), 0))::DOUBLE
                   AS "Per completed run"
        {_RUNS} GROUP BY ALL ORDER BY sum(cost_usd) DESC NULLS LAST
        """,
        {
            "Runs": "short",
            "Failed": "percentunit",
            "Cost": "currencyUSD",
            "Per completed run": "currencyUSD",
        },
    )


def _time_split() -> Builder[Panel]:
    return sql_table(
        "Where the time went",
        "Hours, minutes and seconds of runs that started in the time range, each counted once: the"
        " parts add up to the total.",
        f"""
        SELECT t.workflow_type AS "Workflow type", sum(t.total_s)::DOUBLE AS "Total",
               sum(t.activity_s)::DOUBLE AS "Work", sum(t.child_s)::DOUBLE AS "Children",
               sum(t.failed_attempt_s + t.backoff_s + t.retry_s)::DOUBLE AS "Retries",
               sum(t.queue_s)::DOUBLE AS "Queue", sum(t.human_wait_s)::DOUBLE AS "People",
               sum(t.wait_s + t.timer_s)::DOUBLE AS "Waits",
               sum(t.workflow_s + t.other_s)::DOUBLE AS "Rest"
        FROM mart.time_split t JOIN ({_keys()}) USING (namespace, workflow_id, run_id)
        GROUP BY t.workflow_type ORDER BY sum(t.total_s) DESC
        """,
        dict.fromkeys(
            ("Total", "Work", "Children", "Retries", "Queue", "People", "Waits", "Rest"), "s"
        ),
    )


def _branches() -> Builder[Panel]:
    return sql_table(
        "Decisions by build",
        "Which way each place in workflow code went, by the build of the worker, of all time.",
        """
        SELECT function AS "Function", line::DOUBLE AS "Line", name AS "Decision",
               build_id AS "Build", outcome AS "Outcome", n::DOUBLE AS "Taken",
               share::DOUBLE AS "Share", last_seen::TIMESTAMP AS "Last"
        FROM mart.branch_outcomes WHERE workflow_type IN ($workflow_type)
        ORDER BY "Function", "Line", "Build", "Outcome" LIMIT 500
        """,
        {"Line": "none", "Taken": "short", "Share": "percentunit"},
    )
