"""Seven ways a support ticket goes, each driven to a known end.

They need a worker of `examples.support_triage.worker` and its model server. The faulty workflow
holds the refund's shipping part against the limit instead of its amount, so it pays the refund
that the policy should block.
"""

from temporalio.client import Client, WorkflowHandle

from examples.scenario import Ending, Scenario, ScenarioResult, finish, until_timer
from examples.support_triage.models import Resolution, Ticket
from examples.support_triage.workflow import SupportTriage

type Handle = WorkflowHandle[SupportTriage, Resolution]


async def start(client: Client, ticket: Ticket, workflow_id: str, task_queue: str) -> Handle:
    """Start a triage."""
    return await client.start_workflow(
        SupportTriage.run,
        ticket,
        id=workflow_id,
        task_queue=task_queue,
        static_summary=f"ticket {ticket.ticket_id}",
    )


async def late_order(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Three turns with two tools; two turns per run make it continue as new."""
    ticket = Ticket("T-201", "Where is my order A-1001? It was due on Monday.", turns_per_run=2)
    return await finish(await start(client, ticket, workflow_id, task_queue))


async def refund_blocked(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The model wants to refund more than the policy allows, and escalates instead."""
    ticket = Ticket("T-202", "Order A-2002 arrived broken. I want my money back.")
    return await finish(await start(client, ticket, workflow_id, task_queue))


async def refund_paid(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """A refund within the limit."""
    ticket = Ticket("T-203", "Order A-4004 arrived broken. I want my money back.")
    return await finish(await start(client, ticket, workflow_id, task_queue))


async def customer_answers(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The agent asks, and the customer answers with a signal."""
    ticket = Ticket("T-204", "My parcel never came.", answer_seconds=60.0)
    handle = await start(client, ticket, workflow_id, task_queue)
    await until_timer(handle, "customer answer")
    await handle.signal(SupportTriage.customer_message, "It is A-3003, sorry.")
    return await finish(handle)


async def customer_silent(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The agent asks, and nobody answers in time."""
    ticket = Ticket("T-205", "My parcel never came.", answer_seconds=1.0)
    return await finish(await start(client, ticket, workflow_id, task_queue))


async def slow_model(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The first model call runs into the timeout of its attempt."""
    ticket = Ticket("T-206", "How do I reset my password?", model_seconds=2.0)
    return await finish(await start(client, ticket, workflow_id, task_queue))


async def unknown_order(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """A tool answers with an error, which the model passes on."""
    ticket = Ticket("T-207", "Where is my order A-9999? It was due on Monday.")
    return await finish(await start(client, ticket, workflow_id, task_queue))


def _calls(turns: int) -> dict[str, int]:
    """Model calls of a ticket: so many turns, and one reply."""
    return {"o4-mini": turns, "mistral-small-latest": 1}


SCENARIOS = (
    Scenario(
        "late-order",
        "solved with tools, continued as new after two turns",
        late_order,
        Ending("COMPLETED", outcome="resolved", runs=2, model_calls=_calls(3)),
    ),
    Scenario(
        "refund-blocked",
        "a refund above the limit is blocked by policy",
        refund_blocked,
        Ending("COMPLETED", outcome="escalated", model_calls=_calls(4)),
        expected_faulty=Ending("COMPLETED", outcome="refunded", model_calls=_calls(3)),
    ),
    Scenario(
        "refund-paid",
        "a refund within the limit is paid",
        refund_paid,
        Ending("COMPLETED", outcome="refunded", model_calls=_calls(3)),
    ),
    Scenario(
        "customer-answers",
        "waits for the customer, who answers",
        customer_answers,
        Ending("COMPLETED", outcome="resolved", model_calls=_calls(3)),
    ),
    Scenario(
        "customer-silent",
        "waits for the customer, who does not answer",
        customer_silent,
        Ending("COMPLETED", outcome="abandoned", model_calls=_calls(2)),
    ),
    Scenario(
        "slow-model",
        "the first model call times out, the second answers",
        slow_model,
        Ending("COMPLETED", outcome="resolved", attempts={"ask_model": 2}, model_calls=_calls(3)),
    ),
    Scenario(
        "unknown-order",
        "a tool answers with an error",
        unknown_order,
        Ending("COMPLETED", outcome="resolved", model_calls=_calls(3)),
    ),
)
