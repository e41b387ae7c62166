"""`tool_call`: the span and the metrics of one tool that an agent has asked for.

A call that a policy or a person refused is not a failure: the span says that it was blocked, why
and by which policy, and nothing is measured of a tool that did not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from opentelemetry import trace
from opentelemetry.util.types import AttributeValue

from tracer import names
from tracer.genai._content import fits, json_text, size_of
from tracer.genai._errors import TOOL_ERROR
from tracer.genai._instruments import GenAIMeters
from tracer.genai._operation import MAX_MESSAGE, Operation, Role
from tracer.genai.reading import GenAICall
from tracer.names import Attribute as A
from tracer.names import GenAI

__all__ = ["ToolCall", "tool_call"]

_T = TypeVar("_T")
_OPERATION = "execute_tool"


def tool_call(
    name: str,
    *,
    type: str = "function",
    call_id: str | None = None,
    description: str | None = None,
    agent_name: str | None = None,
    conversation_id: str | None = None,
    mcp_session_id: str | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    capture_content: bool = False,
) -> ToolCall:
    """A tool that is about to run: enter it, run the tool, hand over its result.

        with tool_call("pay_refund", call_id=asked.id) as call:
            if amount <= limit:
                return call.result(pay(amount))
            call.blocked("above the limit", policy="refund-limit")

    If the current span is that of the same tool, as in an MCP server, it is added to. In workflow
    code nothing happens.

    Args:
        name: Of the tool.
        type: `function`, `extension` or `datastore`.
        call_id: The model's id of this call.
        description: What the tool does.
        agent_name: Of the agent that makes the call.
        conversation_id: Of the conversation or thread that this call belongs to.
        mcp_session_id: Of the MCP session, where the tool is an MCP server's.
        attributes: More attributes for the span.
        capture_content: Put arguments and result onto the span, not only their size.
    """
    start: dict[str, str | None] = {
        GenAI.OPERATION.value: _OPERATION,
        GenAI.TOOL_NAME.value: name,
        GenAI.TOOL_TYPE.value: type,
        GenAI.TOOL_CALL_ID.value: call_id,
        GenAI.TOOL_DESCRIPTION.value: description,
        GenAI.AGENT_NAME.value: agent_name,
        GenAI.CONVERSATION_ID.value: conversation_id,
        GenAI.MCP_SESSION_ID.value: mcp_session_id,
    }
    told = {key: value for key, value in start.items() if value is not None}
    return ToolCall(name, {**(attributes or {}), **told}, capture_content)


class ToolCall(Operation):
    """A tool call under way; `tool_call` makes it."""

    def __init__(
        self, name: str, attributes: dict[str, AttributeValue], capture_content: bool
    ) -> None:
        super().__init__(f"{_OPERATION} {name}", trace.SpanKind.INTERNAL, attributes)
        self._captures = capture_content
        self._is_blocked = False

    def arguments(self, arguments: object) -> None:
        """Tell what the tool is given: its size, its text only if captured."""
        with self._shielded("noting the arguments of"):
            self._target._note_content(A.INPUT_BYTES, GenAI.TOOL_ARGUMENTS, arguments)

    def result(self, result: _T) -> _T:
        """Tell what the tool answered, and hand it back.

        An MCP result that says it is an error marks the call as failed.
        """
        with self._shielded("noting the result of"):
            self._target._note_content(A.RESULT_BYTES, GenAI.TOOL_RESULT, result)
            if _is_mcp_error(result):
                self.error(TOOL_ERROR)
        return result

    def blocked(self, reason: str, *, policy: str = "") -> None:
        """Tell that the tool was not let run. This is no error.

        Args:
            reason: For people; cut after 1,024 characters.
            policy: The rule that decided; of low cardinality, as it is a label.
        """
        with self._shielded("noting a block of"):
            target = self._target
            target._is_blocked = True
            target._attributes[A.TOOL_BLOCKED.value] = True
            target._attributes[A.TOOL_BLOCK_REASON.value] = reason[:MAX_MESSAGE]
            if policy:
                target._attributes[A.TOOL_BLOCK_POLICY.value] = policy

    def _note_content(self, size: A, key: GenAI, content: object) -> None:
        text = json_text(content)
        if text is None:
            return
        self._attributes[size.value] = size_of(text)
        if self._captures and fits(text):
            self._attributes[key.value] = text

    def _is_same(self, call: GenAICall) -> bool:
        ids = {call.tool_call_id, self._call.tool_call_id} - {""}
        is_tool = call.operation == _OPERATION and call.tool_name == self._call.tool_name
        return is_tool and len(ids) < 2

    def _complete(self) -> None:
        return

    def _is_failure(self, error: BaseException) -> bool:
        return not self._is_blocked and super()._is_failure(error)

    def _measure(self, meters: GenAIMeters, seconds: float) -> None:
        if self._is_blocked:
            meters.count_block(self._known, self._context)
        elif self._role is Role.OWNER:
            meters.measure(names.TOOL_DURATION, seconds, self._known, self._context)


def _is_mcp_error(result: object) -> bool:
    if isinstance(result, Mapping):
        return result.get("isError") is True
    return getattr(result, "isError", getattr(result, "is_error", None)) is True
