"""The warehouse that golden tests query: a handful of runs and what spans tell of some of them."""

from __future__ import annotations

from typing import Any

from analytics.ingest import ingest
from analytics.settling import settle_pending
from analytics.spans import span_rows, store_spans
from analytics.warehouse import Warehouse
from tests.analytics.span_requests import spans_of
from tests.analytics.stories import failed_order, history_of, order, stuck_order
from tests.event_builder import EventBuilder, payload


def waiting_order() -> EventBuilder:
    """Open, and waiting for an answer with a time limit."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.5)
    events.timer("1", 0.5, summary="approval")
    return events


def expired_order() -> EventBuilder:
    """Nobody approves it in time; its history is almost too large."""
    events = EventBuilder()
    events.start("Order", attempt=1, memo={"fields": {"tenant": payload('"acme"')}})
    scheduled = events.add("WORKFLOW_TASK_SCHEDULED", 0.1)
    started = events.add(
        "WORKFLOW_TASK_STARTED",
        0.2,
        scheduled_event_id=scheduled,
        history_size_bytes=45_000_000,
        suggest_continue_as_new=True,
    )
    events.add(
        "WORKFLOW_TASK_COMPLETED",
        2.1,
        scheduled_event_id=scheduled,
        started_event_id=started,
        identity="worker-9",
    )
    timer = events.timer("1", 2.1, summary="approval")
    events.add("TIMER_FIRED", 62.1, timer_id="1", started_event_id=timer)
    last = events.task(62.2)
    events.add("WORKFLOW_EXECUTION_COMPLETED", 62.2, workflow_task_completed_event_id=last)
    return events


def forked_order() -> EventBuilder:
    """What `retrospan fork` made of the failed order: none of the fleet's figures may have it."""
    events = failed_order()
    mark = payload('{"run_id": "run-5"}')
    started = events.events[0].workflow_execution_started_event_attributes
    started.memo.fields["retrospan.fork"].CopyFrom(mark)
    return events


def run_by(events: EventBuilder, build_id: str) -> EventBuilder:
    """The same, with workflow tasks that a worker of this version completed."""
    for event in events:
        if event.HasField("workflow_task_completed_event_attributes"):
            completed = event.workflow_task_completed_event_attributes
            completed.worker_version.build_id = build_id
    return events


def _span(span: int, kind: str, run: int, start: float, **about: Any) -> dict[str, Any]:
    attributes = {
        "retrospan.span.kind": kind,
        "temporalWorkflowID": f"order-{run}",
        "temporalRunID": f"run-{run}",
        "temporal.workflow.type": "Order",
    }
    return {
        "id": span,
        "name": kind,
        "start": start,
        "end": about.pop("end", start),
        **about,
        "attributes": attributes | about.get("attributes", {}),
    }


def _attempt(number: int, error: str = "") -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "temporalActivityID": "3",
        "temporal.activity.type": "declare",
        "temporal.activity.attempt": number,
    }
    about: dict[str, Any] = {}
    if error:
        about["error"] = error
        attributes |= {
            "error.type": "CustomsError",
            "retrospan.failure.message": error,
            "retrospan.failure.fingerprint": "f00d",
            "temporal.identity": "worker-1",
        }
    start = 62 + 2 * number
    return _span(10 + number, "attempt", 1, start, end=start + 0.5, attributes=attributes, **about)


def _call(span: int, parent: int, model: str) -> dict[str, Any]:
    return {
        "id": span,
        "parent": parent,
        "name": "chat",
        "start": 64.1,
        "end": 64.4,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": model,
            "gen_ai.usage.input_tokens": 2000,
            "gen_ai.usage.output_tokens": 0,
        },
    }


def _tool(span: int, parent: int, start: float, **more: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "pay_refund",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.name": "clerk",
    } | more
    return {
        "id": span,
        "parent": parent,
        "name": "execute_tool pay_refund",
        "start": start,
        "end": start + 0.25,
        "attributes": attributes,
    }


def _branch(span: int, run: int, outcome: object, **more: object) -> dict[str, Any]:
    attributes = {
        "code.function.name": "Order.run",
        "code.file.path": "shop/orders.py",
        "code.line.number": 17,
        "retrospan.branch.kind": "if",
        "retrospan.branch.condition": "amount > 100",
        "retrospan.branch.outcome": outcome,
        "retrospan.branch.occurrence": 1,
    } | more
    told = {name: value for name, value in attributes.items() if value is not None}
    return _span(span, "branch", run, 70 + span, attributes=told)


_NAMED = {
    "code.line.number": 21,
    "retrospan.branch.kind": "decision",
    "retrospan.branch.condition": None,
    "retrospan.decision.name": "route",
    "retrospan.decision.why": '{"amount": 250}',
}
_LOOP = {
    "code.line.number": 30,
    "retrospan.branch.kind": "while",
    "retrospan.branch.condition": "left",
    "retrospan.branch.occurrence": 4,
    "retrospan.branch.rounds": 3,
}

SPANS = (
    _span(1, "workflow", 1, 0, end=71.2, attributes={"retrospan.tenant": "globex"}),
    _attempt(1, "429 for order 17"),
    _attempt(2, "429 for order 17"),
    _attempt(3),
    _call(21, 11, "gpt-4o-mini"),
    _call(22, 13, "house-model"),
    _call(23, 29, "gpt-4o-mini"),
    _branch(31, 1, True, **{"retrospan.branch.because": "amount > 100"}),
    _branch(32, 2, True),
    _branch(33, 3, False, **{"retrospan.branch.dropped": 4}),
    _branch(34, 1, "desk", **_NAMED),
    _branch(35, 9, False, **_LOOP),
    _branch(36, 6, False, **{"code.line.number": 18}),
    _branch(37, 5, True),
    _tool(41, 13, 66.1, **{"retrospan.result.bytes": 512}),
    _tool(42, 41, 66.15),
    _tool(43, 13, 66.2, **{"error.type": "TimeoutError"}),
    _tool(
        44,
        13,
        66.4,
        **{
            "retrospan.tool.blocked": True,
            "retrospan.tool.block.policy": "refund-limit",
            "retrospan.tool.block.reason": "above the limit",
        },
    ),
    _span(
        51,
        "update",
        1,
        10,
        end=10.5,
        attributes={"temporal.update.id": "u-1", "retrospan.outcome": "rejected"},
    ),
    _span(
        52,
        "limit",
        1,
        60,
        end=61.8,
        attributes={
            "retrospan.limit.name": "activation",
            "retrospan.limit.used": "1.8",
            "retrospan.activation.hot_lines": "shop/orders.py:40",
            "temporal.identity": "worker-1",
        },
    ),
)
"""Of the first run each try of a step and the calls in it; decisions of several runs."""


HISTORIES = (
    history_of(order()),
    history_of(run_by(failed_order(), "v1"), "run-2", "order-2"),
    history_of(stuck_order(), "run-3", "order-3"),
    history_of(waiting_order(), "run-4", "order-4"),
    history_of(forked_order(), "run-5", "order-5"),
    history_of(run_by(expired_order(), "v2"), "run-6", "order-6"),
)


def fill(warehouse: Warehouse) -> None:
    """Store the runs, then the spans."""
    ingest(warehouse, HISTORIES)
    with warehouse.transaction() as connection:
        store_spans(connection, span_rows(spans_of(*SPANS)).rows)
    settle_pending(warehouse.connection)
