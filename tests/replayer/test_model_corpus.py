"""The model of a run over every history that other programs wrote."""

from pathlib import Path

from replayer.history import RunHistory, read_histories
from tracer.model import Outcome, Run, RunStatus, run_from_events
from tracer.spans import spans_of

_CLOSED_BY = {
    "WORKFLOW_EXECUTION_COMPLETED": RunStatus.COMPLETED,
    "WORKFLOW_EXECUTION_FAILED": RunStatus.FAILED,
    "WORKFLOW_EXECUTION_TIMED_OUT": RunStatus.TIMED_OUT,
    "WORKFLOW_EXECUTION_CANCELED": RunStatus.CANCELED,
    "WORKFLOW_EXECUTION_TERMINATED": RunStatus.TERMINATED,
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": RunStatus.CONTINUED_AS_NEW,
}


def type_names(history: RunHistory) -> list[str]:
    from temporalio.api.enums.v1 import EventType

    names = {number: name for name, number in EventType.items()}
    return [names[e.event_type].removeprefix("EVENT_TYPE_") for e in history.events]


def check(history: RunHistory) -> Run:
    run = run_from_events(history.key, history.events)
    names = type_names(history)
    assert run.event_count == len(history.events)
    assert run.last_event_id == history.events[-1].event_id
    assert run.status is _CLOSED_BY.get(names[-1], run.status)
    counts = {
        "ACTIVITY_TASK_SCHEDULED": "activity",
        "TIMER_STARTED": "timer",
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED": "child_workflow",
        "NEXUS_OPERATION_SCHEDULED": "nexus_operation",
    }
    for name, kind in counts.items():
        assert names.count(name) == sum(step.kind == kind for step in run.steps)
    assert names.count("WORKFLOW_EXECUTION_SIGNALED") == len(run.signals)
    closed = sum(step.closed_event_id is not None for step in run.steps)
    assert closed == sum(step.outcome is not None for step in run.steps)
    for step in run.steps:
        assert step.attempt_count >= len({a.number for a in step.attempts if a.started_at})
        assert step.outcome is not Outcome.COMPLETED or step.failure is None
    ids = [span.span_id for span in spans_of(run)]
    assert len(ids) == len(set(ids))
    return run


def test_every_history_has_a_model(corpus: Path) -> None:
    histories = [item for item in read_histories([corpus]) if isinstance(item, RunHistory)]
    assert len(histories) > 60
    runs = [check(history) for history in histories]
    assert {run.status for run in runs} >= {
        RunStatus.RUNNING,
        RunStatus.COMPLETED,
        RunStatus.FAILED,
        RunStatus.CANCELED,
        RunStatus.CONTINUED_AS_NEW,
    }


def test_what_happened_in_the_field_is_told(corpus: Path) -> None:
    def run_of(name: str) -> Run:
        [history] = read_histories([corpus / "mistral" / name])
        assert isinstance(history, RunHistory)
        return check(history)

    assert run_of("wft_failed_stuck.json").is_stuck
    assert run_of("reset_run.json").reset_from_run_id
    assert run_of("continue_as_new_run1.json").continued_to_run_id
    too_large = run_of("payload_too_large.json")
    assert too_large.failure is not None
    assert too_large.failure.root.type == "PayloadSizeError"
    human = [wait.woken_by_name for wait in run_of("hitl_rejected_compensation.json").waits]
    assert "__submit_input" in human
