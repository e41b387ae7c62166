"""What crosses a boundary in the support triage: plain dataclasses that serialise as JSON."""

from dataclasses import dataclass, field
from typing import Any

AGENT_MODEL = "o4-mini"
WRITER_MODEL = "mistral-small-latest"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asks for."""

    call_id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation with the model."""

    role: str
    """`user`, `assistant` or `tool`."""
    content: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    """Of an assistant: tools to call before it goes on."""
    call_id: str | None = None
    """Of a tool: the call that this answers."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Input of a triage; a continued run carries the conversation on."""

    ticket_id: str
    text: str
    """First message of the customer."""
    refund_limit: float = 100.0
    """Largest refund, in EUR, that the agent may pay without a human."""
    turns_per_run: int = 6
    """Model turns after which the triage continues as a new run."""
    answer_seconds: float = 86_400
    """How long the customer may take to answer a question."""
    model_seconds: float = 30
    """How long one attempt of a model call may take."""
    conversation: list[Message] = field(default_factory=list)
    outcome: str = "resolved"
    """What the turns before this run have come to."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as offered to the model."""

    name: str
    description: str
    schema: dict[str, Any]
    """JSON schema of the arguments."""


ASK_CUSTOMER = Tool(
    name="ask_customer",
    description="Ask the customer a question and wait for the answer.",
    schema={
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
    },
)
"""The one tool that the workflow answers itself, by waiting for a signal."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model gets to see for one turn."""

    conversation: list[Message]
    tools: list[Tool]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call of an MCP tool."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What an MCP tool answered."""

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class CustomerMessage:
    """A message from the agent to the customer."""

    ticket_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What the last message to the customer is written from."""

    ticket_text: str
    findings: str
    """What the agent found out and did."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Result of a triage."""

    outcome: str
    """`resolved`, `refunded`, `escalated` or `abandoned`."""
    reply: str
    """Last message to the customer."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answer to the `status` query."""

    stage: str
    turns: int
    """Model turns of the current run."""
    messages: int
    """Length of the conversation."""
