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

from tracer._attributes import Value, contents, failure_attributes, previous_attributes
from tracer.context import caller_of
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
from tracer.settings import DEFAULT_SETTINGS, SpanSettings
from tracer.spans import RunSpans, SpanRecord, attempt_span_id

_WITH_ATTEMPTS: Final = frozenset({StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY})
_UNANSWERED: Final = frozenset({"START_TO_CLOSE", "HEARTBEAT"})
"""Timeouts that run while a worker has the attempt."""


def attempts_of(run: Run, settings: SpanSettings = DEFAULT_SETTINGS) -> Iterator[SpanRecord]:
    """The spans of all attempts that a history knows to be over."""
    spans = RunSpans(run, settings)
    for step in run.steps:
        if step.kind in _WITH_ATTEMPTS and not step.is_inherited:
            attempts = _Attempts(run, step, settings, spans)
            yield from attempts.records()


class _Attempts:
    """The attempts of one step."""

    def __init__(self, run: Run, step: Step, settings: SpanSettings, spans: RunSpans) -> None:
        self._run = run
        self._step = step
        self._content = settings.content
        self._parent = caller_of(step.headers) or spans.step_ref(step)
        self._known = {attempt.number: attempt for attempt in step.attempts}
        # A local activity has no headers that a history shows.
        sent = (
            settings.tenant.of_attempt(run.key.namespace, step.headers) if settings.tenant else ""
        )
        is_local = step.kind is StepKind.LOCAL_ACTIVITY
        self._tenant = sent or (spans.tenant or "" if is_local else "")

    def records(self) -> Iterator[SpanRecord]:
        step = self._step
        for number in range(1, step.attempt_count + 1):
            attempt = self._known.get(number) or Attempt(number, AttemptSource.HISTORY, None)
            is_running = attempt.outcome is None and number == step.attempt_count
            if not is_running:
                yield self._record(attempt)

    def _over_at(self, number: int) -> int:
        """The latest time at which an attempt may have ended, if it does not say when."""
        following = self._known.get(number + 1)
        if following is not None and following.started_at is not None:
            return following.started_at
        return self._step.started_at or self._step.scheduled_at

    def _record(self, attempt: Attempt) -> SpanRecord:
        step, parent = self._step, self._parent
        end = attempt.ended_at or self._over_at(attempt.number)
        start = attempt.started_at or end
        # Temporal tries again only after a failure, so an attempt that nothing is known of failed.
        outcome = attempt.outcome or Outcome.FAILED
        failure = attempt.failure
        root = failure.root if failure else None
        return SpanRecord(
            trace_id=parent.trace_id,
            span_id=attempt_span_id(self._run.key.run_id, parent.span_id, step.id, attempt.number),
            parent=parent,
            kind=SpanKind.ATTEMPT,
            name=f"attempt {step.name}",
            start_ns=start,
            end_ns=max(start, end),
            is_error=outcome is not Outcome.CANCELED
            and outcome is not Outcome.COMPLETED
            and not (root and root.benign),
            status_message=root.message if root else "",
            attributes=self._attributes(attempt, outcome, failure),
        )

    def _attributes(
        self, attempt: Attempt, outcome: Outcome, failure: Failure | None
    ) -> dict[str, Value]:
        run, step = self._run, self._step
        values: dict[A, Value] = {
            A.SPAN_KIND: SpanKind.ATTEMPT.value,
            A.ATTEMPT_SOURCE: AttemptSource.HISTORY.value,
            A.WORKFLOW_ID: run.key.workflow_id,
            A.RUN_ID: run.key.run_id,
            A.NAMESPACE: run.key.namespace,
            A.WORKFLOW_TYPE: run.workflow_type,
            A.TENANT: self._tenant,
            A.ACTIVITY_ID: step.id,
            A.ACTIVITY_TYPE: step.name,
            A.ACTIVITY_ATTEMPT: attempt.number,
            A.IS_LOCAL: step.kind is StepKind.LOCAL_ACTIVITY,
            A.TASK_QUEUE: step.task_queue,
            A.IDENTITY: attempt.identity,
            A.OUTCOME: outcome.value,
            A.IS_LAST_ATTEMPT: attempt.number == step.attempt_count and not step.is_open,
        }
        if _is_lost(failure):
            values[A.IS_LOST] = True
        result = step.result if outcome is Outcome.COMPLETED else ()
        values.update(contents(self._content, run.workflow_type, step.input, result))
        attributes = {key.value: value for key, value in values.items() if value != ""}
        before = self._known.get(attempt.number - 1)
        attributes.update(previous_attributes(before.failure if before else None))
        return attributes | failure_attributes(failure)


def _is_lost(failure: Failure | None) -> bool:
    """Whether a worker had the attempt and never answered."""
    return failure is not None and failure.kind == "timeout" and failure.type in _UNANSWERED
