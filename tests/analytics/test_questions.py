"""The common questions: known answers, and sums that agree whatever they are grouped by."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics.ingest import ingest
from analytics.questions import (
    COST_GROUPS,
    FAILURE_GROUPS,
    WAIT_GROUPS,
    Scope,
    cost_by,
    cost_coverage,
    failures_by,
    open_waits,
    stuck_runs,
    unpriced_models,
    waits_by,
)
from analytics.warehouse import open_warehouse
from tests.analytics.stories import failed_order, history_of, order, order_of_model, stuck_order
from tests.event_builder import payload

BEFORE, AFTER = map(datetime.fromisoformat, ("2020-01-01", "2030-01-01"))
EVERYTHING = Scope()


@pytest.fixture(scope="module")
def path(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with a priced call, one with an unknown model, one that waits, one that is stuck."""
    path = tmp_path_factory.mktemp("questions") / "w.duckdb"
    shutil.copy(empty, path)
    waiting = next(
        number
        for number, event in enumerate(order().events)
        if event.HasField("workflow_execution_signaled_event_attributes")
    )
    with open_warehouse(path) as warehouse:
        ingest(
            warehouse,
            [
                history_of(order()),
                history_of(order_of_model("our-own-model"), "run-2", "order-2"),
                history_of(failed_order(), "run-3", "order-3"),
                history_of(stuck_order(), "run-4", "order-4"),
                history_of(order(), "run-5", "order-5", upto=waiting),
            ],
        )
    return path


def test_cost_stands_beside_what_it_is_the_cost_of(path: Path) -> None:
    # 800 fresh, 200 cached and 100 output tokens at $0.15, $0.075 and $0.60 a million.
    one_call = Decimal("0.000195")
    total = cost_coverage(path, EVERYTHING)
    assert (total["cost_usd"], total["n_billable"], total["n_priced"]) == (2 * one_call, 3, 2)
    assert total["priced_share"] == pytest.approx(2 / 3)
    rows = {row["model"]: row for row in cost_by(path, ["model"], EVERYTHING)}
    assert rows["gpt-4o-mini-2024-07-18"]["cost_usd"] == 2 * one_call
    assert (rows["our-own-model"]["cost_usd"], rows["our-own-model"]["priced_share"]) == (None, 0)
    [unpriced] = unpriced_models(path, EVERYTHING)
    assert (unpriced["model"], unpriced["n_calls"]) == ("our-own-model", 1)


@pytest.mark.parametrize("by", [*((name,) for name in COST_GROUPS), ("type", "model", "day")])
def test_cost_adds_up_over_any_grouping(path: Path, by: tuple[str, ...]) -> None:
    rows, total = cost_by(path, by, EVERYTHING), cost_coverage(path, EVERYTHING)
    for name in ("cost_usd", "n_calls", "input_tokens", "n_billable", "n_priced"):
        assert sum(row[name] or 0 for row in rows) == total[name]
    assert len({tuple(row[name] for name in by) for row in rows}) == len(rows)


@pytest.mark.parametrize("by", FAILURE_GROUPS)
def test_failures_add_up_over_any_grouping(path: Path, by: str) -> None:
    rows = failures_by(path, [by], EVERYTHING)
    [total] = failures_by(path, [], EVERYTHING)
    assert sum(row["n_failures"] for row in rows) == total["n_failures"]
    assert [row["n_failures"] for row in rows] == sorted(
        (row["n_failures"] for row in rows), reverse=True
    )


@pytest.mark.parametrize("by", WAIT_GROUPS)
def test_waits_add_up_over_any_grouping(path: Path, by: str) -> None:
    rows = waits_by(path, [by], EVERYTHING)
    [total] = waits_by(path, [], EVERYTHING)
    for name in ("n_waits", "n_open", "n_human"):
        assert sum(row[name] for row in rows) == total[name]
    assert sum(row["total_s"] or 0 for row in rows) == pytest.approx(total["total_s"])


