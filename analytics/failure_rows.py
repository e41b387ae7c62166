"""Rows of `core.failures`, and the three columns by which other tables show a failure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from analytics.columns import Block, Columns, Times
from tracer.model import Failure, Run, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["failure_block", "failure_columns", "step_id"]


def failure_columns(failures: Sequence[Failure | None]) -> Columns:
    """Type and message of the root cause, and the fingerprint; NULLs where nothing failed."""
    roots = [failure.root if failure else None for failure in failures]
    return {
        "failure_type": [(root.type or root.kind) if root else None for root in roots],
        "failure_message": [root.message if root else None for root in roots],
        "failure_fingerprint": [_fingerprint(root) if root else None for root in roots],
    }


class _Link(NamedTuple):
    """One link of a chain of failures."""

    owner_kind: str
    owner_id: str | None
    attempt: int | None
    failed_at: int | None
    level: int
    root: Failure
    failure: Failure


def failure_block(runs: Sequence[Run]) -> Block:
    """One row per link of each chain of failures that the histories tell of."""
    chains = [list(_all_chains(run)) for run in runs]
    links = [link for chain in chains for link in chain]
    failures = [link.failure for link in links]
    columns: Columns = {
        "owner_kind": [link.owner_kind for link in links],
        "owner_id": [link.owner_id for link in links],
        "attempt": [link.attempt for link in links],
        "failed_at": Times([link.failed_at for link in links]),
        "level": [link.level for link in links],
        "is_root": [link.failure is link.root for link in links],
        "kind": [failure.kind for failure in failures],
        "type": [failure.type or None for failure in failures],
        "message": [failure.message or None for failure in failures],
        "stack_trace": [failure.stack_trace or None for failure in failures],
        "source": [failure.source or None for failure in failures],
        "non_retryable": [failure.non_retryable for failure in failures],
        "benign": [failure.benign for failure in failures],
        "encoded": [failure.encoded for failure in failures],
        "fingerprint": [_fingerprint(link.root) for link in links],
    }
    return Block(columns, [len(chain) for chain in chains])


def _all_chains(run: Run) -> Iterator[_Link]:
    if run.failure:
        yield from _chain("run", None, None, run.closed_at, run.failure)
    for step in run.steps:
        name = None
        if step.failure:
            name = step_id(step.kind, step.id, step.occurrence)
            yield from _chain("step", name, None, step.closed_at, step.failure)
        for attempt in step.attempts:
            if attempt.failure:
                name = name or step_id(step.kind, step.id, step.occurrence)
                number, ended_at = attempt.number, attempt.ended_at
                yield from _chain("attempt", name, number, ended_at, attempt.failure)
    for update in run.updates:
        if update.failure:
            yield from _chain("update", update.id, None, update.completed_at, update.failure)
    for number, task in enumerate(run.tasks, 1):
        if task.failure:
            yield from _chain("workflow_task", str(number), None, task.closed_at, task.failure)


def _chain(
    owner_kind: str,
    owner_id: str | None,
    attempt: int | None,
    failed_at: int | None,
    failure: Failure,
) -> Iterator[_Link]:
    root = failure.root
    for level, link in enumerate(failure.chain):
        yield _Link(owner_kind, owner_id, attempt, failed_at, level, root, link)


@lru_cache(maxsize=1024)
def _fingerprint(root: Failure) -> str:
    """A failure is shown by the attempt that met it, by its step and by the run that it ended."""
    return fingerprint(root)


def step_id(kind: str, id_in_history: str, occurrence: int = 1) -> str:
    """The name of a step in its run, as all tables use it."""
    name = f"{kind}:{id_in_history}"
    return name if occurrence == 1 else f"{name}#{occurrence}"
