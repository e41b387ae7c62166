"""Runs as typed values."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.runs import RunFilter, find_runs, list_runs
from analytics.warehouse import Warehouse, open_warehouse
from tests.analytics.stories import failed_order, history_of, order, stuck_order


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "w.duckdb"
    with open_warehouse(path) as warehouse:
        ingest(
            warehouse,
            [
                history_of(order()),
                history_of(failed_order(), "run-2"),
                history_of(stuck_order(), "run-3", "order-3"),
            ],
        )
    return path


def test_a_run_is_listed_with_what_it_did_and_cost(stored: Path) -> None:
    (run,) = find_runs(stored, "order-1", "run-1")
    assert str(run.key) == "default/order-1:run-1"
    assert (run.status, run.n_steps, run.n_attempts, run.n_failed_attempts) == (
        "COMPLETED",
        3,
        4,
        2,
    )
    assert (run.n_llm_calls, run.cost_usd, run.priced_share) == (1, Decimal("0.000195"), 1.0)
    assert run.human_wait_s == 60.0


@pytest.mark.parametrize(
    ("where", "run_ids"),
    [
        (RunFilter(), ["run-1", "run-2", "run-3"]),
        (RunFilter(status="FAILED"), ["run-2"]),
        (RunFilter(is_stuck=True), ["run-3"]),
        (RunFilter(workflow_type="Order", is_stuck=False), ["run-1", "run-2"]),
        # They failed for different order numbers: the same fault.
        (RunFilter(fingerprint="987df1cee7db"), ["run-1", "run-2"]),
        (RunFilter(namespace="other"), []),
        (RunFilter(started_after=datetime(2030, 1, 1)), []),  # noqa: DTZ001
        (RunFilter(workflow_id="'; DROP TABLE core.runs; --"), []),
    ],
)
def test_runs_are_filtered(stored: Path, where: RunFilter, run_ids: list[str]) -> None:
    assert sorted(run.run_id for run in list_runs(stored, where)) == run_ids


def test_pages_come_to_the_whole(stored: Path) -> None:
    whole = list_runs(stored)
    assert [run for n in range(3) for run in list_runs(stored, limit=1, offset=n)] == whole


def test_a_connection_will_do(warehouse: Warehouse) -> None:
    ingest(warehouse, [history_of(order())])
    assert [run.run_id for run in list_runs(warehouse.connection)] == ["run-1"]
    assert find_runs(warehouse.connection, "order-9") == []
