"""Runs the support triage on a Temporal worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from examples.model_client import connect
from examples.support_triage import workflow, workflow_faulty
from examples.support_triage.activities import TriageActivities
from examples.support_triage.toolbox import Toolbox

WORKFLOW = workflow.SupportTriage
FAULTY_WORKFLOW = workflow_faulty.SupportTriage
TASK_QUEUE = "support-triage"
FAULTY_TASK_QUEUE = "support-triage-faulty"
SCRIPT = Path(__file__).with_name("script.json")
"""Script of the model server that the scenarios need."""


@asynccontextmanager
async def worker(
    client: Client,
    *,
    model_url: str,
    workflow_class: type = WORKFLOW,
    task_queue: str = TASK_QUEUE,
    **options: Any,
) -> AsyncIterator[Worker]:
    """A running worker with its MCP server; plugins and interceptors of the client apply.

    Args:
        client: Where to poll.
        model_url: Base URL of an OpenAI-compatible API.
        workflow_class: The healthy or the faulty workflow.
        task_queue: Where the scenarios start their runs.
        options: Passed on to `temporalio.worker.Worker`.
    """
    async with (
        connect(model_url) as models,
        Toolbox() as toolbox,
        Worker(
            client,
            task_queue=task_queue,
            workflows=[workflow_class],
            activities=TriageActivities(models, toolbox).all(),
            **options,
        ) as running,
    ):
        yield running
