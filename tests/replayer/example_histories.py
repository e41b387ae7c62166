"""The runs of every example, recorded once for a test process on a real server."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack

from temporalio.client import Client

import examples.cargo_release.worker as cargo
import examples.kyc_review.worker as kyc
import examples.support_triage.worker as triage
from examples.cargo_release.customs_server import CustomsServer
from examples.cargo_release.scenarios import RULES
from examples.cargo_release.scenarios import SCENARIOS as CARGO
from examples.kyc_review.scenarios import SCENARIOS as KYC
from examples.model_server import ModelServer
from examples.scenario import run_side_by_side
from examples.support_triage.scenarios import SCENARIOS as TRIAGE
from replayer.history import RunHistory, from_server

PREFIX = "recorded"
MODULES = (
    "examples.kyc_review.workflow",
    "examples.support_triage.workflow",
    "examples.cargo_release.workflow",
)

_recorded: dict[str, RunHistory] = {}


def recorded_examples(address: str) -> Mapping[str, RunHistory]:
    """Every run, by workflow id; `:2` and on for the later runs of a chain."""
    if not _recorded:
        logger = logging.getLogger("temporalio")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            _recorded.update(asyncio.run(_record(address)))
        finally:
            logger.setLevel(level)
    return _recorded


async def _record(address: str) -> dict[str, RunHistory]:
    client = await Client.connect(address)
    async with AsyncExitStack() as stack:
        with ExitStack() as outside:
            customs = outside.enter_context(CustomsServer(RULES))
            models = outside.enter_context(ModelServer(kyc.SCRIPT))
            triage_models = outside.enter_context(ModelServer(triage.SCRIPT))
            await stack.enter_async_context(kyc.worker(client, model_url=models.base_url))
            await stack.enter_async_context(triage.worker(client, model_url=triage_models.base_url))
            await stack.enter_async_context(cargo.worker(client, customs_url=customs.url))
            await asyncio.gather(
                *(
                    run_side_by_side(client, scenarios, PREFIX, task_queue=queue)
                    for scenarios, queue in (
                        (KYC, kyc.TASK_QUEUE),
                        (TRIAGE, triage.TASK_QUEUE),
                        (CARGO, cargo.TASK_QUEUE),
                    )
                )
            )
            await stack.aclose()
    return await _fetched(client)


async def _fetched(client: Client) -> dict[str, RunHistory]:
    found: dict[str, RunHistory] = {}
    query = f"WorkflowId STARTS_WITH '{PREFIX}-'"
    executions = [execution async for execution in client.list_workflows(query)]
    for execution in sorted(executions, key=lambda each: (each.id, each.start_time)):
        chain = sum(id.partition(":")[0] == execution.id for id in found)
        name = execution.id if not chain else f"{execution.id}:{chain + 1}"
        found[name] = await from_server(client, execution.id, execution.run_id)
    return found
