"""Runs the cargo release on a Temporal worker."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.worker import Worker

from examples.cargo_release import workflow, workflow_faulty
from examples.cargo_release.activities import CargoActivities
from examples.cargo_release.attempt_log import AttemptLog

WORKFLOWS = (workflow.CargoRelease, workflow.ShipmentRelease)
FAULTY_WORKFLOWS = (workflow_faulty.CargoRelease, workflow_faulty.ShipmentRelease)
TASK_QUEUE = "cargo-release"
FAULTY_TASK_QUEUE = "cargo-release-faulty"
HTTP_TIMEOUT_S = 5.0


@asynccontextmanager
async def worker(
    client: Client,
    *,
    customs_url: str,
    workflows: Sequence[type] = WORKFLOWS,
    task_queue: str = TASK_QUEUE,
    attempt_log: Path | None = None,
    **options: Any,
) -> AsyncIterator[Worker]:
    """A running worker; plugins and interceptors of the client apply to it.

    Args:
        client: Where to poll.
        customs_url: Base URL of the port's systems, as `CustomsServer.url`.
        workflows: The healthy or the faulty workflows.
        task_queue: Where the scenarios start their runs.
        attempt_log: A file that gets a line of JSON per attempt of an activity.
        options: Passed on to `temporalio.worker.Worker`.
    """
    interceptors = [*options.pop("interceptors", ())]
    if attempt_log is not None:
        interceptors.append(AttemptLog(attempt_log))
    async with (
        httpx.AsyncClient(base_url=customs_url, timeout=HTTP_TIMEOUT_S, trust_env=False) as http,
        Worker(
            client,
            task_queue=task_queue,
            workflows=workflows,
            activities=CargoActivities(http).all(),
            interceptors=interceptors,
            **options,
        ) as running,
    ):
        yield running
