"""Runs that the tests of this room tell of, as histories."""

from __future__ import annotations

import re
from hashlib import sha256

from temporalio.api.common.v1 import ActivityType
from temporalio.api.failure.v1 import ActivityFailureInfo, ApplicationFailureInfo, Failure
from temporalio.api.history.v1 import History

from replayer.history import KeySource, Origin, RunHistory
from tests.event_builder import EventBuilder, payload, payloads
from tracer.identity import RunKey

_COMPLETION = (
    '{"id": "c", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "choices":'
    ' [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 1000, "completion_tokens": 100,'
    ' "prompt_tokens_details": {"cached_tokens": 200}}}'
)


def history_of(
    events: EventBuilder,
    run_id: str = "run-1",
    workflow_id: str = "order-1",
    *,
    upto: int | None = None,
    uri: str = "order.json",
) -> RunHistory:
    """A history as reading would give it; `upto` cuts it as an export of an open run does."""
    history = History(events=events.events[:upto])
    raw = history.SerializeToString(deterministic=True)
    return RunHistory(
        RunKey("default", workflow_id, run_id),
        KeySource.CALLER,
        Origin(uri, "protobuf", sha256(raw).hexdigest(), len(raw)),
        tuple(history.events),
        raw,
    )


def failure(message: str, kind: str = "CustomsError") -> Failure:
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind))


def activity_failure(message: str, kind: str = "CustomsError") -> Failure:
    return Failure(
        message="Activity task failed",
        activity_failure_info=ActivityFailureInfo(activity_type=ActivityType(name="declare")),
        cause=failure(message, kind),
    )


def order() -> EventBuilder:
    """A model call, a person's approval, a call that is tried three times; completed."""
    events = EventBuilder()
    events.start(
        "Order",
        identity="cli@host",
        workflow_id="order-1",
        memo={"fields": {"customer": payload('"ACME"')}},
        original_execution_run_id="run-1",
        attempt=1,
    )
    events.task(0.1)
    classify = events.activity("1", "classify", 0.1, input=payloads('{"model": "gpt-4o-mini"}'))
    started = events.add(
        "ACTIVITY_TASK_STARTED", 0.5, scheduled_event_id=classify, attempt=1, identity="worker-1"
    )
    events.add(
        "ACTIVITY_TASK_COMPLETED",
        2.5,
        scheduled_event_id=classify,
        started_event_id=started,
        result=payloads(_COMPLETION),
    )
    events.task(2.6)
    timer = events.timer("2", 2.6, summary="approval")
    events.add(
        "WORKFLOW_EXECUTION_SIGNALED",
        62.6,
        signal_name="approve",
        identity="ann@desk",
        input=payloads("true"),
    )
    events.task(62.7)
    events.add("TIMER_CANCELED", 62.7, timer_id="2", started_event_id=timer)
    declare = events.activity("3", "declare", 62.7)
    retried = events.add(
        "ACTIVITY_TASK_STARTED",
        70.0,
        scheduled_event_id=declare,
        attempt=3,
        identity="worker-2",
        last_failure=failure("429 for order 17"),
    )
    events.add(
        "ACTIVITY_TASK_COMPLETED",
        71.0,
        scheduled_event_id=declare,
        started_event_id=retried,
        result=payloads('"ok"'),
    )
    last = events.task(71.2)
    events.add(
        "WORKFLOW_EXECUTION_COMPLETED",
        71.2,
        result=payloads('"released"'),
        workflow_task_completed_event_id=last,
    )
    return events


def order_of_model(model: str) -> EventBuilder:
    """`order` with another model asked for and answering."""
    events = order()
    for event in events.events:
        for data in (
            *event.activity_task_scheduled_event_attributes.input.payloads,
            *event.activity_task_completed_event_attributes.result.payloads,
        ):
            data.data = re.sub(rb"gpt-4o-mini[\w-]*", model.encode(), data.data)
    return events


def failed_order() -> EventBuilder:
    """An activity fails for good, and the run with it."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    events.task(0.1)
    declare = events.activity("1", "declare", 0.1)
    started = events.add("ACTIVITY_TASK_STARTED", 0.2, scheduled_event_id=declare, attempt=1)
    events.add(
        "ACTIVITY_TASK_FAILED",
        0.7,
        scheduled_event_id=declare,
        started_event_id=started,
        failure=failure("429 for order 99"),
        retry_state=2,
    )
    last = events.task(0.8)
    events.add(
        "WORKFLOW_EXECUTION_FAILED",
        0.8,
        failure=activity_failure("429 for order 99"),
        retry_state=5,
        workflow_task_completed_event_id=last,
    )
    return events


def stuck_order() -> EventBuilder:
    """Its workflow task fails with an error in the code; the retry is not recorded for good."""
    events = EventBuilder()
    events.start("Order", attempt=1)
    first = events.add("WORKFLOW_TASK_SCHEDULED", 0.1, attempt=1)
    started = events.add("WORKFLOW_TASK_STARTED", 0.2, scheduled_event_id=first)
    events.add(
        "WORKFLOW_TASK_FAILED",
        0.3,
        scheduled_event_id=first,
        started_event_id=started,
        cause=14,
        failure=failure("list index out of range", "IndexError"),
    )
    events.add("WORKFLOW_TASK_SCHEDULED", 10.0, attempt=2)
    events.add("WORKFLOW_TASK_STARTED", 10.1, scheduled_event_id=5)
    return events
