"""What a report on one run is made from: its history's model, and what a warehouse knows beside it.

A history alone is enough. The warehouse adds attempts that spans watched, decisions, exact model
calls, and the split of the run's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from analytics.failure_rows import step_id
from analytics.reports.asking import asking
from analytics.run_knowledge import knowledge_of
from replayer.alignment import Knowledge, StepCalls
from replayer.model_calls import model_call_of
from tracer.model import Attempt, AttemptSource, Failure, Outcome, Run, Step

__all__ = ["RunFacts", "facts_in", "step_calls"]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run, and everything that is known of it."""

    run: Run
    origin: str
    """Where the history was read."""
    knowledge: Knowledge = field(default_factory=Knowledge)
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    """Those that spans told of, in order, by step id as tables have it."""
    time_parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds by part, which add up to the run's duration; empty outside a warehouse."""

    def attempts_of(self, step: Step) -> tuple[Sequence[Attempt], bool]:
        """The attempts of a step, and whether each of them was watched."""
        watched = self.attempts.get(step_id(step.kind, step.id, step.occurrence), ())
        if len(watched) >= max(step.attempt_count, 1):
            return watched, True
        return step.attempts, False


def facts_in(warehouse: Path, run: Run, origin: str) -> RunFacts:
    """Add what a warehouse knows of a run; a run that it does not have gets nothing added.

    Raises:
        WarehouseError: There is nothing to read.
    """
    knowledge = knowledge_of(warehouse, run.key)
    with asking(warehouse) as connection:
        values = [run.key.workflow_id, run.key.run_id]
        rows = connection.execute(_ATTEMPTS, values).fetchall()
        split = connection.execute(_TIME, values)
        names = [column[0] for column in split.description or []]
        parts = split.fetchone()
    attempts: dict[str, list[Attempt]] = {}
    for name, *attempt in rows:
        attempts.setdefault(name, []).append(_attempt(*attempt))
    return RunFacts(run, origin, knowledge, attempts, _parts(names, parts))


def step_calls(facts: RunFacts, step: Step) -> StepCalls | None:
    """The model calls of a step: as spans told, else as its result does; `None` for none."""
    known = facts.knowledge.calls.get((step.kind, step.id, step.occurrence))
    if known is not None:
        return known
    call = model_call_of(step)
    if call is None:
        return None
    cost = call.cost()
    usd = None if cost is None else float(cost.total_usd)
    return StepCalls(call.model, call.usage.input_tokens, call.usage.output_tokens, usd)


def _parts(names: Sequence[str], row: Sequence[object] | None) -> dict[str, float]:
    found = {}
    for name, value in zip(names, row or (), strict=False):
        if name.endswith("_s") and name != "total_s" and isinstance(value, float):
            found[name.removesuffix("_s")] = value
    return found


def _attempt(
    number: int,
    started_at: int | None,
    ended_at: int | None,
    outcome: str | None,
    kind: str | None,
    message: str | None,
    identity: str | None,
) -> Attempt:
    failure = Failure("application", kind or "", message or "") if kind or message else None
    return Attempt(
        number,
        AttemptSource.SPAN,
        started_at,
        ended_at,
        Outcome(outcome) if outcome else None,
        failure,
        identity or "",
    )


_ATTEMPTS: Final = """
SELECT step_id, attempt, epoch_ns(started_at), epoch_ns(ended_at), outcome, failure_type,
       failure_message, worker_identity
FROM mart.attempts
WHERE workflow_id = ? AND run_id = ? AND attempt_source = 'span'
ORDER BY step_id, attempt
"""

_TIME: Final = "SELECT * FROM mart.time_split WHERE workflow_id = ? AND run_id = ?"
