"""A run as one JSON document: what `show --json` writes.

Names are those of `tracer.model`, times ISO 8601, durations seconds. Payloads are sizes and
encodings unless they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from replayer.history import RunHistory, decode, iter_payloads
from tracer.model import (
    Attempt,
    Failure,
    Run,
    Step,
    Update,
    Wait,
    WorkflowTask,
    elapsed_ns,
    time_of,
)
from tui import figures
from tui.walk import type_of

type Document = dict[str, Any]


def run_document(
    run: Run, history: RunHistory, *, with_events: bool, with_payloads: bool
) -> Document:
    """The run, and what was read to know it."""
    document = {
        "namespace": run.key.namespace,
        "workflow_id": run.key.workflow_id,
        "run_id": run.key.run_id,
        "key_source": history.key_source.value,
        "origin": history.origin.uri,
        "workflow_type": run.workflow_type,
        "task_queue": run.task_queue,
        "status": run.status.value,
        "is_stuck": run.is_stuck,
        "started_at": figures.iso(run.started_at),
        "closed_at": figures.iso(run.closed_at),
        "duration_s": _seconds(run.started_at, run.closed_at),
        "event_count": run.event_count,
        "failure": failure_document(run.failure),
        "input": _payloads(run.input, with_payloads),
        "result": _payloads(run.result, with_payloads),
        "continued_from_run_id": run.continued_from_run_id or None,
        "continued_to_run_id": run.continued_to_run_id or None,
        "steps": [_step(step, with_payloads) for step in run.steps],
        "waits": [_wait(wait) for wait in run.waits],
        "signals": [
            {
                "name": s.name,
                "at": figures.iso(s.at),
                "identity": s.identity,
                "event_id": s.event_id,
            }
            for s in run.signals
        ],
        "updates": [_update(update) for update in run.updates],
        "task_failures": [_task(task) for task in failed_tasks(run)],
    }
    if with_events:
        document["events"] = [_event(event, with_payloads) for event in history.events]
    return document


def failed_tasks(run: Run) -> list[WorkflowTask]:
    """Workflow tasks that failed or timed out."""
    return [task for task in run.tasks if task.outcome not in (None, "completed")]


def failure_document(failure: Failure | None) -> Document | None:
    """A failure with its causes nested."""
    if failure is None:
        return None
    return {
        "kind": failure.kind,
        "type": failure.type,
        "message": failure.message,
        "stack_trace": failure.stack_trace or None,
        "non_retryable": failure.non_retryable,
        "cause": failure_document(failure.cause),
    }


def payload_document(payload: Any, *, with_value: bool) -> Document:
    """A payload: what it is, and its value when it is asked for."""
    decoded = decode(payload)
    document: Document = {"encoding": decoded.encoding, "size": decoded.size}
    if decoded.note:
        document["note"] = decoded.note
    if with_value:
        document["value"] = decoded.json if decoded.json is not None else decoded.text
    return document


def _payloads(payloads: Sequence[Any], with_value: bool) -> list[Document]:
    return [payload_document(payload, with_value=with_value) for payload in payloads]


def _step(step: Step, with_payloads: bool) -> Document:
    return {
        "seq": step.seq,
        "kind": step.kind.value,
        "name": step.name,
        "id": step.id,
        "outcome": step.outcome,
        "scheduled_at": figures.iso(step.scheduled_at),
        "closed_at": figures.iso(step.closed_at),
        "duration_s": _seconds(step.scheduled_at, step.closed_at),
        "attempt_count": step.attempt_count,
        "attempts": [_attempt(attempt) for attempt in step.attempts],
        "failure": failure_document(step.failure),
        "retry_state": step.retry_state or None,
        "summary": step.summary or None,
        "scheduled_event_id": step.scheduled_event_id,
        "closed_event_id": step.closed_event_id,
        "input": _payloads(step.input, with_payloads),
        "result": _payloads(step.result, with_payloads),
    }


def _attempt(attempt: Attempt) -> Document:
    return {
        "number": attempt.number,
        "source": attempt.source.value,
        "started_at": figures.iso(attempt.started_at),
        "ended_at": figures.iso(attempt.ended_at),
        "outcome": attempt.outcome,
        "failure": failure_document(attempt.failure),
        "identity": attempt.identity or None,
    }


def _wait(wait: Wait) -> Document:
    return {
        "label": wait.label or None,
        "opened_at": figures.iso(wait.opened_at),
        "closed_at": figures.iso(wait.closed_at),
        "duration_s": _seconds(wait.opened_at, wait.closed_at),
        "woken_by": wait.woken_by,
        "woken_by_name": wait.woken_by_name or None,
        "woken_by_identity": wait.woken_by_identity or None,
        "is_human": wait.is_human,
    }


def _update(update: Update) -> Document:
    return {
        "id": update.id,
        "name": update.name,
        "accepted_at": figures.iso(update.accepted_at),
        "completed_at": figures.iso(update.completed_at),
        "outcome": update.outcome,
        "failure": failure_document(update.failure),
        "identity": update.identity or None,
    }


def _task(task: WorkflowTask) -> Document:
    return {
        "scheduled_event_id": task.scheduled_event_id,
        "closed_event_id": task.closed_event_id,
        "closed_at": figures.iso(task.closed_at),
        "outcome": task.outcome,
        "cause": task.cause or None,
        "failure_kind": task.failure_kind,
        "failure": failure_document(task.failure),
    }


def _event(event: Any, with_payloads: bool) -> Document:
    document: Document = {
        "event_id": event.event_id,
        "type": type_of(event),
        "at": figures.iso(time_of(event)),
    }
    if with_payloads:
        document["payloads"] = [
            {"slot": slot, "index": index, **payload_document(payload, with_value=True)}
            for slot, index, payload in iter_payloads(event)
        ]
    return document


def _seconds(start: int | None, end: int | None) -> float | None:
    elapsed = elapsed_ns(start, end)
    return None if elapsed is None else elapsed / 1e9
