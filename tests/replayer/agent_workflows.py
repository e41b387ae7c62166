"""An agent of the OpenAI Agents SDK on Temporal; only imported where the SDK is."""

from datetime import timedelta

from agents import Agent, Runner  # type: ignore[import-not-found]
from temporalio import activity, workflow
from temporalio.openai_agents.workflow import activity_as_tool  # type: ignore[import-not-found]

QUEUE = "agents"


@activity.defn
async def tide(harbour: str) -> str:
    """The time of the next high water."""
    return f"{harbour}: 14:20"


@workflow.defn
class Harbour:
    @workflow.run
    async def run(self, question: str) -> str:
        answer = await Runner.run(harbour_master(), input=question)
        return str(answer.final_output)


@workflow.defn(name="Harbour")
class Hurried:
    """The same after a change: it asks for the tide before the agent does."""

    @workflow.run
    async def run(self, question: str) -> str:
        known = await workflow.execute_activity(
            tide, "Brest", start_to_close_timeout=timedelta(seconds=5)
        )
        answer = await Runner.run(harbour_master(), input=f"{known} {question}")
        return str(answer.final_output)


def harbour_master() -> Agent:
    tool = activity_as_tool(tide, start_to_close_timeout=timedelta(seconds=5))
    return Agent(name="harbour master", instructions="Answer briefly.", tools=[tool])
