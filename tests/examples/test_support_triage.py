"""The support triage on a real server, with a real MCP server behind it."""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from mcp import StdioServerParameters
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from examples.model_server import ModelServer
from examples.observed import Observed, observe
from examples.scenario import run_side_by_side, until_timer
from examples.support_triage import workflow, workflow_faulty
from examples.support_triage.models import Ticket
from examples.support_triage.scenarios import SCENARIOS, late_order, start
from examples.support_triage.toolbox import Toolbox, ToolboxError
from examples.support_triage.worker import (
    FAULTY_TASK_QUEUE,
    FAULTY_WORKFLOW,
    SCRIPT,
    TASK_QUEUE,
    worker,
)
from examples.support_triage.workflow import SupportTriage

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMES = [scenario.name for scenario in SCENARIOS]

MORTAL_SERVER = """
import os
from mcp.server.mcpserver import MCPServer

server = MCPServer("mortal", log_level="CRITICAL")

@server.tool()
def pid() -> int:
    return os.getpid()

@server.tool()
def die() -> str:
    os._exit(3)

server.run("stdio")
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def triage(temporal_client: Client) -> AsyncIterator[ModelServer]:
    """The model server of running workers, one healthy and one faulty."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ModelServer(SCRIPT))
        await stack.enter_async_context(worker(temporal_client, model_url=server.base_url))
        await stack.enter_async_context(
            worker(
                temporal_client,
                model_url=server.base_url,
                workflow_class=FAULTY_WORKFLOW,
                task_queue=FAULTY_TASK_QUEUE,
            )
        )
        yield server


def activity_inputs(observed: Observed, activity_type: str) -> list[dict[str, object]]:
    """First argument of each activity of a type, over the chain of runs."""
    return [
        json.loads(scheduled.input.payloads[0].data)
        for history in observed.histories
        for event in history.events
        if (scheduled := event.activity_task_scheduled_event_attributes)
        and scheduled.activity_type.name == activity_type
    ]


async def run_all(client: Client, server: ModelServer, queue: str) -> Mapping[str, Observed]:
    results = await run_side_by_side(client, SCENARIOS, queue, task_queue=queue)
    return {name: await observe(client, result, server.calls) for name, result in results.items()}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def healthy(temporal_client: Client, triage: ModelServer) -> Mapping[str, Observed]:
    """Every scenario, run on the healthy workflow."""
    return await run_all(temporal_client, triage, TASK_QUEUE)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def faulty(temporal_client: Client, triage: ModelServer) -> Mapping[str, Observed]:
    """Every scenario, run on the faulty workflow."""
    return await run_all(temporal_client, triage, FAULTY_TASK_QUEUE)


@pytest.fixture
def mortal_server(tmp_path: Path) -> StdioServerParameters:
    """An MCP server that can be made to die."""
    path = tmp_path / "mortal.py"
    path.write_text(MORTAL_SERVER, encoding="utf-8")
    return StdioServerParameters(command=sys.executable, args=["-P", str(path)])


@pytest.mark.parametrize("name", NAMES)
async def test_healthy_scenarios_end_as_expected(
    healthy: Mapping[str, Observed], name: str
) -> None:
    scenario = SCENARIOS[NAMES.index(name)]
    assert healthy[name].ending == scenario.expected_from(faulty=False)


@pytest.mark.parametrize("name", NAMES)
async def test_faulty_scenarios_end_as_expected(faulty: Mapping[str, Observed], name: str) -> None:
    scenario = SCENARIOS[NAMES.index(name)]
    assert faulty[name].ending == scenario.expected_from(faulty=True)


async def test_the_fault_pays_the_refund_that_the_policy_blocks(
    healthy: Mapping[str, Observed], faulty: Mapping[str, Observed]
) -> None:
    changed = {name for name in NAMES if healthy[name].ending != faulty[name].ending}
    assert changed == {"refund-blocked"}
    tools = {
        version: [call["name"] for call in activity_inputs(outcomes["refund-blocked"], "call_tool")]
        for version, outcomes in (("healthy", healthy), ("faulty", faulty))
    }
    assert tools == {
        "healthy": ["lookup_order", "escalate_ticket"],
        "faulty": ["lookup_order", "refund_order"],
    }


async def test_the_model_is_told_what_the_policy_blocked(
    healthy: Mapping[str, Observed],
) -> None:
    turns = activity_inputs(healthy["refund-blocked"], "ask_model")
    assert "blocked by policy: a refund of more than 100 EUR" in json.dumps(turns[2])


async def test_healthy_and_faulty_differ_in_one_line(
    differing_lines: Callable[[Path, Path], list[tuple[str, str]]],
) -> None:
    differing = differing_lines(Path(workflow.__file__), Path(workflow_faulty.__file__))
    assert differing == [
        (
            'amount = _eur(call.arguments.get("amount"))',
            'amount = _eur(call.arguments.get("shipping"))',
        )
    ]


async def test_only_the_healthy_code_replays_a_healthy_history(
    healthy: Mapping[str, Observed],
) -> None:
    for history in healthy["late-order"].histories:
        await Replayer(workflows=[SupportTriage]).replay_workflow(history)
    [history] = healthy["refund-blocked"].histories
    with pytest.raises(NondeterminismError):
        await Replayer(workflows=[FAULTY_WORKFLOW]).replay_workflow(history)


