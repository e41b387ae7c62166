"""Rows of `core.steps` and `core.attempts`, made from the models of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from analytics.columns import Block, Columns, Times, seconds
from analytics.failure_rows import failure_columns, step_id
from tracer.identity import span_id
from tracer.spans import STEP_SPANS

if TYPE_CHECKING:
    from analytics.critical_path import CriticalPath
    from tracer.model import Run, Step

__all__ = ["attempt_block", "step_block"]


def step_block(runs: Sequence[Run], critical: Sequence[CriticalPath]) -> Block:
    """One row per step.

    Args:
        runs: The models.
        critical: The critical path of each.
    """
    steps = [step for run in runs for step in run.steps]
    gaps = [
        path.steps.get(step.seq)
        for run, path in zip(runs, critical, strict=True)
        for step in run.steps
    ]
    columns: Columns = {
        "step_id": [step_id(step.kind, step.id, step.occurrence) for step in steps],
        "seq": [step.seq for step in steps],
        "kind": [step.kind for step in steps],
        "name": [step.name for step in steps],
        "id": [step.id for step in steps],
        "occurrence": [step.occurrence for step in steps],
        "span_id": [_span_id(run, step) for run in runs for step in run.steps],
        "scheduled_event_id": [step.scheduled_event_id for step in steps],
        "closed_event_id": [step.closed_event_id for step in steps],
        "outcome": [step.outcome for step in steps],
        "n_attempts": [step.attempt_count for step in steps],
        "input_bytes": [step.input_bytes for step in steps],
        "result_bytes": [step.result_bytes for step in steps],
        "retry_state": [step.retry_state or None for step in steps],
        "task_queue": [step.task_queue or None for step in steps],
        "summary": [step.summary or None for step in steps],
        "timeouts": [_timeouts(step.timeouts) for step in steps],
        "maximum_attempts": [
            step.retry_policy.maximum_attempts if step.retry_policy else None for step in steps
        ],
        "child_run_id": [step.child_run_id or None for step in steps],
        "caused_by_event_id": [step.caused_by_event_id for step in steps],
        "caused_by_update_id": [step.caused_by_update_id or None for step in steps],
        "critical_gap_s": [None if gap is None else gap / 1e9 for gap in gaps],
    }
    failures = failure_columns([step.failure for step in steps])
    counts = [len(run.steps) for run in runs]
    return Block({**columns, **_times(steps), **failures}, counts)


def _times(steps: Sequence[Step]) -> Columns:
    scheduled = [step.scheduled_at for step in steps]
    started = [step.started_at for step in steps]
    closed = [step.closed_at for step in steps]
    before_start = [*map(seconds, scheduled, started)]
    retried = [step.attempt_count > 1 for step in steps]
    waited = [*zip(retried, before_start, strict=True)]
    return {
        "scheduled_at": Times(scheduled),
        "started_at": Times(started),
        "closed_at": Times(closed),
        "cancel_requested_at": Times([step.cancel_requested_at for step in steps]),
        "queue_s": [None if is_retried else time for is_retried, time in waited],
        "retry_s": [time if is_retried else None for is_retried, time in waited],
        "last_attempt_s": [*map(seconds, started, closed)],
        "total_s": [*map(seconds, scheduled, closed)],
    }


def _span_id(run: Run, step: Step) -> str:
    return f"{span_id(run.key.run_id, STEP_SPANS[step.kind], step.id, step.occurrence):016x}"


def _timeouts(timeouts: Mapping[str, float]) -> str:
    return _timeouts_text(tuple(timeouts.items()))


@lru_cache(maxsize=256)
def _timeouts_text(timeouts: tuple[tuple[str, float], ...]) -> str:
    """As JSON; the steps of a workflow have the same few."""
    return orjson.dumps(dict(timeouts), option=orjson.OPT_SORT_KEYS).decode()


def attempt_block(runs: Sequence[Run]) -> Block:
    """One row per attempt that the histories tell of."""
    tried = [(step, attempt) for run in runs for step in run.steps for attempt in step.attempts]
    steps = [step for step, _ in tried]
    attempts = [attempt for _, attempt in tried]
    started = [attempt.started_at for attempt in attempts]
    ended = [attempt.ended_at for attempt in attempts]
    columns: Columns = {
        "step_id": [step_id(step.kind, step.id, step.occurrence) for step in steps],
        "attempt": [attempt.number for attempt in attempts],
        "attempt_source": [attempt.source for attempt in attempts],
        "trace_id": [None] * len(tried),
        "span_id": [None] * len(tried),
        "step_name": [step.name for step in steps],
        "started_at": Times(started),
        "ended_at": Times(ended),
        "duration_s": [*map(seconds, started, ended)],
        "outcome": [attempt.outcome for attempt in attempts],
        "worker_identity": [attempt.identity or None for attempt in attempts],
    }
    failures = failure_columns([attempt.failure for attempt in attempts])
    counts = [sum(len(step.attempts) for step in run.steps) for run in runs]
    return Block({**columns, **failures}, counts)
