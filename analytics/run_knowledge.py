"""What the warehouse knows of a run beside its history: model calls and decisions, from spans."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from analytics.query import run_query
from replayer.alignment import Decision, Knowledge, StepCalls, StepKey
from tracer.identity import RunKey

__all__ = ["knowledge_of"]


def knowledge_of(warehouse: Path | str, key: RunKey) -> Knowledge:
    """Decisions of a run and model calls of its steps; empty for a run without spans.

    Raises:
        WarehouseError: There is nothing to read.
    """
    run = {"namespace": key.namespace, "workflow_id": key.workflow_id, "run_id": key.run_id}
    calls: dict[StepKey, StepCalls] = {}
    for kind, id_, occurrence, model, read, written, usd in run_query(
        warehouse, _CALLS, params=run
    ).rows:
        cost = None if usd is None else float(usd)
        calls[kind, id_, occurrence] = StepCalls(model or "", read, written, cost)
    rows = run_query(warehouse, _DECISIONS, params=run).rows
    return Knowledge([_decision(*row) for row in rows], calls)


def _decision(
    at: int,
    function: str,
    file: str | None,
    line: int | None,
    told: str | None,
    outcome: str | None,
    occurrence: int | None,
    because: str | None,
    reasons: str | None,
) -> Decision:
    return Decision(
        place=f"{file or ''}:{function}:{line}",
        qualname=function,
        line=line or 0,
        condition=told or "",
        outcome=_outcome(outcome),
        occurrence=occurrence or 1,
        at=at,
        file=file or "",
        values=_values(reasons),
        because=because or "",
    )


def _outcome(text: str | None) -> bool | int | float | str:
    """What was decided, from the text that the warehouse keeps of it."""
    try:
        outcome = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return str(text)
    return outcome if isinstance(outcome, bool | int | float) else str(text)


def _values(text: object) -> tuple[tuple[str, str], ...]:
    """Names with their values; spans are other people's text."""
    try:
        values = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return ()
    return (
        tuple((name, str(value)) for name, value in values.items())
        if isinstance(values, dict)
        else ()
    )


_CALLS: Final = """
SELECT s.kind, s.id, s.occurrence, string_agg(DISTINCT c.model, ', ' ORDER BY c.model),
       sum(c.input_tokens)::BIGINT, sum(c.output_tokens)::BIGINT,
       CASE WHEN count(c.cost_usd) = count(*) FILTER (c.is_billable) THEN sum(c.cost_usd) END
FROM mart.llm_calls c
JOIN core.steps s ON s.workflow_id = c.workflow_id AND s.run_id = c.run_id
                 AND s.step_id = c.step_id
WHERE s.namespace = $namespace AND s.workflow_id = $workflow_id AND s.run_id = $run_id
GROUP BY ALL
"""

_DECISIONS: Final = """
SELECT epoch_ns(taken_at), function, file, line, coalesce(decision, condition), outcome,
       occurrence, because, reasons
FROM core.branches
WHERE workflow_id = $workflow_id AND run_id = $run_id
  AND coalesce(namespace, $namespace) = $namespace AND function IS NOT NULL
ORDER BY taken_at, occurrence
"""
