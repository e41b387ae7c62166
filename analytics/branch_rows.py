"""Rows of `core.branches`: what workflow code decided, as spans tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from analytics.span_attributes import first_count, first_text
from tracer.names import Attribute as A

if TYPE_CHECKING:
    from analytics.span_attributes import Attributes
    from analytics.tables import Row

__all__ = ["branch_row"]

_MAX_INT64: Final = 2**63


def branch_row(span: Row, attributes: Attributes) -> Row:
    """The row of a branch span."""
    return {
        "namespace": span["namespace"],
        "workflow_id": span["workflow_id"],
        "run_id": span["run_id"],
        "workflow_type": first_text(attributes, (A.WORKFLOW_TYPE,)),
        "taken_at": span["start_time_unix_nano"],
        "function": first_text(attributes, (A.CODE_FUNCTION,)),
        "file": first_text(attributes, (A.CODE_FILE,)),
        "line": first_count(attributes, (A.CODE_LINE,)),
        "kind": first_text(attributes, (A.BRANCH_KIND,)),
        "condition": first_text(attributes, (A.BRANCH_CONDITION,)),
        "decision": first_text(attributes, (A.DECISION_NAME,)),
        "outcome": _outcome(attributes),
        "because": first_text(attributes, (A.BRANCH_BECAUSE,)),
        "occurrence": first_count(attributes, (A.BRANCH_OCCURRENCE,), _MAX_INT64),
        "rounds": first_count(attributes, (A.BRANCH_ROUNDS,), _MAX_INT64),
        "n_dropped": first_count(attributes, (A.BRANCH_DROPPED,), _MAX_INT64) or 0,
        "reasons": first_text(attributes, (A.DECISION_WHY, A.BRANCH_VALUES)),
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
    }


def _outcome(attributes: Attributes) -> str | None:
    """As text: `true` and `false` of conditions, whatever a named decision came to."""
    outcome = attributes.get(A.BRANCH_OUTCOME)
    if outcome is None or isinstance(outcome, str):
        return outcome
    return orjson.dumps(outcome).decode()
