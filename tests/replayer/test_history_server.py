"""Histories from a real server, and the same runs from the files that the CLI writes of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from replayer.history import (
    HistoryUnavailable,
    KeySource,
    Rejected,
    RunHistory,
    from_server,
    read_bytes,
    runs_from_server,
)

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

TEMPORAL = Path(sys.executable).with_name("temporal")
QUEUE = "histories"


@activity.defn
async def charge(amount: int) -> str:
    return f"charged {amount}"


@workflow.defn
class Order:
    def __init__(self) -> None:
        self.approved = False

    @workflow.run
    async def run(self, amount: int) -> str:
        charged = await workflow.execute_activity(
            charge, amount, start_to_close_timeout=timedelta(seconds=10), summary="the money"
        )
        await workflow.sleep(timedelta(milliseconds=5))
        await workflow.wait_condition(lambda: self.approved)
        return charged

    @workflow.signal
    def approve(self) -> None:
        self.approved = True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[Client]:
    if not TEMPORAL.exists():
        pytest.skip("the `temporal` binary is not installed beside this Python")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="error"
    )
    async with environment, worker(environment.client):
        yield environment.client


def worker(client: Client) -> Worker:
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[Order],
        activities=[charge],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def run_order(client: Client, workflow_id: str) -> str:
    handle = await client.start_workflow(Order.run, 900, id=workflow_id, task_queue=QUEUE)
    await handle.signal(Order.approve)
    assert await handle.result() == "charged 900"
    assert handle.first_execution_run_id is not None
    return handle.first_execution_run_id


async def shown(client: Client, workflow_id: str, run_id: str) -> bytes:
    """What `temporal workflow show -o json` prints."""
    command = [
        str(TEMPORAL),
        "workflow",
        "show",
        "--address",
        client.service_client.config.target_host,
    ]
    command += ["-w", workflow_id, "-r", run_id, "-o", "json"]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    output: bytes = result.stdout
    return output


async def test_one_run(client: Client) -> None:
    run_id = await run_order(client, "one")

    latest = await from_server(client, "one")
    exact = await from_server(client, "one", run_id)

    assert latest == exact
    assert str(latest.key) == f"default/one:{run_id}"
    assert (latest.key_source, latest.origin.format) == (KeySource.SERVER, "server")
    (again,) = read_bytes(latest.raw, uri="archive.pb")
    assert isinstance(again, RunHistory)
    assert again.events == latest.events


async def test_the_file_that_the_cli_writes_holds_the_same_events(client: Client) -> None:
    run_id = await run_order(client, "shown")

    (run,) = read_bytes(await shown(client, "shown", run_id), uri="s.json", namespace="default")

    fetched = await from_server(client, "shown")
    assert isinstance(run, RunHistory)
    assert run.events == fetched.events
    assert (run.key, run.key_source) == (fetched.key, KeySource.EVENT)


async def test_a_reset_run_is_told_from_the_run_it_was_made_of(client: Client) -> None:
    run_id = await run_order(client, "reset")
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id="reset", run_id=run_id),
            reason="tested",
            workflow_task_finish_event_id=4,
            request_id="reset-1",
        )
    )
    await client.get_workflow_handle("reset", run_id=answer.run_id).result()

    latest = await from_server(client, "reset")
    exported = await shown(client, "reset", answer.run_id)
    (run,) = read_bytes(exported, uri="s.json", namespace="default")

    assert answer.run_id != run_id
    assert latest.key.run_id == answer.run_id
    assert isinstance(run, RunHistory)
    assert run.key == latest.key
    started = run.events[0].workflow_execution_started_event_attributes
    assert started.original_execution_run_id == run_id


async def test_runs_of_a_query(client: Client) -> None:
    ids = {f"many-{number}" for number in range(7)}
    run_ids = {await run_order(client, workflow_id) for workflow_id in sorted(ids)}
    query = "WorkflowId STARTS_WITH 'many-'"
    while (await client.count_workflows(query)).count < len(ids):
        await asyncio.sleep(0.05)

    results = [result async for result in runs_from_server(client, query, concurrency=3)]
    two = [result async for result in runs_from_server(client, query, limit=2)]

    keys = {result.key for result in results if isinstance(result, RunHistory)}
    assert {key.workflow_id for key in keys} == ids
    assert {key.run_id for key in keys} == run_ids
    assert len(two) == 2


async def test_what_is_not_there(client: Client) -> None:
    with pytest.raises(HistoryUnavailable, match="cannot be fetched"):
        await from_server(client, "nobody")
    with pytest.raises(HistoryUnavailable, match="cannot list"):
        _ = [result async for result in runs_from_server(client, "this is no query")]


async def test_run_that_goes_away_while_it_is_listed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(*_arguments: object) -> AsyncIterator[tuple[str, str]]:
        yield "gone", "11111111-2222-3333-4444-555555555555"

    monkeypatch.setattr("replayer.history.server._listed", listed)

    (result,) = [result async for result in runs_from_server(client)]

    assert isinstance(result, Rejected)
    assert result.uri == "default/gone:11111111-2222-3333-4444-555555555555"
    assert isinstance(result.error, HistoryUnavailable)
