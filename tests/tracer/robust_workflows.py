"""A workflow with a little of everything, whose steps come in the same order each time."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

QUEUE = "harm"
LIMIT = timedelta(seconds=20)
QUICK = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2)


@activity.defn
async def answers(text: str, at_attempt: int) -> str:
    if activity.info().attempt < at_attempt:
        raise ConnectionError("refused")
    return text


@workflow.defn
class Small:
    @workflow.run
    async def run(self, text: str) -> str:
        return text


@workflow.defn
class Robust:
    """A little of everything, one thing after the other."""

    def __init__(self) -> None:
        self.told = ""

    @workflow.run
    async def run(self, with_local: bool, attempts: int) -> list[str]:
        await workflow.wait_condition(lambda: bool(self.told), timeout=LIMIT)
        results = [
            self.told,
            await workflow.execute_activity(
                answers, args=["a", attempts], start_to_close_timeout=LIMIT, retry_policy=QUICK
            ),
        ]
        if with_local:
            results.append(
                await workflow.execute_local_activity(
                    answers, args=["b", attempts], start_to_close_timeout=LIMIT, retry_policy=QUICK
                )
            )
        results.append(
            await workflow.execute_child_workflow(
                Small.run, "c", id=f"{workflow.info().workflow_id}-small"
            )
        )
        return results

    @workflow.signal
    def tell(self, text: str) -> None:
        self.told = text

    @workflow.query
    def heard(self) -> str:
        return self.told

    @workflow.update
    def change(self, text: str) -> str:
        return f"{text}, changed"
