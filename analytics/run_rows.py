"""Rows of the derived tables, made from the models of runs.

What a step, an attempt or a wait is, only the state machine decides (`tracer.model`); here its
words are written down as columns. Nothing is derived from events a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from analytics.columns import Block, Columns, Times, seconds
from analytics.critical_path import CriticalPath, critical_path
from analytics.failure_rows import failure_block, failure_columns
from analytics.llm_rows import call_block
from analytics.step_rows import attempt_block, step_block
from tracer.context import trace_id_of
from tracer.model.payloads import json_of, size_of_all

if TYPE_CHECKING:
    from replayer.history import RunHistory
    from tracer.model import Run

__all__ = ["DERIVED_TABLES", "derived_blocks"]

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


def derived_blocks(
    runs: Sequence[Run], histories: Sequence[RunHistory], payload_bytes: Sequence[int]
) -> dict[str, Block]:
    """The rows of all `DERIVED_TABLES`.

    Args:
        runs: The models of the histories.
        histories: What they were made from.
        payload_bytes: Bytes of all payloads in each history.
    """
    critical = [critical_path(run) for run in runs]
    return {
        "core.runs": _run_block(runs, histories, payload_bytes),
        "core.steps": step_block(runs, critical),
        "core.attempts": attempt_block(runs),
        "core.waits": _wait_block(runs, critical),
        "core.signals": _signal_block(runs),
        "core.updates": _update_block(runs),
        "core.workflow_tasks": _task_block(runs),
        "core.patches": _patch_block(runs),
        "core.failures": failure_block(runs),
        "core.llm_calls": call_block(runs),
    }


def _run_block(
    runs: Sequence[Run], histories: Sequence[RunHistory], payload_bytes: Sequence[int]
) -> Block:
    columns: Columns = {
        "workflow_type": [run.workflow_type or None for run in runs],
        "task_queue": [run.task_queue or None for run in runs],
        "status": [run.status for run in runs],
        "is_closed": [run.is_closed for run in runs],
        "is_stuck": [run.is_stuck for run in runs],
        "failed_task_streak": [run.failed_task_streak for run in runs],
        "is_paused": [run.is_paused for run in runs],
        "started_at": Times([run.started_at for run in runs]),
        "closed_at": Times([run.closed_at for run in runs]),
        "last_event_at": Times([run.last_event_at for run in runs]),
        "duration_s": [seconds(run.started_at, _end(run)) for run in runs],
        "attempt": [run.attempt for run in runs],
        "cron_schedule": [run.cron_schedule or None for run in runs],
        "started_by": [run.identity or None for run in runs],
        "closed_by": [run.close_identity or None for run in runs],
        "close_reason": [run.close_reason or None for run in runs],
        "cancel_requested_at": Times([run.cancel_requested_at for run in runs]),
        "n_events": [run.event_count for run in runs],
        "first_event_id": [run.first_event_id for run in runs],
        "last_event_id": [run.last_event_id for run in runs],
        "history_bytes": [run.history_size_bytes for run in runs],
        "payload_bytes": payload_bytes,
        "suggest_continue_as_new": [run.suggest_continue_as_new for run in runs],
        "build_id": [run.build_id or None for run in runs],
        "deployment_name": [run.deployment_name or None for run in runs],
        "sdk_name": [run.sdk_name or None for run in runs],
        "sdk_version": [run.sdk_version or None for run in runs],
        "memo": [_values(run.memo) for run in runs],
        "search_attributes": [_values(run.search_attributes) for run in runs],
        "trace_id": [f"{trace_id_of(run.key.run_id, run.headers):032x}" for run in runs],
        "key_source": [history.key_source for history in histories],
        "source_sha256": [history.origin.sha256 for history in histories],
    }
    failures = failure_columns([run.failure for run in runs])
    return Block({**columns, **failures, **_related_runs(runs)}, [1] * len(runs))


def _end(run: Run) -> int | None:
    return run.closed_at if run.is_closed else run.last_event_at


def _related_runs(runs: Sequence[Run]) -> Columns:
    return {
        "first_run_id": [run.first_run_id or None for run in runs],
        "original_run_id": [run.original_run_id or None for run in runs],
        "continued_from_run_id": [run.continued_from_run_id or None for run in runs],
        "continued_to_run_id": [run.continued_to_run_id or None for run in runs],
        "reset_from_run_id": [run.reset_from_run_id or None for run in runs],
        "parent_workflow_id": [run.parent.workflow_id if run.parent else None for run in runs],
        "parent_run_id": [run.parent.run_id if run.parent else None for run in runs],
        "root_workflow_id": [run.root.workflow_id if run.root else None for run in runs],
        "root_run_id": [run.root.run_id if run.root else None for run in runs],
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


def _wait_block(runs: Sequence[Run], critical: Sequence[CriticalPath]) -> Block:
    waits = [wait for run in runs for wait in run.waits]
    opened = [wait.opened_at for wait in waits]
    closed = [wait.closed_at for wait in waits]
    gaps = [
        path.waits.get(wait.occurrence)
        for run, path in zip(runs, critical, strict=True)
        for wait in run.waits
    ]
    columns: Columns = {
        "occurrence": [wait.occurrence for wait in waits],
        "label": [wait.label or None for wait in waits],
        "opened_at": Times(opened),
        "closed_at": Times(closed),
        "wait_s": [*map(seconds, opened, closed)],
        "woken_by": [wait.woken_by for wait in waits],
        "woken_by_name": [wait.woken_by_name or None for wait in waits],
        "woken_by_identity": [wait.woken_by_identity or None for wait in waits],
        "is_human": [wait.is_human for wait in waits],
        "opened_event_id": [wait.opened_event_id for wait in waits],
        "closed_event_id": [wait.closed_event_id for wait in waits],
        "critical_gap_s": [None if gap is None else gap / 1e9 for gap in gaps],
    }
    return Block(columns, [len(run.waits) for run in runs])


def _signal_block(runs: Sequence[Run]) -> Block:
    signals = [signal for run in runs for signal in run.signals]
    columns: Columns = {
        "name": [signal.name for signal in signals],
        "occurrence": [signal.occurrence for signal in signals],
        "received_at": Times([signal.at for signal in signals]),
        "event_id": [signal.event_id for signal in signals],
        "identity": [signal.identity or None for signal in signals],
        "from_workflow_id": [signal.from_workflow_id or None for signal in signals],
        "input_bytes": [signal.input_bytes for signal in signals],
    }
    return Block(columns, [len(run.signals) for run in runs])


def _update_block(runs: Sequence[Run]) -> Block:
    updates = [update for run in runs for update in run.updates]
    columns: Columns = {
        "update_id": [update.id for update in updates],
        "name": [update.name or None for update in updates],
        "admitted_at": Times([update.admitted_at for update in updates]),
        "accepted_at": Times([update.accepted_at for update in updates]),
        "completed_at": Times([update.completed_at for update in updates]),
        "accepted_event_id": [update.accepted_event_id for update in updates],
        "outcome": [update.outcome for update in updates],
        "identity": [update.identity or None for update in updates],
        "input_bytes": [size_of_all(update.input) for update in updates],
        "result_bytes": [size_of_all(update.result) for update in updates],
    }
    failures = failure_columns([update.failure for update in updates])
    return Block({**columns, **failures}, [len(run.updates) for run in runs])


def _task_block(runs: Sequence[Run]) -> Block:
    tasks = [task for run in runs for task in run.tasks]
    scheduled = [task.scheduled_at for task in tasks]
    started = [task.started_at for task in tasks]
    closed = [task.closed_at for task in tasks]
    columns: Columns = {
        "seq": [number for run in runs for number in range(1, len(run.tasks) + 1)],
        "scheduled_event_id": [task.scheduled_event_id for task in tasks],
        "closed_event_id": [task.closed_event_id for task in tasks],
        "scheduled_at": Times(scheduled),
        "started_at": Times(started),
        "closed_at": Times(closed),
        "queue_s": [*map(seconds, scheduled, started)],
        "exec_s": [*map(seconds, started, closed)],
        "attempt": [task.attempt for task in tasks],
        "outcome": [task.outcome for task in tasks],
        "cause": [task.cause or None for task in tasks],
        "failure_kind": [task.failure_kind for task in tasks],
        "identity": [task.identity or None for task in tasks],
        "build_id": [task.build_id or None for task in tasks],
        "history_size_bytes": [task.history_size_bytes for task in tasks],
        "suggest_continue_as_new": [task.suggest_continue_as_new for task in tasks],
    }
    failures = failure_columns([task.failure for task in tasks])
    return Block({**columns, **failures}, [len(run.tasks) for run in runs])


def _patch_block(runs: Sequence[Run]) -> Block:
    patches = [patch for run in runs for patch in run.patches]
    columns: Columns = {
        "patch_id": [patch.id for patch in patches],
        "deprecated": [patch.deprecated for patch in patches],
        "taken_at": Times([patch.at for patch in patches]),
        "event_id": [patch.event_id for patch in patches],
    }
    return Block(columns, [len(run.patches) for run in runs])
