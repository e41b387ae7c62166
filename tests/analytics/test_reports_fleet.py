"""What a report on many runs says, and which runs it is about."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import plotly.graph_objects as go
import pytest
from temporalio.api.common.v1 import Memo

from analytics.errors import WarehouseError
from analytics.ingest import ingest
from analytics.query import run_query
from analytics.questions import Scope
from analytics.reports import Page, fleet_report, html_of
from analytics.reports.fleet_rows import open_fleet
from analytics.reports.words import Section
from analytics.spans import span_rows, store_spans
from analytics.warehouse import open_warehouse
from replayer.history import RunHistory
from tests.analytics.report_stories import hostile, telling
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, history_of, order, stuck_order
from tests.event_builder import EPOCH, payload

_START = datetime(1970, 1, 1) + timedelta(seconds=EPOCH)  # noqa: DTZ001 - as the warehouse has it


def forked() -> RunHistory:
    events = order()
    started = events.events[0].workflow_execution_started_event_attributes
    started.memo.CopyFrom(Memo(fields={"retrospan.fork": payload('"run-1"')}))
    return history_of(events, "run-4", "order-4")


@pytest.fixture(scope="module")
def fleet(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that completed and its fork, one that failed, one that is stuck, and a hostile one."""
    made = tmp_path_factory.mktemp("fleet") / "w.duckdb"
    shutil.copy(empty, made)
    with open_warehouse(made) as warehouse:
        runs = [
            telling(),
            forked(),
            history_of(failed_order(), "run-2", "order-2"),
            history_of(stuck_order(), "run-3", "order-3"),
            hostile(),
        ]
        ingest(warehouse, runs)
        run = {"temporalWorkflowID": "order-2", "temporalRunID": "run-2"}
        tenant = {"retrospan.span.kind": "run", "retrospan.tenant": "acme"}
        spans = spans_of({"id": 1, "name": "run Order", "attributes": run | tenant})
        with warehouse.transaction() as connection:
            store_spans(connection, span_rows(spans).rows)
    return made


def figure(page: Page, name: str) -> tuple[str, str]:
    found = next(each for each in page.figures if each.name == name)
    return found.value, found.note


def section(page: Page, name: str) -> Section:
    return next(each for each in page.sections if each.name == name)


def test_it_tells_what_the_views_tell(fleet: Path) -> None:
    page = fleet_report(fleet, Scope())
    assert page.counts == {"runs": 4}
    assert figure(page, "Runs") == ("4", "1 open")
    assert figure(page, "Failed") == ("2", "50.0% of the runs")
    assert figure(page, "Stuck")[0] == "1"
    assert figure(page, "Model cost")[1] == "100% of 1 model call priced"
    groups = run_query(fleet, "SELECT fingerprint FROM mart.failure_groups").rows
    (failures,) = section(page, "failures").tables
    assert {row[-1] for row in failures.rows} == {name for (name,) in groups}
    (stuck, _) = section(page, "stuck").tables
    assert stuck.rows[0][0] == "order-3"
    assert section(page, "runs").left_out == "Left out: 1 fork, which did not happen in production."
    assert page.notes[0].title == "1 run stuck: a workflow task fails every time"


def test_it_is_about_the_runs_that_were_chosen(fleet: Path) -> None:
    def runs(**scope: object) -> int:
        with open_fleet(fleet, Scope(**scope)) as chosen:  # type: ignore[arg-type]
            return chosen.n_runs

    assert runs(workflow_type="Order") == 3
    assert runs(tenant="acme") == 1
    assert runs(tenant="default") == 3
    assert runs(namespace="other") == 0
    assert runs(since=_START) == 4
    assert runs(until=_START) == 0
    page = fleet_report(fleet, Scope(tenant="acme"))
    assert page.subtitle.endswith("tenant acme")
    (failures,) = section(page, "failures").tables
    assert [row[0] for row in failures.rows] == ["CustomsError"]
    assert section(page, "cost").empty
    assert section(page, "stuck").empty


def test_a_warehouse_without_runs_has_a_page(made: Path) -> None:
    page = fleet_report(made, Scope())
    assert page.sections[0].empty.startswith("No run fits.")
    assert "library" not in html_of(page, "now").partition("<script")[0]


def test_there_must_be_a_warehouse(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no such warehouse"):
        fleet_report(tmp_path / "none.duckdb", Scope())


def test_a_warehouse_of_another_version_is_named(made: Path) -> None:
    connection = duckdb.connect(made)
    connection.execute("DROP VIEW mart.run_summary")
    connection.close()
    with pytest.raises(WarehouseError, match="another version of Retrospan made it"):
        fleet_report(made, Scope())


def test_plotly_knows_everything_in_its_figures(fleet: Path) -> None:
    page = fleet_report(fleet, Scope())
    charts = [chart for each in page.sections for chart in each.charts]
    assert len(charts) == 7
    for chart in charts:
        go.Figure({"data": list(chart.data), "layout": chart.layout})
