"""A real run of an agent of the OpenAI Agents SDK, replayed with the profile that ships.

It runs where the SDK is: `make test-profiles` lays it over the environment.
"""

import uuid
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import Worker

from replayer.check import CheckOptions, Verdict, VerdictStatus, check_history
from replayer.history import RunHistory, from_server
from replayer.replaying import Limits
from replayer.tape import StopKind, open_tape, record

HAS_SDK = find_spec("agents") is not None and find_spec("temporalio.openai_agents") is not None
CODE = "tests.replayer.agent_workflows"
LIMITS = Limits(seconds=120)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_SDK, reason="temporalio-openai-agents is not installed here"),
    pytest.mark.asyncio(loop_scope="module"),
    # Other people's.
    pytest.mark.filterwarnings("default"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def history(temporal_address: str) -> RunHistory:
    """A run in which the model calls a tool, and then answers; the model is a list of answers."""
    code: Any = import_module(CODE)
    sdk: Any = import_module("temporalio.openai_agents.testing")
    answers = sdk.ResponseBuilders
    model = sdk.TestModel.returning_responses([
        answers.tool_call('{"harbour": "Brest"}', "tide"),
        answers.output_message("High water is at 14:20."),
    ])  # fmt: skip
    async with sdk.AgentEnvironment(model=model) as agents:
        client = agents.applied_on_client(await Client.connect(temporal_address))
        async with Worker(
            client, task_queue=code.QUEUE, workflows=[code.Harbour], activities=[code.tide]
        ):
            handle = await client.start_workflow(
                "Harbour",
                "When is high water?",
                id=f"harbour-{uuid.uuid4()}",
                task_queue=code.QUEUE,
            )
            assert await handle.result() == "High water is at 14:20."
        return await from_server(client, handle.id)


def checked(history: RunHistory, workflow: str, *, strict: bool = False) -> Verdict:
    options = CheckOptions((f"{CODE}:{workflow}",), "openai-agents", strict, LIMITS)
    return check_history(history, options)


async def test_the_code_that_ran_replays(history: RunHistory) -> None:
    verdict = checked(history, "Harbour", strict=True)
    assert verdict.status is VerdictStatus.OK
    assert verdict.findings == ()
    assert verdict.commands == 4


async def test_changed_code_does_not(history: RunHistory) -> None:
    verdict = checked(history, "Hurried")
    assert verdict.status is VerdictStatus.FAILED
    assert verdict.explanation is not None
    assert verdict.explanation.expected is not None
    assert verdict.explanation.expected.name == "invoke_model_activity"
    assert verdict.explanation.produced is not None
    assert verdict.explanation.produced.name == "tide"


async def test_without_the_profile_it_does_not_replay(history: RunHistory) -> None:
    verdict = check_history(history, CheckOptions((f"{CODE}:Harbour",), limits=LIMITS))
    assert verdict.status is VerdictStatus.FAILED


async def test_a_tape_of_it_ends_where_the_run_did(history: RunHistory, tmp_path: Path) -> None:
    path = tmp_path / "harbour.tape"
    stop = record(history, [f"{CODE}:Harbour"], path, profile="openai-agents", limits=LIMITS)
    assert stop.kind is StopKind.CLOSED
    with open_tape(path) as tape:
        assert len(tape) > 5
