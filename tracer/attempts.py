"""Attempts of activities, as far as a history tells of them.

A history keeps the last attempt of a step, why the one before it failed, and how many there were.
That is enough to show what a worker could not tell: it died, or its spans never arrived. The spans
have the ids that the workers gave theirs, so what did arrive is not doubled.

An attempt whose start nobody wrote down stands, without length, where the next one began: that is
when it was known to be over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tracer.context import SpanRef, caller_of
from tracer.model.words import (
    Attempt,
    AttemptSource,
    Failure,
    Outcome,
    Run,
    Step,
    StepKind,
)
from tracer.names import Attribute as A
from tracer.names import SpanKind
from tracer.spans import RunSpans, SpanRecord, Value, attempt_span_id, failure_attributes

_WITH_ATTEMPTS: Final = frozenset({StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY})
_UNANSWERED: Final = frozenset({"START_TO_CLOSE", "HEARTBEAT"})
"""Timeouts that run while a worker has the attempt."""


def attempts_of(run: Run) -> Iterator[SpanRecord]:
    """The spans of all attempts that a history knows to be over."""
    spans = RunSpans(run)
    for step in run.steps:
        if step.kind in _WITH_ATTEMPTS and not step.is_inherited:
            yield from _attempts_of_step(run, step, spans)


def _attempts_of_step(run: Run, step: Step, spans: RunSpans) -> Iterator[SpanRecord]:
    parent = caller_of(step.headers) or spans.step_ref(step)
    known = {attempt.number: attempt for attempt in step.attempts}
    for number in range(1, step.attempt_count + 1):
        attempt = known.get(number) or Attempt(number, AttemptSource.HISTORY, None)
        is_running = attempt.outcome is None and number == step.attempt_count
        if not is_running:
            over_at = _over_at(step, known.get(number + 1))
            yield _record(run, step, attempt, parent, over_at)


def _over_at(step: Step, following: Attempt | None) -> int:
    """The latest time at which an attempt may have ended, if it does not say when."""
    if following is not None and following.started_at is not None:
        return following.started_at
    return step.started_at or step.scheduled_at


def _record(run: Run, step: Step, attempt: Attempt, parent: SpanRef, over_at: int) -> SpanRecord:
    end = attempt.ended_at or over_at
    start = attempt.started_at or end
    # Temporal tries again only after a failure, so an attempt that nothing is known of failed.
    outcome = attempt.outcome or Outcome.FAILED
    failure = attempt.failure
    root = failure.root if failure else None
    return SpanRecord(
        trace_id=parent.trace_id,
        span_id=attempt_span_id(run.key.run_id, parent.span_id, step.id, attempt.number),
        parent=parent,
        kind=SpanKind.ATTEMPT,
        name=f"attempt {step.name}",
        start_ns=start,
        end_ns=max(start, end),
        is_error=outcome is not Outcome.CANCELED
        and outcome is not Outcome.COMPLETED
        and not (root and root.benign),
        status_message=root.message if root else "",
        attributes=_attributes(run, step, attempt, outcome, failure),
    )


def _attributes(
    run: Run, step: Step, attempt: Attempt, outcome: Outcome, failure: Failure | None
) -> dict[str, Value]:
    is_last = attempt.number == step.attempt_count and not step.is_open
    values: dict[A, Value] = {
        A.SPAN_KIND: SpanKind.ATTEMPT.value,
        A.ATTEMPT_SOURCE: AttemptSource.HISTORY.value,
        A.WORKFLOW_ID: run.key.workflow_id,
        A.RUN_ID: run.key.run_id,
        A.NAMESPACE: run.key.namespace,
        A.WORKFLOW_TYPE: run.workflow_type,
        A.ACTIVITY_ID: step.id,
        A.ACTIVITY_TYPE: step.name,
        A.ACTIVITY_ATTEMPT: attempt.number,
        A.IS_LOCAL: step.kind is StepKind.LOCAL_ACTIVITY,
        A.TASK_QUEUE: step.task_queue,
        A.IDENTITY: attempt.identity,
        A.OUTCOME: outcome.value,
        A.IS_LAST_ATTEMPT: is_last,
    }
    if _is_lost(failure):
        values[A.IS_LOST] = True
    attributes = {key.value: value for key, value in values.items() if value != ""}
    return attributes | failure_attributes(failure)


def _is_lost(failure: Failure | None) -> bool:
    """Whether a worker had the attempt and never answered."""
    return failure is not None and failure.kind == "timeout" and failure.type in _UNANSWERED
