"""Everything in the support triage that touches the outside world."""

import json
from collections.abc import Callable
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
)
from temporalio import activity
from temporalio.exceptions import ApplicationError

from examples.model_client import temporal_errors
from examples.support_triage.models import (
    AGENT_MODEL,
    WRITER_MODEL,
    CustomerMessage,
    Message,
    ReplyRequest,
    Tool,
    ToolCall,
    ToolRequest,
    ToolResult,
    Turn,
)
from examples.support_triage.toolbox import Toolbox

AGENT_PROMPT = (
    "You work on the tickets of an online shop. Use the tools to find out what happened and to "
    "put it right. Ask the customer when something is missing. When you are done, say in one or "
    "two sentences what you found and did."
)
WRITER_PROMPT = "You write the last message of a support ticket: friendly, short, no promises."


class TriageActivities:
    """Activities that share one model client and one MCP server."""

    def __init__(self, models: AsyncOpenAI, toolbox: Toolbox) -> None:
        self._models = models
        self._toolbox = toolbox
        self.sent: list[CustomerMessage] = []
        """Messages that went out to customers."""

    def all(self) -> list[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [
            self.list_tools,
            self.ask_model,
            self.call_tool,
            self.send_message,
            self.write_reply,
        ]

    @activity.defn
    async def list_tools(self) -> list[Tool]:
        """The tools that the MCP server offers."""
        return await self._toolbox.list_tools()

    @activity.defn
    async def call_tool(self, request: ToolRequest) -> ToolResult:
        """Call a tool of the MCP server."""
        return await self._toolbox.call(request.name, request.arguments)

    @activity.defn
    async def ask_model(self, turn: Turn) -> Message:
        """One turn of the agent's model."""
        with temporal_errors():
            completion = await self._models.chat.completions.create(
                model=AGENT_MODEL,
                messages=[
                    {"role": "system", "content": AGENT_PROMPT},
                    *(_to_openai(message) for message in turn.conversation),
                ],
                tools=[_tool_param(tool) for tool in turn.tools],
                user=activity.info().workflow_id or "",
            )
        return _from_openai(completion.choices[0].message)

    @activity.defn
    async def send_message(self, message: CustomerMessage) -> None:
        """Send the customer a message."""
        self.sent.append(message)

    @activity.defn
    async def write_reply(self, request: ReplyRequest) -> str:
        """Write the last message to the customer, streamed; each chunk is a heartbeat."""
        text = f"Ticket: {request.ticket_text}\n\nFindings: {request.findings}"
        pieces: list[str] = []
        with temporal_errors():
            stream = await self._models.chat.completions.create(
                model=WRITER_MODEL,
                messages=[
                    {"role": "system", "content": WRITER_PROMPT},
                    {"role": "user", "content": text},
                ],
                stream=True,
                stream_options={"include_usage": True},
                user=activity.info().workflow_id or "",
            )
            async for chunk in stream:
                pieces += [choice.delta.content or "" for choice in chunk.choices]
                activity.heartbeat(len(pieces))
        return "".join(pieces)


def _to_openai(message: Message) -> ChatCompletionMessageParam:
    if message.role == "tool":
        return {"role": "tool", "content": message.content, "tool_call_id": message.call_id or ""}
    if message.role == "user":
        return {"role": "user", "content": message.content}
    answer: ChatCompletionAssistantMessageParam = {"role": "assistant", "content": message.content}
    if message.tool_calls:
        answer["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return answer


def _from_openai(message: ChatCompletionMessage) -> Message:
    calls = [
        ToolCall(call.id, call.function.name, _arguments(call.function.arguments))
        for call in message.tool_calls or []
        if isinstance(call, ChatCompletionMessageFunctionToolCall)
    ]
    return Message("assistant", message.content or "", calls)


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ApplicationError("the model called a tool without arguments", type="BadToolCall")
    return arguments


def _tool_param(tool: Tool) -> ChatCompletionFunctionToolParam:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.schema,
        },
    }
