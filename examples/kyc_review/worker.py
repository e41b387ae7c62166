"""Runs the KYC review on a Temporal worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from examples.kyc_review import workflow, workflow_faulty
from examples.kyc_review.activities import KycActivities
from examples.model_client import connect

WORKFLOW = workflow.KycReview
FAULTY_WORKFLOW = workflow_faulty.KycReview
TASK_QUEUE = "kyc-review"
FAULTY_TASK_QUEUE = "kyc-review-faulty"
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
    """A running worker; plugins and interceptors of the client apply to it.

    Args:
        client: Where to poll.
        model_url: Base URL of an OpenAI-compatible API.
        workflow_class: The healthy or the faulty workflow.
        task_queue: Where the scenarios start their runs.
        options: Passed on to `temporalio.worker.Worker`.
    """
    async with (
        connect(model_url) as models,
        Worker(
            client,
            task_queue=task_queue,
            workflows=[workflow_class],
            activities=KycActivities(models).all(),
            **options,
        ) as running,
    ):
        yield running
