"""Sums that must agree, whatever happened: time, money and attempts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.ingest import ingest
from analytics.settling import settle_pending
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse, open_warehouse
from tests.analytics.golden_runs import fill
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import history_of, order
from tests.event_builder import EventBuilder
from tracer.limits import DEFAULT_LIMITS, Limit

PARTS = (
    "activity_s + child_s + failed_attempt_s + backoff_s + retry_s + queue_s + workflow_s"
    " + human_wait_s + wait_s + timer_s + other_s"
)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(tmp_path_factory.mktemp("sums") / "w.duckdb") as warehouse:
        fill(warehouse)
        yield warehouse


def test_two_activities_at_once_do_not_take_twice_the_time(warehouse: Warehouse) -> None:
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(1)
    asked = [events.activity(name, "declare", 1) for name in ("1", "2")]
    started = [
        events.add("ACTIVITY_TASK_STARTED", 2, scheduled_event_id=e, attempt=1) for e in asked
    ]
    for at, scheduled, start in zip((8, 9), asked, started, strict=True):
        events.add(
            "ACTIVITY_TASK_COMPLETED", at, scheduled_event_id=scheduled, started_event_id=start
        )
    ingest(warehouse, [history_of(events)])
    split = "SELECT queue_s, activity_s, other_s, total_s FROM mart.time_split"
    assert warehouse.rows(split) == [(1.0, 7.0, 1.0, 9.0)]


def test_what_spans_tell_of_tries_is_told_apart(golden: Warehouse) -> None:
    """Two tries of half a second each, from 64 and 66 on; the model calls within do not count."""
    [found] = golden.rows(
        "SELECT failed_attempt_s, backoff_s, retry_s FROM mart.time_split WHERE run_id = 'run-1'"
    )
    assert found == (1.0, 5.0, 0.0)


_STEP = st.tuples(
    st.sampled_from(["activity", "timer"]),
    st.integers(0, 40),
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 3),
    st.sampled_from(["open", "history", "spans"]),
)
"""Kind, when it was asked for, seconds in the queue and at work, tries, and who tells of it."""
_RUN = st.tuples(st.lists(_STEP, max_size=6), st.booleans())
"""Its steps, and whether it has ended."""

type StepPlan = tuple[str, int, int, int, int, str]


def _events(steps: list[StepPlan], is_closed: bool) -> EventBuilder:
    moments = []
    for n, (kind, begin, queued, worked, _, known) in enumerate(steps):
        moments.append((begin, n, "begin"))
        if known != "open":
            moments.append((begin + queued, n, "start"))
            moments.append((begin + queued + worked, n, "end"))
        assert kind
    events = EventBuilder()
    events.start("Order", attempt=1)
    ids: dict[tuple[int, str], int] = {}
    # A step begins before it starts and starts before it ends, also within one second.
    for at, n, what in sorted(moments, key=lambda m: (m[0], ("begin", "start", "end").index(m[2]))):
        event = _event(events, steps[n], n, what, at, ids)
        if event:
            ids[n, what] = event
    if is_closed:
        last = events.task(90)
        events.add("WORKFLOW_EXECUTION_COMPLETED", 91, workflow_task_completed_event_id=last)
    return events


def _event(
    events: EventBuilder,
    step: StepPlan,
    n: int,
    what: str,
    at: int,
    ids: dict[tuple[int, str], int],
) -> int:
    kind, _, _, _, attempt, _ = step
    if kind == "timer":
        if what == "begin":
            return events.timer(str(n), at)
        if what == "end":
            begun = ids[n, "begin"]
            return events.add("TIMER_FIRED", at, timer_id=str(n), started_event_id=begun)
        return 0
    if what == "begin":
        return events.activity(str(n), "declare", at)
    scheduled = ids[n, "begin"]
    if what == "start":
        return events.add(
            "ACTIVITY_TASK_STARTED", at, scheduled_event_id=scheduled, attempt=attempt
        )
    return events.add(
        "ACTIVITY_TASK_COMPLETED",
        at,
        scheduled_event_id=scheduled,
        started_event_id=ids[n, "start"],
    )


def _tries(run: int, steps: list[StepPlan]) -> Iterator[dict[str, object]]:
    for n, (kind, begin, queued, worked, attempts, known) in enumerate(steps):
        if kind != "activity" or known != "spans":
            continue
        for number in range(1, attempts + 1):
            start = begin + queued * number / attempts
            last = number == attempts
            yield {
                "id": run * 1000 + n * 10 + number,
                "trace": f"{run + 1:032x}",
                "start": start,
                "end": start + (worked if last else queued / attempts / 2),
                "attributes": {
                    "retrospan.span.kind": "attempt",
                    "retrospan.outcome": "completed" if last else "failed",
                    "temporalWorkflowID": f"order-{run}",
                    "temporalRunID": f"run-{run}",
                    "temporalActivityID": str(n),
                    "temporal.activity.attempt": number,
                },
            }


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(runs=st.lists(_RUN, min_size=1, max_size=12))
def test_time_critical_path_and_attempts_add_up_whatever_happened(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[list[StepPlan], bool]]
) -> None:
    path = tmp_path_factory.mktemp("sums") / "w.duckdb"
    with open_warehouse(path) as warehouse:
        ingest(
            warehouse,
            [
                history_of(_events(steps, is_closed), f"run-{n}", f"order-{n}")
                for n, (steps, is_closed) in enumerate(runs, 1)
            ],
        )
        spans = [span for n, (steps, _) in enumerate(runs, 1) for span in _tries(n, steps)]
        with warehouse.transaction() as connection:
            store_spans(connection, span_rows(spans_of(*spans)).rows)
        settle_pending(warehouse.connection)
        assert_sums_agree(warehouse, len(runs))


def assert_sums_agree(warehouse: Warehouse, runs: int) -> None:
    split = warehouse.rows(
        f"SELECT t.total_s, r.duration_s, {PARTS}, least({PARTS.replace(' +', ',')})"
        " FROM mart.time_split t JOIN core.runs r USING (namespace, workflow_id, run_id)"
    )
    assert len(split) == runs
    for total, duration, parts, least in split:
        assert (total, parts) == (pytest.approx(duration), pytest.approx(duration))
        assert least >= 0
    paths = warehouse.rows(
        "SELECT run_id, r.duration_s, sum(p.critical_s + p.gap_s), min(p.gap_s)"
        " FROM mart.critical_path p"
        " JOIN mart.run_summary r USING (namespace, workflow_id, run_id) GROUP BY ALL"
    )
    for _, duration, path, least in paths:
        assert path == pytest.approx(duration)
        assert least >= 0
    [[of_runs, of_steps, of_stats, of_attempts]] = warehouse.rows(
        "SELECT (SELECT sum(n_failed_attempts) FROM mart.run_summary),"
        " (SELECT coalesce(sum(n_failed_attempts), 0) FROM mart.steps),"
        " (SELECT coalesce(sum(n_failed_attempts), 0) FROM mart.step_stats),"
        " (SELECT count(*) FROM mart.attempts WHERE outcome IN ('failed', 'timed_out'))"
    )
    assert of_runs == of_steps == of_stats
    assert (of_runs or 0) >= of_attempts


COSTS = (
    "mart.cost_by_model",
    "mart.cost_by_step",
    "mart.cost_by_tenant",
    "mart.cost_by_day",
    "mart.cost_by_outcome",
    "mart.cost_by_workflow",
)


@pytest.mark.parametrize("view", COSTS)
def test_each_grouping_of_costs_adds_up_to_the_same(golden: Warehouse, view: str) -> None:
    """Calls that no run is known for included; forks are in none."""
    sums = "sum(n_calls), sum(cost_usd), sum(input_tokens), sum(output_tokens), sum(wasted_usd)"
    [of_view] = golden.rows(f"SELECT {sums} FROM {view}")
    [of_calls] = golden.rows(
        "SELECT count(*), sum(cost_usd), sum(input_tokens), sum(output_tokens),"
        " sum(cost_usd) FILTER (is_wasted) FROM mart.llm_calls WHERE NOT is_fork"
    )
    assert of_view == of_calls


def test_exact_attempts_are_as_many_as_their_rows(golden: Warehouse) -> None:
    rows = golden.rows(
        "SELECT s.n_attempts, count(*) FROM mart.steps s JOIN mart.attempts a"
        " USING (namespace, workflow_id, run_id, step_id) WHERE s.attempts_are_exact GROUP BY ALL"
    )
    assert rows == [(3, 3)]


def test_waste_is_bounded_where_no_span_tells(warehouse: Warehouse) -> None:
    """Two tries failed before the third: some time within 7.3 seconds."""
    ingest(warehouse, [history_of(order())])
    [found] = warehouse.rows(
        "SELECT waste_is_exact, wasted_at_least_s, wasted_s, wasted_at_most_s FROM mart.retries"
    )
    assert found == (False, 0.0, 7.3, 7.3)
    assert warehouse.rows("SELECT exact_share FROM mart.retry_waste WHERE n_retried > 0") == [(0,)]


def test_forks_are_in_no_figure_of_the_fleet(golden: Warehouse) -> None:
    assert golden.rows("SELECT run_id FROM mart.run_summary WHERE is_fork") == [("run-5",)]
    assert golden.rows("SELECT sum(n_runs) FROM mart.cost_by_workflow") == [(5,)]
    assert golden.rows("SELECT sum(n_runs) FROM mart.time_by_workflow") == [(5,)]


def test_limits_are_those_that_the_tracer_measures_against(golden: Warehouse) -> None:
    found = {name: (maximum, near) for name, maximum, near in golden.rows("FROM ref.limits")}
    ours = {
        Limit.PAYLOAD: DEFAULT_LIMITS.payload_bytes,
        Limit.HISTORY_EVENTS: DEFAULT_LIMITS.history_events,
        Limit.HISTORY_BYTES: DEFAULT_LIMITS.history_bytes,
        Limit.ACTIVATION: DEFAULT_LIMITS.activation_seconds,
    }
    assert found == {str(k): (float(v), DEFAULT_LIMITS.near) for k, v in ours.items()}
    [[sql]] = golden.rows("SELECT sql FROM duckdb_views() WHERE view_name = 'near_deadlocks'")
    assert f">= {DEFAULT_LIMITS.near * DEFAULT_LIMITS.activation_seconds:g})" in sql