async def test_a_continued_run_carries_the_conversation(healthy: Mapping[str, Observed]) -> None:
    first, second = healthy["late-order"].histories
    attributes = second.events[0].workflow_execution_started_event_attributes
    ticket = json.loads(attributes.input.payloads[0].data)
    assert [message["role"] for message in ticket["conversation"]] == [
        "user",
        *["assistant", "tool"] * 2,
    ]
    assert "KB-12" in ticket["conversation"][2]["content"]
    assert attributes.continued_execution_run_id == first.run_id


async def test_tool_results_come_from_the_mcp_server(healthy: Mapping[str, Observed]) -> None:
    turns = activity_inputs(healthy["unknown-order"], "ask_model")
    assert "Error executing tool lookup_order: there is no order A-9999" in json.dumps(turns[-1])
    assert {tool["name"] for tool in _tools(turns[0])} == {
        "search_kb",
        "lookup_order",
        "refund_order",
        "escalate_ticket",
        "ask_customer",
    }


async def test_the_run_says_what_it_waits_for(temporal_client: Client, triage: ModelServer) -> None:
    ticket = Ticket("T-1", "My parcel never came.", answer_seconds=60.0)
    handle = await start(temporal_client, ticket, "status-of-a-wait", TASK_QUEUE)
    await until_timer(handle, "customer answer")
    status = await handle.query(SupportTriage.status)
    assert (status.stage, status.turns, status.messages) == ("waiting for the customer", 1, 2)
    await handle.signal(SupportTriage.customer_message, "It is A-3003, sorry.")
    resolution = await handle.result()
    assert "A-3003 is in transit" in resolution.reply


async def test_a_message_that_nobody_asked_for_is_read_at_the_next_turn(
    temporal_client: Client, triage: ModelServer
) -> None:
    handle = await temporal_client.start_workflow(
        SupportTriage.run,
        Ticket("T-2", "My parcel never came."),
        id="message-before-the-first-turn",
        task_queue=TASK_QUEUE,
        start_signal="customer_message",
        start_signal_args=["It is A-3003, sorry."],
    )
    assert "A-3003 is in transit" in (await handle.result()).reply
    asked = [call.rule for call in triage.calls if call.conversation == handle.id]
    assert asked[0] == "the customer gave the order number"


async def test_model_spans_carry_usage_also_when_streamed(
    temporal_client: Client, triage: ModelServer, model_spans: InMemorySpanExporter
) -> None:
    await late_order(temporal_client, "spans-of-late-order", TASK_QUEUE)
    spans = [dict(span.attributes or {}) for span in model_spans.get_finished_spans()]
    by_model = {str(span["gen_ai.request.model"]): span for span in spans}
    assert len(spans) == 4
    agent, writer = by_model["o4-mini"], by_model["mistral-small-latest"]
    assert agent["gen_ai.response.model"] == "o4-mini-2025-04-16"
    assert agent["gen_ai.usage.reasoning.output_tokens"] == 48
    assert agent["gen_ai.usage.cache_read.input_tokens"] == 192
    assert writer["gen_ai.request.stream"] is True
    assert writer["gen_ai.response.model"] == "mistral-small-2506"
    for span in spans:
        assert int(str(span["gen_ai.usage.input_tokens"])) > 50
        assert int(str(span["gen_ai.usage.output_tokens"])) > 10


async def test_the_toolbox_speaks_to_a_process_of_its_own() -> None:
    async with Toolbox() as toolbox:
        tools = await toolbox.list_tools()
        assert {tool.name for tool in tools} >= {"search_kb", "lookup_order"}
        assert all(tool.description and tool.schema["type"] == "object" for tool in tools)
        found = await toolbox.call("lookup_order", {"order_id": "A-1001"})
        assert json.loads(found.text)["status"] == "delayed"
        refused = await toolbox.call(
            "refund_order", {"order_id": "A-1001", "amount": -5, "shipping": 0, "reason": "?"}
        )
        assert refused.is_error
        assert "cannot be refunded" in refused.text


async def test_a_dead_mcp_server_is_replaced_at_the_next_call(
    mortal_server: StdioServerParameters,
) -> None:
    async with Toolbox(mortal_server) as toolbox:
        first = int((await toolbox.call("pid", {})).text)
        assert int((await toolbox.call("pid", {})).text) == first
        with pytest.raises(ToolboxError, match="the MCP server failed: Connection closed"):
            await toolbox.call("die", {})
        second = int((await toolbox.call("pid", {})).text)
    assert second not in (first, os.getpid())
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_an_mcp_server_that_does_not_start_is_named(tmp_path: Path) -> None:
    missing = StdioServerParameters(command=str(tmp_path / "no-such-program"))
    async with Toolbox(missing) as toolbox:
        for _ in range(2):
            with pytest.raises(ToolboxError, match="no-such-program did not start: "):
                await toolbox.list_tools()


def _tools(turn: dict[str, object]) -> list[dict[str, object]]:
    tools = turn["tools"]
    assert isinstance(tools, list)
    return tools
