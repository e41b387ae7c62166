"""What a view shows of one example is of one: its message never goes with another one's run."""

from __future__ import annotations

import random

import pytest

from analytics.ingest import ingest
from analytics.warehouse import Warehouse
from tests.analytics.stories import failure, history_of, stuck_order

_AT = "TIMESTAMP '2026-01-01 00:00:00' + to_seconds(?::INT)"


@pytest.mark.parametrize("seed", range(3))
def test_of_failures_at_the_same_time_one_is_shown_whole(warehouse: Warehouse, seed: int) -> None:
    """Several are the latest, and not each has a message, a namespace or a time."""
    chance = random.Random(seed)
    for number in range(60):
        warehouse.connection.execute(
            "INSERT INTO core.settled_failures (namespace, workflow_id, run_id, is_fork,"
            " owner_kind, owner_id, owner_name, attempt, failed_at, message, fingerprint)"
            f" VALUES (?, ?, ?, false, 'attempt', ?, ?, 1, {_AT}, ?, ?)",
            [
                chance.choice((None, f"ns-{number}")),
                f"order-{number}",
                f"run-{number}",
                chance.choice((None, f"A:{number}")),
                "declare" if number % 3 else "screen",
                chance.choice((None, 1, 2, 3)),
                chance.choice((None, f"message {number}")),
                f"f{number % 4}",
            ],
        )
    shown = warehouse.rows(
        "SELECT fingerprint, example_message, example_namespace, example_workflow_id,"
        " example_run_id, where_name, last_seen FROM mart.failure_groups ORDER BY fingerprint"
    )
    for fingerprint, message, namespace, workflow_id, run_id, where, last_seen in shown:
        assert where == "declare", "two of three begin there"
        assert warehouse.rows(
            "SELECT message, namespace, workflow_id, failed_at FROM core.settled_failures"
            " WHERE run_id = ? AND fingerprint = ?",
            [run_id, fingerprint],
        ) == [(message, namespace, workflow_id, last_seen)]
    top = warehouse.rows(
        "SELECT fingerprint, example_message, example_workflow_id, example_run_id"
        " FROM mart.top_failures() ORDER BY fingerprint"
    )
    assert top == [(row[0], row[1], row[3], row[4]) for row in shown]


def test_a_stuck_run_shows_one_failure_and_the_last_that_says_why(warehouse: Warehouse) -> None:
    events = stuck_order()
    events.add(
        "WORKFLOW_TASK_FAILED",
        10.2,
        scheduled_event_id=5,
        started_event_id=6,
        cause=14,
        failure=failure("no such key", ""),
    )
    scheduled = events.add("WORKFLOW_TASK_SCHEDULED", 20.0, attempt=3)
    started = events.add("WORKFLOW_TASK_STARTED", 20.1, scheduled_event_id=scheduled)
    events.add(
        "WORKFLOW_TASK_TIMED_OUT",
        30.1,
        scheduled_event_id=scheduled,
        started_event_id=started,
        timeout_type=1,
    )
    events.add("WORKFLOW_TASK_SCHEDULED", 30.2, attempt=4)
    ingest(warehouse, [history_of(events)])
    assert warehouse.rows(
        "SELECT s.failure_message, count(*) FROM mart.stuck_runs s JOIN core.workflow_tasks t"
        " ON t.cause = s.cause AND t.failure_type IS NOT DISTINCT FROM s.failure_type"
        " AND t.failure_message IS NOT DISTINCT FROM s.failure_message"
        " AND t.failure_fingerprint IS NOT DISTINCT FROM s.failure_fingerprint GROUP BY 1"
    ) == [("no such key", 1)]


def test_of_payloads_as_large_as_each_other_one_run_is_shown(warehouse: Warehouse) -> None:
    """Sizes are often equal: each part of the example must be of the same run."""
    warehouse.connection.execute(
        "INSERT INTO core.settled_steps (namespace, workflow_id, run_id, is_fork, step_id, seq,"
        " kind, name, n_attempts, n_failed_attempts, attempts_are_exact, waste_is_exact, wasted_s,"
        " wasted_at_least_s, wasted_at_most_s, n_llm_calls, input_bytes, result_bytes)"
        " SELECT 'ns-' || n, 'order-' || n, 'run-' || n, false, 'A:1', 1, 'activity', 'declare', 1,"
        " 0, true, true, 0, 0, 0, 0, 100, 100 FROM range(300_000) r(n)"
    )
    [(namespace, workflow_id, run_id)] = warehouse.rows(
        "SELECT example_namespace, example_workflow_id, example_run_id FROM mart.payload_headroom"
    )
    number = run_id.removeprefix("run-")
    assert (namespace, workflow_id) == (f"ns-{number}", f"order-{number}")


def test_of_calls_blocked_at_the_same_time_one_is_shown_whole(warehouse: Warehouse) -> None:
    for number in range(20):
        warehouse.connection.execute(
            "INSERT INTO core.tool_calls (workflow_id, run_id, trace_id, span_id, is_nested,"
            " tool_name, started_at, outcome, block_policy, block_reason)"
            f" VALUES (?, ?, 't', ?, false, 'refund', {_AT}, 'blocked', 'limit', ?)",
            [
                f"order-{number}",
                f"run-{number}",
                f"{number:02}",
                number // 10,
                f"reason {number}" if number % 2 else None,
            ],
        )
    assert warehouse.rows(
        "SELECT n_blocked, example_reason, example_workflow_id, example_run_id"
        " FROM mart.tool_blocks"
    ) == [(20, "reason 19", "order-19", "run-19")]
