"""Rows of `core.failures`, and the three columns by which other tables show a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.columns import utc
from analytics.event_rows import key_columns
from tracer.model import Failure, Run, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analytics.tables import Row

__all__ = ["failure_columns", "failure_rows", "step_id"]


def failure_columns(failure: Failure | None) -> dict[str, object]:
    """Type and message of the root cause, and the fingerprint; NULLs where nothing failed."""
    return {
        "failure_type": (failure.root.type or failure.root.kind) if failure else None,
        "failure_message": failure.root.message if failure else None,
        "failure_fingerprint": fingerprint(failure) if failure else None,
    }


def failure_rows(run: Run) -> list[Row]:
    """One row per link of each chain of failures that the run's history tells of."""
    key = key_columns(run.key)
    return [key | row for row in _all_chains(run)]


def _all_chains(run: Run) -> Iterator[dict[str, object]]:
    yield from _chain("run", None, None, run.closed_at, run.failure)
    for step in run.steps:
        name = step_id(step.kind, step.id, step.occurrence)
        yield from _chain("step", name, None, step.closed_at, step.failure)
        for attempt in step.attempts:
            yield from _chain("attempt", name, attempt.number, attempt.ended_at, attempt.failure)
    for update in run.updates:
        yield from _chain("update", update.id, None, update.completed_at, update.failure)
    for number, task in enumerate(run.tasks, 1):
        yield from _chain("workflow_task", str(number), None, task.closed_at, task.failure)


def _chain(
    owner_kind: str,
    owner_id: str | None,
    attempt: int | None,
    failed_at: int | None,
    failure: Failure | None,
) -> Iterator[dict[str, object]]:
    if failure is None:
        return
    name = fingerprint(failure)
    links = failure.chain
    for level, link in enumerate(links):
        yield {
            "owner_kind": owner_kind,
            "owner_id": owner_id,
            "attempt": attempt,
            "failed_at": utc(failed_at),
            "level": level,
            "is_root": level == len(links) - 1,
            "kind": link.kind,
            "type": link.type or None,
            "message": link.message or None,
            "stack_trace": link.stack_trace or None,
            "source": link.source or None,
            "non_retryable": link.non_retryable,
            "benign": link.benign,
            "encoded": link.encoded,
            "fingerprint": name,
        }


def step_id(kind: str, id_in_history: str, occurrence: int = 1) -> str:
    """The name of a step in its run, as all tables use it."""
    name = f"{kind}:{id_in_history}"
    return name if occurrence == 1 else f"{name}#{occurrence}"
