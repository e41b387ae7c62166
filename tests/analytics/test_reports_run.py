"""What a report on one run says: attempts, waits, the critical path, causes, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.ingest import ingest
from analytics.reports import Page, RunFacts, facts_in, html_of, run_report
from analytics.reports.charts import plotly_text, unit_for
from analytics.reports.words import Chart, Section
from analytics.spans import span_rows, store_spans
from analytics.warehouse import open_warehouse
from replayer.history import RunHistory, read_histories
from tests.analytics.report_stories import EVIL, hostile, largest, telling
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, history_of, stuck_order
from tests.analytics.test_run_knowledge import branch
from tests.analytics.test_spans import attempt, call
from tests.event_builder import EventBuilder
from tracer.model import run_from_events


def facts_of(history: RunHistory) -> RunFacts:
    return RunFacts(run_from_events(history.key, history.events), history.origin.uri)


def watched(number: int, *, failed: bool = False) -> dict[str, Any]:
    """A try of `declare` that its worker told of, seconds apart from the next one."""
    times = {"start": 61 + 2 * number, "end": 61.5 + 2 * number}
    error = {"error": "429", "error.type": "CustomsError"} if failed else {}
    return attempt(number, **error) | times | ({"error": "429"} if failed else {})


def section(page: Page, name: str) -> Section:
    return next(each for each in page.sections if each.name == name)


def bars_in(chart: Chart) -> dict[str, list[tuple[float, float]]]:
    """Start and end of the bars of each kind."""
    return {
        trace["name"]: [(a, a + b) for a, b in zip(trace["base"], trace["x"], strict=True)]
        for trace in chart.data
        if trace["type"] == "bar"
    }


def waterfall_of(facts: RunFacts) -> Chart:
    (chart,) = section(run_report(facts), "timeline").charts
    return chart


def test_a_history_alone_tells_that_earlier_attempts_took_their_time() -> None:
    found = bars_in(waterfall_of(facts_of(telling())))
    # Seconds: classify is asked for at 0.1 and starts at 0.5; declare starts its third try at 70.
    assert found["in queue"] == [pytest.approx((0.1, 0.5))]
    assert found["earlier attempts and backoff (history gives no times)"] == [
        pytest.approx((62.7, 70.0))
    ]
    assert found["attempt completed"] == [pytest.approx((0.5, 2.5)), pytest.approx((70, 71))]
    assert found["waiting for a person"] == [pytest.approx((2.6, 62.6))]
    assert found["timer"] == [pytest.approx((2.6, 62.7))]


def test_spans_tell_each_attempt_and_the_backoff_between(made: Path) -> None:
    history = telling()
    with open_warehouse(made) as warehouse:
        ingest(warehouse, [history])
        tries = (watched(1, failed=True), watched(2, failed=True), watched(3))
        spans = spans_of(*tries, call(7, 103), branch(1, True))
        with warehouse.transaction() as connection:
            store_spans(connection, span_rows(spans).rows)
    facts = facts_in(made, facts_of(history).run, "order.json")
    found = bars_in(waterfall_of(facts))
    assert found["attempt failed"] == [pytest.approx((63, 63.5)), pytest.approx((65, 65.5))]
    assert found["backoff"] == [pytest.approx((63.5, 65)), pytest.approx((65.5, 67))]
    assert "earlier attempts and backoff (history gives no times)" not in found
    page = run_report(facts)
    (decisions,) = section(page, "branches").tables
    assert decisions.rows[0][:2] == ("amount > limit", "true")
    assert section(page, "time").tables[0].rows


def test_the_critical_path_is_marked_and_listed() -> None:
    facts = facts_of(telling())
    lanes = waterfall_of(facts).layout["yaxis"]["ticktext"]
    assert lanes == ["◆ classify", "timer · approval", "◆ wait · approval", "◆ declare", "messages"]
    (path,) = section(run_report(facts), "path").tables
    assert [row[0] for row in path.rows] == ["classify", "approval", "declare"]


def test_cost_is_beside_how_much_of_it_is_known() -> None:
    page = run_report(facts_of(telling()))
    cost = next(figure for figure in page.figures if figure.name == "Model cost")
    assert cost.value.startswith("$0.000")
    assert cost.note == "1 of 1 calling step priced"
    (table,) = section(page, "cost").tables
    assert table.rows[0][0] == "classify"
    assert table.rows[0][-1] == "1 of 1"


def test_a_failed_run_says_why_first() -> None:
    (note,) = run_report(facts_of(history_of(failed_order()))).notes
    assert note.title == "It failed"
    assert note.text.startswith("CustomsError: 429 for order 99\nin activity declare")


def test_a_stuck_run_says_what_its_task_fails_with() -> None:
    page = run_report(facts_of(history_of(stuck_order())))
    assert page.status == "running · stuck"
    assert "IndexError: list index out of range" in page.notes[0].text


def test_an_open_run_says_what_it_waits_for() -> None:
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.1)
    step = events.activity("1", "declare", 0.1)
    page = run_report(facts_of(history_of(events)))
    assert page.notes[0].title == "What it is waiting for"
    assert "activity declare" in page.notes[0].text
    events.add("ACTIVITY_TASK_STARTED", 9, scheduled_event_id=step, attempt=4)
    page = run_report(facts_of(history_of(events)))
    assert "attempt 4" in page.notes[0].text


def test_a_run_that_has_just_begun_has_a_page() -> None:
    events = EventBuilder()
    events.start("Order", attempt=1)
    page = run_report(facts_of(history_of(events)))
    assert all(each.empty or each.tables or each.charts for each in page.sections)
    assert html_of(page, "now").startswith("<!doctype html>")


def test_the_largest_run_is_drawn_in_few_bars_and_says_what_it_hides() -> None:
    history = largest()
    assert len(history.events) == 51_200
    page = run_report(facts_of(history))
    timeline = section(page, "timeline")
    drawn = bars_in(timeline.charts[0])
    assert sum(map(len, drawn.values())) < 20_000
    n_steps = page.counts["steps"]
    assert f"{n_steps:,} steps and waits in 40 lanes" in timeline.left_out
    assert "Left out: " in timeline.left_out
    (steps,) = section(page, "steps").tables
    assert (len(steps.rows), steps.total) == (200, n_steps)
    assert "failed" in {row[3] for row in steps.rows}
    # Plotly's own script is 2 MB of it.
    assert len(html_of(page, "now")) < 6_000_000


@pytest.mark.parametrize("history", [telling(), hostile(), history_of(stuck_order())])
def test_plotly_knows_everything_in_a_figure(history: RunHistory) -> None:
    page = run_report(facts_of(history))
    charts = [chart for each in page.sections for chart in each.charts]
    for chart in charts:
        go.Figure({"data": list(chart.data), "layout": chart.layout})


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings_in(each)]
    return [text for each in value for text in strings_in(each)] if isinstance(value, list) else []


def test_no_text_in_a_figure_is_markup() -> None:
    page = run_report(facts_of(hostile()))
    found = [
        text
        for each in page.sections
        for chart in each.charts
        for text in strings_in(json.loads(json.dumps([chart.data, chart.layout])))
    ]
    assert any("script" in text for text in found)
    assert not [text for text in found if "<" in text.replace("<br>", "")]


@given(st.text())
def test_plotly_text_has_no_markup_of_its_own(text: str) -> None:
    found = plotly_text(text, multiline=True)
    assert "<" not in found.replace("<br>", "")
    assert ">" not in found.replace("<br>", "")
    found.encode()


@given(st.integers(min_value=0, max_value=10**19))
def test_an_axis_has_some_units_and_not_thousands(nanoseconds: int) -> None:
    unit = unit_for(nanoseconds)
    assert nanoseconds >= 2 * unit.nanoseconds or unit.name == "milliseconds"
    assert nanoseconds < 2_000 * unit.nanoseconds or unit.name == "days"


def test_the_page_has_hostile_text_only_as_text() -> None:
    html = html_of(run_report(facts_of(hostile())), EVIL)
    assert "<img" not in html
    assert html.count("<script") == 3
    assert "\x1b" not in html
    assert "\x00" not in html
    assert "\u202e" not in html
    html.encode()


def test_every_run_of_the_corpus_has_a_report(corpus: Path) -> None:
    found = [each for each in read_histories([corpus]) if isinstance(each, RunHistory)]
    assert found
    for history in found:
        page = run_report(facts_of(history))
        assert page.sections[0].name == "timeline"
        json.dumps([chart.data for each in page.sections for chart in each.charts], allow_nan=False)