def test_failures_have_an_example(path: Path) -> None:
    rows = {row["failure"]: row for row in failures_by(path, ["failure"], EVERYTHING)}
    assert rows["IndexError"]["example_run"] == "order-4:run-4"
    assert (rows["IndexError"]["n_runs"], rows["IndexError"]["n_fingerprints"]) == (1, 1)


def test_stuck_runs_and_silent_ones(path: Path) -> None:
    [stuck] = stuck_runs(path, EVERYTHING)
    assert (stuck["workflow_id"], stuck["why"], stuck["failure_type"]) == (
        "order-4",
        "workflow task fails",
        "IndexError",
    )
    # The run that waits for a person is not silent.
    assert stuck_runs(path, EVERYTHING, silent_since=AFTER) == [stuck]


def test_a_silent_run_waits_for_nothing(path: Path, tmp_path: Path, empty: Path) -> None:
    silent = tmp_path / "silent.duckdb"
    shutil.copy(empty, silent)
    with open_warehouse(silent) as warehouse:
        ingest(warehouse, [history_of(order(), upto=7)])
    [run] = stuck_runs(silent, EVERYTHING, silent_since=AFTER)
    assert (run["why"], run["since"]) == ("silent", run["last_event_at"])
    assert stuck_runs(silent, EVERYTHING, silent_since=BEFORE) == []


def test_who_is_waited_for(path: Path) -> None:
    [open_wait] = open_waits(path, EVERYTHING)
    assert (open_wait["workflow_id"], open_wait["label"]) == ("order-5", "approval")
    [ended] = waits_by(path, ["label"], EVERYTHING, is_human=True)
    assert (ended["n_waits"], ended["n_open"], ended["p50_s"], ended["max_s"]) == (2, 0, 60, 60)
    by_person = {row["who"]: row["n_waits"] for row in waits_by(path, ["who"], EVERYTHING)}
    assert by_person == {"ann@desk": 2, "still open": 1}


@pytest.mark.parametrize(
    "ask",
    [
        lambda path, scope: cost_by(path, ["type"], scope),
        lambda path, scope: failures_by(path, ["type"], scope),
        stuck_runs,
        open_waits,
        lambda path, scope: waits_by(path, ["type"], scope),
        unpriced_models,
    ],
)
def test_every_filter_filters(path: Path, ask: Callable[[Path, Scope], list[Any]]) -> None:
    everything = ask(path, EVERYTHING)
    assert everything
    assert ask(path, Scope("default", "Order", BEFORE, AFTER, "default")) == everything
    for scope in (
        Scope(namespace="other"),
        Scope(workflow_type="' OR true --"),
        Scope(since=AFTER),
        Scope(until=BEFORE),
        Scope(tenant="somebody"),
    ):
        assert ask(path, scope) == []


def test_tenants_are_apart_and_forks_never_count(tmp_path: Path, empty: Path) -> None:
    path = tmp_path / "tenants.duckdb"
    shutil.copy(empty, path)
    runs = []
    for number, memo in enumerate(
        ({"tenant": '"acme"'}, {"tenant": '"globex"'}, {"retrospan.fork": '{"of": "run-0"}'})
    ):
        events = order()
        fields = events.events[0].workflow_execution_started_event_attributes.memo.fields
        for name, value in memo.items():
            fields[name].CopyFrom(payload(value))
        runs.append(history_of(events, f"run-{number}", f"order-{number}"))
    with open_warehouse(path) as warehouse:
        ingest(warehouse, runs)
    for ask in (cost_by, failures_by, waits_by):
        by_tenant = {row["tenant"]: row["n_runs"] for row in ask(path, ["tenant"], EVERYTHING)}
        assert by_tenant == {"acme": 1, "globex": 1}
        [one] = ask(path, [], Scope(tenant="acme"))
        assert one["n_runs"] == 1
