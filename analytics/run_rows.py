"""Rows of the derived tables, made from the model of a run.

What a step, an attempt or a wait is, only the state machine decides (`tracer.model`); here its
words are written down as columns. Nothing is derived from events a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from analytics.columns import utc
from analytics.critical_path import critical_path
from analytics.event_rows import key_columns
from analytics.failure_rows import failure_columns, failure_rows, step_id
from analytics.llm_rows import history_call_rows
from tracer.context import trace_id_of
from tracer.identity import span_id
from tracer.model import Run, Step, elapsed_ns
from tracer.model.payloads import json_of, size_of
from tracer.spans import STEP_SPANS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analytics.tables import Row, Rows
    from replayer.history import RunHistory

__all__ = ["DERIVED_TABLES", "derived_rows", "seconds"]

DERIVED_TABLES: Final = {
    "core.runs": "true",
    "core.steps": "true",
    "core.attempts": "attempt_source = 'history'",
    "core.waits": "true",
    "core.signals": "true",
    "core.updates": "true",
    "core.workflow_tasks": "true",
    "core.patches": "true",
    "core.failures": "true",
    "core.llm_calls": "usage_source = 'history'",
}
"""Tables that are made anew when a run grows, and which of their rows come from histories."""


def seconds(start: int | None, end: int | None) -> float | None:
    """Seconds between two times in nanoseconds, never negative; `None` where one is missing."""
    elapsed = elapsed_ns(start, end)
    return None if elapsed is None else elapsed / 1e9


def derived_rows(run: Run, history: RunHistory, payload_bytes: int) -> dict[str, Rows]:
    """The rows of all `DERIVED_TABLES` for one run.

    Args:
        run: The model of the history.
        history: What it was made from.
        payload_bytes: Bytes of all payloads in the history.
    """
    critical = critical_path(run)
    return {
        "core.runs": [_run_row(run, history, payload_bytes)],
        "core.steps": [_step_row(run, step, critical.steps.get(step.seq)) for step in run.steps],
        "core.attempts": [row for step in run.steps for row in _attempt_rows(run, step)],
        "core.waits": _wait_rows(run, critical.waits),
        "core.signals": _signal_rows(run),
        "core.updates": _update_rows(run),
        "core.workflow_tasks": _task_rows(run),
        "core.patches": _patch_rows(run),
        "core.failures": failure_rows(run),
        "core.llm_calls": history_call_rows(run),
    }


def _run_row(run: Run, history: RunHistory, payload_bytes: int) -> Row:
    end = run.closed_at if run.is_closed else run.last_event_at
    return (
        key_columns(run.key)
        | failure_columns(run.failure)
        | {
            "workflow_type": run.workflow_type or None,
            "task_queue": run.task_queue or None,
            "status": run.status.value,
            "is_closed": run.is_closed,
            "is_stuck": run.is_stuck,
            "failed_task_streak": run.failed_task_streak,
            "is_paused": run.is_paused,
            "started_at": utc(run.started_at),
            "closed_at": utc(run.closed_at),
            "last_event_at": utc(run.last_event_at),
            "duration_s": seconds(run.started_at, end),
            "attempt": run.attempt,
            "cron_schedule": run.cron_schedule or None,
            "started_by": run.identity or None,
            "closed_by": run.close_identity or None,
            "close_reason": run.close_reason or None,
            "cancel_requested_at": utc(run.cancel_requested_at),
            "n_events": run.event_count,
            "first_event_id": run.first_event_id,
            "last_event_id": run.last_event_id,
            "history_bytes": run.history_size_bytes,
            "payload_bytes": payload_bytes,
            "suggest_continue_as_new": run.suggest_continue_as_new,
            "build_id": run.build_id or None,
            "deployment_name": run.deployment_name or None,
            "sdk_name": run.sdk_name or None,
            "sdk_version": run.sdk_version or None,
            "memo": _values(run.memo),
            "search_attributes": _values(run.search_attributes),
            "trace_id": f"{trace_id_of(run.key.run_id, run.headers):032x}",
            "key_source": str(history.key_source),
            "source_sha256": history.origin.sha256,
        }
        | _related_runs(run)
    )


def _related_runs(run: Run) -> dict[str, object]:
    return {
        "first_run_id": run.first_run_id or None,
        "original_run_id": run.original_run_id or None,
        "continued_from_run_id": run.continued_from_run_id or None,
        "continued_to_run_id": run.continued_to_run_id or None,
        "reset_from_run_id": run.reset_from_run_id or None,
        "parent_workflow_id": run.parent.workflow_id if run.parent else None,
        "parent_run_id": run.parent.run_id if run.parent else None,
        "root_workflow_id": run.root.workflow_id if run.root else None,
        "root_run_id": run.root.run_id if run.root else None,
    }


def _values(payloads: Mapping[str, Any]) -> str:
    values = {name: json_of(payloads[name]) for name in sorted(payloads)}
    try:
        return orjson.dumps(values).decode()
    except TypeError:
        return orjson.dumps({name: _storable(value) for name, value in values.items()}).decode()


def _storable(value: Any) -> Any:
    """A value, or null if it cannot be written: JSON may have half a surrogate pair, UTF-8 not."""
    try:
        orjson.dumps(value)
    except TypeError:
        return None
    return value


def _bytes(payloads: Sequence[Any]) -> int:
    return sum(map(size_of, payloads))


def _step_row(run: Run, step: Step, critical_gap: int | None) -> Row:
    is_retried = step.attempt_count > 1
    before_start = seconds(step.scheduled_at, step.started_at)
    return (
        key_columns(run.key)
        | failure_columns(step.failure)
        | {
            "step_id": step_id(step.kind, step.id, step.occurrence),
            "seq": step.seq,
            "kind": step.kind.value,
            "name": step.name,
            "id": step.id,
            "occurrence": step.occurrence,
            "span_id": _step_span(run, step),
            "scheduled_event_id": step.scheduled_event_id,
            "closed_event_id": step.closed_event_id,
            "scheduled_at": utc(step.scheduled_at),
            "started_at": utc(step.started_at),
            "closed_at": utc(step.closed_at),
            "outcome": step.outcome.value if step.outcome else None,
            "n_attempts": step.attempt_count,
            "queue_s": None if is_retried else before_start,
            "retry_s": before_start if is_retried else None,
            "last_attempt_s": seconds(step.started_at, step.closed_at),
            "total_s": seconds(step.scheduled_at, step.closed_at),
            "input_bytes": _bytes(step.input),
            "result_bytes": _bytes(step.result),
            "retry_state": step.retry_state or None,
            "task_queue": step.task_queue or None,
            "summary": step.summary or None,
            "timeouts": orjson.dumps(step.timeouts, option=orjson.OPT_SORT_KEYS).decode(),
            "maximum_attempts": step.retry_policy.maximum_attempts if step.retry_policy else None,
            "child_run_id": step.child_run_id or None,
            "cancel_requested_at": utc(step.cancel_requested_at),
            "caused_by_event_id": step.caused_by_event_id,
            "caused_by_update_id": step.caused_by_update_id or None,
            "critical_gap_s": None if critical_gap is None else critical_gap / 1e9,
        }
    )


def _step_span(run: Run, step: Step) -> str:
    kind = STEP_SPANS[step.kind]
    return f"{span_id(run.key.run_id, kind, step.id, step.occurrence):016x}"


def _attempt_rows(run: Run, step: Step) -> list[Row]:
    key = key_columns(run.key)
    return [
        key
        | failure_columns(attempt.failure)
        | {
            "step_id": step_id(step.kind, step.id, step.occurrence),
            "attempt": attempt.number,
            "attempt_source": attempt.source.value,
            "trace_id": None,
            "span_id": None,
            "step_name": step.name,
            "started_at": utc(attempt.started_at),
            "ended_at": utc(attempt.ended_at),
            "duration_s": seconds(attempt.started_at, attempt.ended_at),
            "outcome": attempt.outcome.value if attempt.outcome else None,
            "worker_identity": attempt.identity or None,
        }
        for attempt in step.attempts
    ]


def _wait_rows(run: Run, critical: Mapping[int, int]) -> list[Row]:
    key = key_columns(run.key)
    return [
        key
        | {
            "occurrence": wait.occurrence,
            "label": wait.label or None,
            "opened_at": utc(wait.opened_at),
            "closed_at": utc(wait.closed_at),
            "wait_s": seconds(wait.opened_at, wait.closed_at),
            "woken_by": wait.woken_by.value if wait.woken_by else None,
            "woken_by_name": wait.woken_by_name or None,
            "woken_by_identity": wait.woken_by_identity or None,
            "is_human": wait.is_human,
            "opened_event_id": wait.opened_event_id,
            "closed_event_id": wait.closed_event_id,
            "critical_gap_s": (
                critical[wait.occurrence] / 1e9 if wait.occurrence in critical else None
            ),
        }
        for wait in run.waits
    ]


def _signal_rows(run: Run) -> list[Row]:
    key = key_columns(run.key)
    return [
        key
        | {
            "name": signal.name,
            "occurrence": signal.occurrence,
            "received_at": utc(signal.at),
            "event_id": signal.event_id,
            "identity": signal.identity or None,
            "from_workflow_id": signal.from_workflow_id or None,
            "input_bytes": _bytes(signal.input),
        }
        for signal in run.signals
    ]


def _update_rows(run: Run) -> list[Row]:
    key = key_columns(run.key)
    return [
        key
        | failure_columns(update.failure)
        | {
            "update_id": update.id,
            "name": update.name or None,
            "admitted_at": utc(update.admitted_at),
            "accepted_at": utc(update.accepted_at),
            "completed_at": utc(update.completed_at),
            "accepted_event_id": update.accepted_event_id,
            "outcome": update.outcome.value if update.outcome else None,
            "identity": update.identity or None,
            "input_bytes": _bytes(update.input),
            "result_bytes": _bytes(update.result),
        }
        for update in run.updates
    ]


def _task_rows(run: Run) -> list[Row]:
    key = key_columns(run.key)
    return [
        key
        | failure_columns(task.failure)
        | {
            "seq": number,
            "scheduled_event_id": task.scheduled_event_id,
            "closed_event_id": task.closed_event_id,
            "scheduled_at": utc(task.scheduled_at),
            "started_at": utc(task.started_at),
            "closed_at": utc(task.closed_at),
            "queue_s": seconds(task.scheduled_at, task.started_at),
            "exec_s": seconds(task.started_at, task.closed_at),
            "attempt": task.attempt,
            "outcome": task.outcome.value if task.outcome else None,
            "cause": task.cause or None,
            "failure_kind": task.failure_kind.value if task.failure_kind else None,
            "identity": task.identity or None,
            "build_id": task.build_id or None,
            "history_size_bytes": task.history_size_bytes,
            "suggest_continue_as_new": task.suggest_continue_as_new,
        }
        for number, task in enumerate(run.tasks, 1)
    ]


def _patch_rows(run: Run) -> list[Row]:
    key = key_columns(run.key)
    return [
        key
        | {
            "patch_id": patch.id,
            "deprecated": patch.deprecated,
            "taken_at": utc(patch.at),
            "event_id": patch.event_id,
        }
        for patch in run.patches
    ]
