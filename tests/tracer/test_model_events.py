"""The state machine, fed with histories that tell one thing each."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure as FailureMessage
from temporalio.api.history.v1 import HistoryEvent

from tests.event_builder import EPOCH, EventBuilder, payload, payloads
from tracer.identity import RunKey
from tracer.model import (
    AttemptSource,
    Outcome,
    Run,
    RunStatus,
    StepKind,
    TaskFailureKind,
    WokenBy,
    run_from_events,
)

KEY = RunKey("default", "order-1", "run-1")


def read(history: EventBuilder) -> Run:
    return run_from_events(KEY, history)


def second(at: float) -> int:
    return int((EPOCH + at) * 1_000_000_000)


def application_failure(message: str, **more: Any) -> FailureMessage:
    failure = FailureMessage(message=message)
    failure.application_failure_info.type = more.pop("type", "ValueError")
    return failure


def test_an_activity_that_completes_at_its_third_attempt() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    scheduled = h.activity("a1", "charge", 1, input=payloads('"card"'))
    started = h.add(
        "ACTIVITY_TASK_STARTED",
        9,
        scheduled_event_id=scheduled,
        attempt=3,
        identity="worker-7",
        last_failure=application_failure("declined"),
    )
    done = h.add(
        "ACTIVITY_TASK_COMPLETED",
        10,
        scheduled_event_id=scheduled,
        started_event_id=started,
        result=payloads('"ok"'),
    )
    [step] = read(h).steps
    assert (step.kind, step.name, step.id, step.occurrence) == (
        StepKind.ACTIVITY,
        "charge",
        "a1",
        1,
    )
    assert (step.scheduled_at, step.started_at, step.closed_at) == (
        second(1),
        second(9),
        second(10),
    )
    assert (step.outcome, step.attempt_count, step.closed_event_id) == (
        Outcome.COMPLETED,
        3,
        done,
    )
    before, last = step.attempts
    assert (before.number, before.outcome, before.started_at) == (2, Outcome.FAILED, None)
    assert before.failure is not None
    assert before.failure.message == "declined"
    assert (last.number, last.identity, last.source) == (3, "worker-7", AttemptSource.HISTORY)
    assert (step.input_bytes, step.result_bytes) == (6, 4)


def test_an_activity_that_fails_for_good_fails_the_run() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    scheduled = h.activity("a1", "charge", 1)
    h.add("ACTIVITY_TASK_STARTED", 2, scheduled_event_id=scheduled, attempt=1)
    h.add(
        "ACTIVITY_TASK_FAILED",
        3,
        scheduled_event_id=scheduled,
        failure=application_failure("no money", type="Declined"),
        retry_state="RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED",
    )
    h.task(3)
    wrapped = FailureMessage(message="Activity task failed")
    wrapped.activity_failure_info.activity_type.name = "charge"
    wrapped.cause.CopyFrom(application_failure("no money", type="Declined"))
    h.add("WORKFLOW_EXECUTION_FAILED", 3, failure=wrapped)
    run = read(h)
    [step] = run.steps
    assert step.outcome is Outcome.FAILED
    assert step.retry_state == "MAXIMUM_ATTEMPTS_REACHED"
    assert step.attempts[-1].failure == step.failure
    assert run.status is RunStatus.FAILED
    assert run.failure is not None
    assert [link.kind for link in run.failure.chain] == ["activity", "application"]
    assert run.failure.root.type == "Declined"


def test_a_step_that_nobody_answered_stays_open() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    h.activity("a1", "charge", 1)
    h.add("WORKFLOW_EXECUTION_TERMINATED", 5, reason="enough", identity="ops")
    run = read(h)
    assert run.status is RunStatus.TERMINATED
    assert (run.close_reason, run.close_identity) == ("enough", "ops")
    assert run.steps[0].is_open
    assert run.waits == []


def test_an_id_that_is_used_again_is_another_occurrence() -> None:
    h = EventBuilder()
    h.start()
    for at in (1.0, 3.0):
        h.task(at)
        started = h.timer("t", at)
        h.add("TIMER_FIRED", at + 1, timer_id="t", started_event_id=started)
    assert [(step.id, step.occurrence) for step in read(h).steps] == [("t", 1), ("t", 2)]


# -- waits -----------------------------------------------------------------------------------------


def test_a_run_waits_for_a_signal_from_a_client() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    h.add("WORKFLOW_EXECUTION_SIGNALED", 61, signal_name="paid", identity="bank")
    h.task(61)
    [wait] = read(h).waits[:1]
    assert (wait.opened_at, wait.closed_at) == (second(1), second(61))
    assert (wait.woken_by, wait.woken_by_name, wait.woken_by_identity) == (
        WokenBy.SIGNAL,
        "paid",
        "bank",
    )
    assert wait.is_human


def test_a_signal_from_another_workflow_is_no_person() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    h.add(
        "WORKFLOW_EXECUTION_SIGNALED",
        61,
        signal_name="paid",
        external_workflow_execution={"workflow_id": "bank"},
    )
    assert not read(h).waits[0].is_human


def test_an_update_explains_the_wait_that_its_task_ended() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    limit = h.timer("1", 1, summary="approval: first line")
    h.task(31)
    h.add(
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
        31,
        protocol_instance_id="u1",
        accepted_request={
            "meta": {"update_id": "u1", "identity": "ada"},
            "input": {"name": "approve"},
        },
    )
    h.add("WORKFLOW_EXECUTION_UPDATE_COMPLETED", 31, meta={"update_id": "u1"})
    h.add("TIMER_CANCELED", 31, timer_id="1", started_event_id=limit)
    h.add("WORKFLOW_EXECUTION_COMPLETED", 31)
    run = read(h)
    [wait] = run.waits
    assert (wait.opened_at, wait.closed_at) == (second(1), second(31))
    assert (wait.woken_by, wait.woken_by_name, wait.woken_by_identity, wait.is_human) == (
        WokenBy.UPDATE,
        "approve",
        "ada",
        True,
    )
    assert wait.label == "approval: first line"
    [update] = run.updates
    assert update.outcome is Outcome.COMPLETED
    assert run.steps[0].outcome is Outcome.CANCELED


def test_a_timer_that_fires_names_the_wait() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    started = h.timer("1", 1, summary="approval")
    h.add("TIMER_FIRED", 61, timer_id="1", started_event_id=started)
    [wait] = read(h).waits
    assert (wait.woken_by, wait.label, wait.is_human) == (WokenBy.TIMER, "approval", False)


def test_nothing_waits_while_an_activity_runs() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    scheduled = h.activity("a1", "charge", 1)
    h.add("WORKFLOW_EXECUTION_SIGNALED", 30, signal_name="hurry")
    h.task(30)
    h.add("ACTIVITY_TASK_COMPLETED", 60, scheduled_event_id=scheduled)
    assert read(h).waits == []


def test_a_signal_that_came_during_a_task_ended_no_wait() -> None:
    h = EventBuilder()
    h.start()
    h.task(5)
    h.add("WORKFLOW_EXECUTION_SIGNALED", 4.9, signal_name="early")
    assert read(h).waits == []


def test_a_task_of_which_nothing_came_does_not_break_a_wait() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    h.task(20)
    h.add("WORKFLOW_EXECUTION_SIGNALED", 61, signal_name="paid")
    [wait] = read(h).waits
    assert (wait.opened_at, wait.closed_at) == (second(1), second(61))


def test_an_open_run_that_stands_still_is_waiting() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    [wait] = read(h).waits
    assert wait.closed_at is None
    assert wait.duration_ns is None


def test_termination_ends_a_wait_and_completion_does_not_make_one() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    h.add("WORKFLOW_EXECUTION_TERMINATED", 9)
    assert read(h).waits[0].woken_by is WokenBy.RUN_CLOSED
    h = EventBuilder()
    h.start()
    h.task(1)
    h.add("WORKFLOW_EXECUTION_COMPLETED", 1)
    assert read(h).waits == []


# -- workflow tasks --------------------------------------------------------------------------------


def fail_task(h: EventBuilder, at: float, cause: str, message: str) -> None:
    scheduled = h.add("WORKFLOW_TASK_SCHEDULED", at)
    started = h.add("WORKFLOW_TASK_STARTED", at, scheduled_event_id=scheduled)
    h.add(
        "WORKFLOW_TASK_FAILED",
        at,
        scheduled_event_id=scheduled,
        started_event_id=started,
        cause=f"WORKFLOW_TASK_FAILED_CAUSE_{cause}",
        failure=application_failure(message),
    )


def test_a_run_whose_last_task_failed_is_stuck() -> None:
    h = EventBuilder()
    h.start()
    fail_task(h, 1, "WORKFLOW_WORKER_UNHANDLED_FAILURE", "'case_id'")
    run = read(h)
    assert run.is_stuck
    assert run.tasks[0].failure_kind is TaskFailureKind.USER_EXCEPTION
    h.task(2)
    assert not read(h).is_stuck


def test_task_failures_are_classified() -> None:
    kinds = {
        "[TMPRL1100] Nondeterminism error": TaskFailureKind.NONDETERMINISM,
        "[TMPRL1101] Potential deadlock detected": TaskFailureKind.DEADLOCK,
        "[TMPRL1103] Attempted to upload payloads": TaskFailureKind.PAYLOAD_SIZE,
        "RestrictedWorkflowAccessError: Cannot access": TaskFailureKind.SANDBOX,
        "Workflow class X is not registered on this worker": TaskFailureKind.UNREGISTERED,
        "division by zero": TaskFailureKind.USER_EXCEPTION,
    }
    h = EventBuilder()
    h.start()
    for at, message in enumerate(kinds, 1):
        fail_task(h, at, "WORKFLOW_WORKER_UNHANDLED_FAILURE", message)
    assert [task.failure_kind for task in read(h).tasks] == list(kinds.values())


def test_a_reset_is_not_a_failure() -> None:
    h = EventBuilder()
    h.start()
    h.add("WORKFLOW_TASK_SCHEDULED", 1)
    h.add("WORKFLOW_TASK_STARTED", 1)
    h.add(
        "WORKFLOW_TASK_FAILED",
        2,
        cause="WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW",
        base_run_id="old",
        new_run_id="run-1",
    )
    run = read(h)
    assert run.reset_from_run_id == "old"
    assert not run.is_stuck


# -- markers ---------------------------------------------------------------------------------------


def marker(h: EventBuilder, name: str, details: dict[str, Payloads], **more: Any) -> Run:
    h.start()
    h.task(1)
    h.add("MARKER_RECORDED", 1, marker_name=name, details=details, **more)
    return read(h)


def test_a_local_activity_is_a_step_with_its_own_times() -> None:
    data = {
        "activity_id": "1",
        "activity_type": "check",
        "attempt": 2,
        "complete_time": {"seconds": EPOCH + 1, "nanos": 5},
        "original_schedule_time": {"seconds": EPOCH, "nanos": 7},
    }
    details = {"data": payloads(json.dumps(data)), "result": payloads("42")}
    [step] = marker(EventBuilder(), "core_local_activity", details).steps
    assert (step.kind, step.name, step.id) == (StepKind.LOCAL_ACTIVITY, "check", "1")
    assert (step.attempt_count, step.outcome) == (2, Outcome.COMPLETED)
    assert (step.scheduled_at, step.closed_at) == (second(0) + 7, second(1) + 5)


def long_task(h: EventBuilder, began: float, ended: float) -> None:
    scheduled = h.add("WORKFLOW_TASK_SCHEDULED", began)
    started = h.add("WORKFLOW_TASK_STARTED", began, scheduled_event_id=scheduled)
    h.add("WORKFLOW_TASK_COMPLETED", ended, scheduled_event_id=scheduled, started_event_id=started)


@pytest.mark.parametrize(
    ("with_signal", "next_task", "woken_by"),
    [(False, 4.05, []), (False, 5, [WokenBy.TIMER]), (True, 4.05, [WokenBy.TIMER])],
)
def test_a_pause_after_a_local_activity_is_as_long_as_its_worker_saw(
    with_signal: bool, next_task: float, woken_by: list[WokenBy]
) -> None:
    """The worker asks for a second task while the activity is at work, and a timer fires in it.

    The code runs when the activity ends, and at the start of that task only if a signal came.
    """
    answered = {"seconds": EPOCH + 4}
    asked = {"seconds": EPOCH + 1}
    data = {"activity_type": "slow", "complete_time": answered, "original_schedule_time": asked}
    h = EventBuilder()
    h.start()
    long_task(h, 1, 2.4)
    timer = h.timer("1", 2.4)
    if with_signal:
        h.add("WORKFLOW_EXECUTION_SIGNALED", 2, signal_name="hello")
    long_task(h, 2.4, 4)
    details = {"data": payloads(json.dumps(data))}
    h.add("MARKER_RECORDED", 4, marker_name="core_local_activity", details=details)
    h.add("TIMER_FIRED", 2.7, timer_id="1", started_event_id=timer)
    h.task(next_task)
    h.add("WORKFLOW_EXECUTION_COMPLETED", next_task)
    assert [wait.woken_by for wait in read(h).waits] == woken_by


def test_a_local_activity_never_ends_before_it_began() -> None:
    data = {
        "activity_type": "check",
        "complete_time": {"seconds": EPOCH + 3},
        "original_schedule_time": {"seconds": EPOCH + 4},
    }
    details = {"data": payloads(json.dumps(data))}
    [step] = marker(EventBuilder(), "core_local_activity", details).steps
    assert (step.scheduled_at, step.closed_at) == (second(1), second(3))


@pytest.mark.parametrize("attempt", [0, -1, 2**31, 10**30, "2"])
def test_an_attempt_that_no_server_counts_is_the_first(attempt: object) -> None:
    data = {"activity_type": "check", "attempt": attempt}
    details = {"data": payloads(json.dumps(data))}
    [step] = marker(EventBuilder(), "core_local_activity", details).steps
    assert step.attempt_count == 1


def test_patches_of_the_core_and_of_java() -> None:
    core = {"patch-data": payloads('{"id": "new-rules", "deprecated": true}')}
    java = {"changeId": payloads('"new-rules"'), "version": payloads("1")}
    [patch] = marker(EventBuilder(), "core_patch", core).patches
    assert (patch.id, patch.deprecated) == ("new-rules", True)
    [patch] = marker(EventBuilder(), "Version", java).patches
    assert (patch.id, patch.deprecated) == ("new-rules", False)


def test_other_markers_are_kept_by_name() -> None:
    run = marker(EventBuilder(), "SideEffect", {})
    assert [found.name for found in run.markers] == ["SideEffect"]
    assert run.steps == []


@given(st.binary(max_size=60))
def test_any_bytes_in_a_marker_are_survived(data: bytes) -> None:
    broken = payload("")
    broken.data = data
    details = {"data": Payloads(payloads=[broken])}
    [step] = marker(EventBuilder(), "core_local_activity", details).steps
    assert step.outcome is Outcome.COMPLETED


# -- anything --------------------------------------------------------------------------------------


def _events_in_any_order() -> st.SearchStrategy[list[HistoryEvent]]:
    types = [number for number in EventType.values() if number]

    def build(drawn: list[tuple[Any, int, int]]) -> list[HistoryEvent]:
        events = []
        for position, (number, reference, at) in enumerate(drawn, 1):
            event = HistoryEvent(event_id=position, event_type=number)
            event.event_time.FromSeconds(EPOCH + at)
            name = EventType.Name(number).removeprefix("EVENT_TYPE_").lower()
            attributes = getattr(event, f"{name}_event_attributes")
            attributes.SetInParent()
            for field in ("scheduled_event_id", "initiated_event_id", "started_event_id"):
                if field in attributes.DESCRIPTOR.fields_by_name:
                    setattr(attributes, field, reference)
            events.append(event)
        return events

    drawn = st.lists(
        st.tuples(st.sampled_from(types), st.integers(0, 30), st.integers(0, 1000)), max_size=30
    )
    return drawn.map(build)


@given(_events_in_any_order())
def test_no_sequence_of_events_is_too_strange(events: list[HistoryEvent]) -> None:
    run = run_from_events(KEY, events)
    assert run.event_count == len(events)
    assert [step.seq for step in run.steps] == list(range(1, len(run.steps) + 1))
    assert len({(s.kind, s.id, s.occurrence) for s in run.steps}) == len(run.steps)
    for wait in run.waits:
        assert wait.closed_at is None or wait.closed_at >= wait.opened_at


def test_a_nexus_operation_never_starts_before_it_was_asked_for() -> None:
    h = EventBuilder()
    h.start()
    h.task(1)
    scheduled = h.add("NEXUS_OPERATION_SCHEDULED", 1.7, service="bank", operation="pay")
    h.add("NEXUS_OPERATION_STARTED", 1, scheduled_event_id=scheduled, operation_token="t")
    h.add("NEXUS_OPERATION_COMPLETED", 1.8, scheduled_event_id=scheduled)
    [step] = read(h).steps
    assert (step.scheduled_at, step.started_at, step.closed_at) == (
        second(1.7),
        second(1.7),
        second(1.8),
    )


def test_an_event_type_of_the_future_is_kept() -> None:
    event = HistoryEvent(event_id=1, event_type=4242)  # type: ignore[arg-type]
    run = run_from_events(KEY, [event])
    assert [unknown.event_type for unknown in run.unknown_events] == ["4242"]


def _deep(links: int) -> FailureMessage:
    failure = application_failure("deepest")
    for _ in range(links):
        outer = application_failure("outer")
        outer.cause.CopyFrom(failure)
        failure = outer
    return failure


def test_a_chain_of_failures_is_cut_where_only_an_attacker_goes() -> None:
    h = EventBuilder()
    h.start()
    h.add("WORKFLOW_EXECUTION_FAILED", 1, failure=_deep(80))
    failure = read(h).failure
    assert failure is not None
    assert len(failure.chain) == 50
