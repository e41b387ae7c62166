"""The workers of all examples, and everything that their scenarios do, for tests of the tracer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from temporalio.client import Client

from examples.cargo_release import scenarios as cargo_scenarios
from examples.cargo_release import worker as cargo
from examples.cargo_release.customs_server import CustomsServer
from examples.kyc_review import scenarios as kyc_scenarios
from examples.kyc_review import worker as kyc
from examples.model_server import ModelServer
from examples.scenario import Scenario, ScenarioResult
from examples.support_triage import scenarios as triage_scenarios
from examples.support_triage import worker as triage

WORKFLOWS: list[type] = [kyc.WORKFLOW, triage.WORKFLOW, *cargo.WORKFLOWS]
EXAMPLES: dict[str, tuple[Sequence[Scenario], str]] = {
    "kyc": (kyc_scenarios.SCENARIOS, kyc.TASK_QUEUE),
    "triage": (triage_scenarios.SCENARIOS, triage.TASK_QUEUE),
    "cargo": (cargo_scenarios.SCENARIOS, cargo.TASK_QUEUE),
}
"""Scenarios and task queue by name."""


@asynccontextmanager
async def working(client: Client, **options: Any) -> AsyncIterator[None]:
    """Workers for all examples."""
    async with AsyncExitStack() as stack:
        customs = stack.enter_context(CustomsServer(cargo_scenarios.RULES))
        kyc_models = stack.enter_context(ModelServer(kyc.SCRIPT))
        triage_models = stack.enter_context(ModelServer(triage.SCRIPT))
        await stack.enter_async_context(
            kyc.worker(client, model_url=kyc_models.base_url, **options)
        )
        await stack.enter_async_context(
            triage.worker(client, model_url=triage_models.base_url, **options)
        )
        await stack.enter_async_context(cargo.worker(client, customs_url=customs.url, **options))
        yield


async def play(client: Client, name: str) -> list[ScenarioResult]:
    """Run all scenarios of an example side by side."""
    scenarios, queue = EXAMPLES[name]
    prefix = f"{name}-{uuid.uuid4()}"
    runs = (scenario.run(client, prefix, task_queue=queue) for scenario in scenarios)
    return await asyncio.gather(*runs)
