"""What a reader of a run must see first: why it failed, or what it is waiting for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analytics.figures import counted, duration
from analytics.reports.run_facts import RunFacts
from analytics.reports.waterfall import end_of
from analytics.reports.words import Note, Tone
from tracer.model import Failure, Run, RunStatus, Step, StepKind, elapsed_ns

__all__ = ["notes_of"]

_NAMED: Final = 5
_MESSAGE: Final = 500
_ENDED_BADLY: Final = {
    RunStatus.FAILED: "It failed",
    RunStatus.TIMED_OUT: "It timed out",
    RunStatus.TERMINATED: "Somebody terminated it",
    RunStatus.CANCELED: "It was cancelled",
}


def notes_of(facts: RunFacts) -> Iterator[Note]:
    """At most one note: a run that went well needs none."""
    run = facts.run
    if run.is_stuck:
        yield _stuck(run)
    elif not run.is_closed:
        yield Note("What it is waiting for", "\n".join(_waiting(run)), Tone.WARN)
    elif run.status in _ENDED_BADLY:
        text = cause_of(run.failure) if run.failure is not None else run.close_reason
        tone = Tone.WARN if run.status is RunStatus.CANCELED else Tone.BAD
        yield Note(_ENDED_BADLY[run.status], text, tone)


def cause_of(failure: Failure) -> str:
    """The root cause, and what passed it on."""
    root = failure.root
    text = f"{root.type or root.kind}: {root.message[:_MESSAGE]}"
    passed = [link.activity_type for link in failure.chain if link.activity_type]
    if passed:
        text += f"\nin activity {', '.join(passed)}"
    if failure.retry_state:
        text += f"\nnot tried again: {failure.retry_state.replace('_', ' ').lower()}"
    return text


def _stuck(run: Run) -> Note:
    last = next((task for task in reversed(run.tasks) if task.failure is not None), None)
    kind = last.failure_kind if last is not None and last.failure_kind else "failure"
    tries = counted(run.failed_task_streak, "workflow task")
    text = f"{tries} in a row ended in: {kind.replace('_', ' ')}."
    if last is not None and last.failure is not None:
        text += f"\n{cause_of(last.failure)}"
    return Note("It is stuck: Temporal repeats a workflow task that fails every time", text)


def _waiting(run: Run) -> Iterator[str]:
    end = end_of(run) or 0
    if run.is_paused:
        yield "Somebody paused it."
    open_steps = [step for step in run.steps if step.is_open]
    for step in open_steps[:_NAMED]:
        yield _open_step(step, end)
    if len(open_steps) > _NAMED:
        yield f"and {len(open_steps) - _NAMED:,} more open steps"
    for wait in run.waits:
        if wait.closed_at is None:
            for_ = wait.label or "a signal, an update or a timer"
            yield f"{for_}: it stands still since {duration(end - wait.opened_at)}"
    if not open_steps and all(wait.closed_at is not None for wait in run.waits):
        yield "A worker: its next workflow task has not been completed."
    yield "As of the last event that was read."


def _open_step(step: Step, end: int) -> str:
    since = duration(elapsed_ns(step.scheduled_at, end))
    kind = step.kind.replace("_", " ")
    text = f"{kind} {step.name}, asked for {since} before the last event"
    if step.attempt_count > 1:
        text += f", attempt {step.attempt_count}"
    failures = [attempt.failure for attempt in step.attempts if attempt.failure is not None]
    if failures:
        root = failures[-1].root
        text += f", after {root.type or root.kind}: {root.message[:_MESSAGE]}"
    if step.kind is StepKind.TIMER and (length := step.timeouts.get("start_to_fire")):
        text += f", set to {duration(round(length * 1e9))}"
    return text
