"""What the warehouse knows of a run beside its history: model calls and decisions, from spans."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

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


def _decision(at: int, function: str, attributes: str) -> Decision:
    told: dict[str, Any] = orjson.loads(attributes)
    file, line = str(told.get("code.file.path", "")), told.get("code.line.number")
    outcome = told.get("retrospan.branch.outcome")
    name = told.get("retrospan.decision.name")
    values = told.get("retrospan.branch.values" if name is None else "retrospan.decision.why")
    return Decision(
        place=f"{file}:{function}:{line}",
        qualname=function,
        line=line if isinstance(line, int) else 0,
        condition=str(told.get("retrospan.branch.condition", "") if name is None else name),
        outcome=outcome if isinstance(outcome, bool | int | float) else str(outcome),
        occurrence=_count(told.get("retrospan.branch.occurrence")),
        at=at,
        file=file,
        values=_values(values),
        because=str(told.get("retrospan.branch.because", "")),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 1


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
SELECT epoch_ns(start_time_unix_nano), span_attributes ->> '$."code.function.name"',
       span_attributes
FROM core.spans
WHERE span_kind = 'branch' AND workflow_id = $workflow_id AND run_id = $run_id
  AND $namespace IS NOT NULL AND span_attributes ->> '$."code.function.name"' IS NOT NULL
ORDER BY start_time_unix_nano,
         CAST(span_attributes ->> '$."retrospan.branch.occurrence"' AS BIGINT)
"""
