"""GenAI metrics carry the tenant of the run where the user wants it on metrics."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from tests.tracer.genai_recording import Recording
from tests.tracer.genai_workflows import OneStep
from tracer import TenantOrigin, TenantSource, TracerPlugin, names
from tracer.genai import llm_call, tool_call
from tracer.names import Attribute

pytestmark = pytest.mark.slow


@activity.defn
async def ask() -> str:
    async with llm_call(model="gpt-4o", provider="openai") as call:
        call.usage(input_tokens=10, output_tokens=2)
    return "asked"


@activity.defn
def refund_in_a_thread() -> str:
    with tool_call("refund") as call:
        call.blocked("above the limit", policy="refund_limit")
    return "not refunded"


@pytest.mark.parametrize("is_label", [True, False])
async def test_the_tenant_of_the_run(temporal_address: str, is_label: bool) -> None:
    kept = Recording()
    plugin = TracerPlugin(
        tracer_provider=kept.spans_to,
        meter_provider=kept.meters_to,
        tenant=TenantSource(TenantOrigin.MEMO, "customer", metric_label=is_label),
    )
    client = await Client.connect(temporal_address, plugins=[plugin])
    queue = f"tenants-{uuid.uuid4()}"
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[OneStep],
            activities=[ask, refund_in_a_thread],
            activity_executor=threads,
        ):
            for step in ("ask", "refund_in_a_thread"):
                await client.execute_workflow(
                    OneStep.run,
                    step,
                    id=f"{step}-{uuid.uuid4()}",
                    task_queue=queue,
                    memo={"customer": "acme"},
                )
    found = {
        metric.name: {_tenant(point) for point in kept.points()[metric.name]}
        for metric in (names.MODEL_CALL_DURATION, names.TOKENS, names.COST, names.TOOL_BLOCKS)
    }
    assert found == dict.fromkeys(found, {"acme"} if is_label else {None})
    assert plugin.guard.errors == []


def _tenant(point: Any) -> str | None:
    tenant: str | None = point.attributes.get(Attribute.TENANT.value)
    return tenant
