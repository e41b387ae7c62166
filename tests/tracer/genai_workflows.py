"""Workflows that run activities which call models and tools."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from tracer.genai import llm_call, tool_call

QUEUE = "genai"


@workflow.defn
class OneStep:
    @workflow.run
    async def run(self, activity: str) -> str:
        answer: str = await workflow.execute_activity(
            activity,
            start_to_close_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
            result_type=str,
        )
        return answer


@workflow.defn
class Careless:
    """Calls a model and a tool in workflow code, where neither belongs."""

    @workflow.run
    async def run(self) -> str:
        async with llm_call(model="gpt-4o", provider="openai") as call:
            call.usage(input_tokens=1, output_tokens=1)
            with tool_call("clock") as tool:
                return tool.result("twelve")


WORKFLOWS = [OneStep, Careless]
