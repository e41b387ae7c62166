"""Which waits `mart.approvals` takes for people, where a history alone does not say."""

from __future__ import annotations

import pytest

from analytics.ingest import ingest
from analytics.warehouse import Warehouse
from tests.analytics.stories import history_of
from tests.event_builder import EventBuilder


def limited(summary: str | None, *, fires: bool) -> EventBuilder:
    """Waits a minute at most, and is never answered."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.1)
    timer = events.timer("1", 0.1, summary=summary)
    if fires:
        events.add("TIMER_FIRED", 60.1, timer_id="1", started_event_id=timer)
        last = events.task(60.2)
        events.add("WORKFLOW_EXECUTION_COMPLETED", 60.3, workflow_task_completed_event_id=last)
    return events


@pytest.mark.parametrize(("fires", "outcome"), [(True, "expired"), (False, "open")])
def test_a_wait_that_says_so_is_for_a_person_though_nobody_ever_answered(
    warehouse: Warehouse, fires: bool, outcome: str
) -> None:
    labels = ("Approval by finance", "approve: second line", "cooling down", None)
    ingest(
        warehouse,
        [history_of(limited(label, fires=fires), f"run-{n}") for n, label in enumerate(labels)],
    )

    rows = warehouse.rows("SELECT label, outcome, answered_by FROM mart.approvals ORDER BY label")

    assert rows == [(label, outcome, None) for label in labels[:2]]
