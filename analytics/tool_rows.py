"""Rows of `core.tool_calls`: which tools an agent used, and which it was not allowed to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analytics.span_attributes import first_count, first_text
from tracer.genai.reading import read_call
from tracer.names import Attribute as A

if TYPE_CHECKING:
    from analytics.span_attributes import Attributes
    from analytics.tables import Row

__all__ = ["TOOL_OPERATION", "tool_row"]

TOOL_OPERATION: Final = "execute_tool"
"""The operation of spans that are tool calls."""

_ERROR_STATUS: Final = 2
_MAX_BYTES: Final = 2**63


def tool_row(span: Row, attributes: Attributes) -> Row:
    """The row of a tool's span; which run it belongs to is found by its parents."""
    call = read_call(attributes, span["name"])
    is_blocked = attributes.get(A.TOOL_BLOCKED) is True
    is_error = bool(call.error_type) or span["status_code"] == _ERROR_STATUS
    return {
        "namespace": span["namespace"],
        "workflow_id": span["workflow_id"],
        "run_id": span["run_id"],
        "step_id": span["step_id"],
        "attempt": span["attempt"],
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "is_nested": False,
        "tool_name": call.tool_name or None,
        "tool_type": call.tool_type or None,
        "tool_call_id": call.tool_call_id or None,
        "agent_name": call.agent_name or None,
        "started_at": span["start_time_unix_nano"] // 1000,
        "latency_s": span["duration_time_unix_nano"] / 1e9,
        "outcome": "blocked" if is_blocked else "failed" if is_error else "completed",
        "error_type": call.error_type or None,
        "block_policy": first_text(attributes, (A.TOOL_BLOCK_POLICY,)),
        "block_reason": first_text(attributes, (A.TOOL_BLOCK_REASON,)),
        "input_bytes": first_count(attributes, (A.INPUT_BYTES,), _MAX_BYTES),
        "result_bytes": first_count(attributes, (A.RESULT_BYTES,), _MAX_BYTES),
    }
