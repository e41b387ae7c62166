"""The support triage as a Temporal workflow.

Owns the agent loop and the policy: the model proposes tool calls, this code decides which of them
happen. A refund above the limit never reaches the MCP server; the model is told so and goes on.
All input and output happens in activities.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from examples.support_triage.activities import TriageActivities
    from examples.support_triage.models import (
        AGENT_MODEL,
        ASK_CUSTOMER,
        WRITER_MODEL,
        CustomerMessage,
        Message,
        ReplyRequest,
        Resolution,
        Status,
        Ticket,
        Tool,
        ToolCall,
        ToolRequest,
        Turn,
    )

OUTCOMES = {"refund_order": "refunded", "escalate_ticket": "escalated"}
"""What a ticket has come to after a tool succeeded; other tools change nothing."""

STEP_TIMEOUT = timedelta(seconds=30)
HEARTBEAT_TIMEOUT = timedelta(seconds=20)
RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), backoff_coefficient=2, maximum_attempts=4
)


@workflow.defn(name="SupportTriage")
class SupportTriage:
    """Works on one ticket until the agent is done with it."""

    @workflow.init
    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._conversation = list(ticket.conversation) or [Message("user", ticket.text)]
        self._outcome = ticket.outcome
        self._inbox: list[str] = []
        self._turns = 0
        self._stage = "listing tools"

    @workflow.run
    async def run(self, ticket: Ticket) -> Resolution:
        """Work on the ticket and return what became of it."""
        tools = [*await self._list_tools(), ASK_CUSTOMER]
        while not await self._take_turn(tools):
            if self._turns >= ticket.turns_per_run:
                self._continue_in_new_run()
        self._stage = "writing the reply"
        reply = await self._write_reply(self._conversation[-1].content)
        self._stage = "done"
        return Resolution(self._outcome, reply)

    @workflow.signal
    def customer_message(self, text: str) -> None:
        """The customer wrote something."""
        self._inbox.append(text)

    @workflow.query
    def status(self) -> Status:
        """Where the triage stands."""
        return Status(self._stage, self._turns, len(self._conversation))

    async def _take_turn(self, tools: list[Tool]) -> bool:
        """Let the model speak and its tools answer; True when the agent is done."""
        if self._inbox:
            self._conversation.append(Message("user", self._take_inbox()))
        self._turns += 1
        answer = await self._ask_model(tools)
        self._conversation.append(answer)
        for call in answer.tool_calls:
            result = await self._use_tool(call)
            self._conversation.append(Message("tool", result, call_id=call.call_id))
        return not answer.tool_calls and not self._inbox

    async def _use_tool(self, call: ToolCall) -> str:
        if call.name == ASK_CUSTOMER.name:
            return await self._ask_customer(str(call.arguments.get("question", "")))
        denial = self._denial(call)
        if denial is not None:
            return denial
        self._stage = f"using {call.name}"
        result = await workflow.execute_activity_method(
            TriageActivities.call_tool,
            ToolRequest(call.name, call.arguments),
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary=f"mcp: {call.name}",
        )
        if not result.is_error:
            self._outcome = OUTCOMES.get(call.name, self._outcome)
        return result.text

    def _denial(self, call: ToolCall) -> str | None:
        if call.name != "refund_order":
            return None
        amount = _eur(call.arguments.get("shipping"))
        if amount <= self._ticket.refund_limit:
            return None
        return (
            f"blocked by policy: a refund of more than {self._ticket.refund_limit:g} EUR needs a "
            "human; escalate the ticket instead"
        )

    async def _ask_customer(self, question: str) -> str:
        await workflow.execute_activity_method(
            TriageActivities.send_message,
            CustomerMessage(self._ticket.ticket_id, question),
            start_to_close_timeout=STEP_TIMEOUT,
            summary="question to the customer",
        )
        self._stage = "waiting for the customer"
        try:
            await workflow.wait_condition(
                lambda: bool(self._inbox),
                timeout=timedelta(seconds=self._ticket.answer_seconds),
                timeout_summary="customer answer",
            )
        except TimeoutError:
            self._outcome = "abandoned"
            return "the customer did not answer in time"
        return self._take_inbox()

    def _take_inbox(self) -> str:
        text = "\n".join(self._inbox)
        self._inbox.clear()
        return text

    def _continue_in_new_run(self) -> None:
        if self._inbox:
            self._conversation.append(Message("user", self._take_inbox()))
        workflow.continue_as_new(
            replace(self._ticket, conversation=self._conversation, outcome=self._outcome)
        )

    async def _list_tools(self) -> list[Tool]:
        return await workflow.execute_activity_method(
            TriageActivities.list_tools,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary="mcp: list tools",
        )

    async def _ask_model(self, tools: list[Tool]) -> Message:
        self._stage = "thinking"
        return await workflow.execute_activity_method(
            TriageActivities.ask_model,
            Turn(self._conversation, tools),
            start_to_close_timeout=timedelta(seconds=self._ticket.model_seconds),
            retry_policy=RETRIES,
            summary=f"turn {self._turns} by {AGENT_MODEL}",
        )

    async def _write_reply(self, findings: str) -> str:
        return await workflow.execute_activity_method(
            TriageActivities.write_reply,
            ReplyRequest(self._ticket.text, findings),
            start_to_close_timeout=STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRIES,
            summary=f"reply by {WRITER_MODEL}",
        )


def _eur(value: Any) -> float:
    """An amount as the model gave it; without a limit when it is no amount."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("inf")
