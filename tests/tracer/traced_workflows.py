"""Workflows that use what a tracer must show, unaware that anybody looks."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

QUEUE = "traced"
QUICK_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=20), maximum_attempts=4)
TIMEOUT = timedelta(seconds=20)

ATTEMPTS: list[tuple[str, int, str]] = []
"""What the activities themselves saw: activity id, attempt, `ok` or the error's text."""


@activity.defn
async def flaky(good_attempt: int) -> str:
    info = activity.info()
    if info.attempt < good_attempt:
        text = f"customs said 429 at attempt {info.attempt}"
        ATTEMPTS.append((info.activity_id, info.attempt, text))
        raise ConnectionError(text)
    ATTEMPTS.append((info.activity_id, info.attempt, "ok"))
    return f"passed at {info.attempt}"


@activity.defn
def blocking(text: str) -> str:
    info = activity.info()
    ATTEMPTS.append((info.activity_id, info.attempt, "ok"))
    return text.upper()


@workflow.defn
class Child:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(blocking, text, start_to_close_timeout=TIMEOUT)


@workflow.defn
class Everything:
    def __init__(self) -> None:
        self.approved_by = ""

    @workflow.run
    async def run(self, rounds: int) -> str:
        await asyncio.gather(
            workflow.execute_activity(
                flaky, 3, start_to_close_timeout=TIMEOUT, retry_policy=QUICK_RETRY
            ),
            workflow.execute_activity(blocking, "a", start_to_close_timeout=TIMEOUT),
        )
        await workflow.sleep(timedelta(milliseconds=30), summary="cool down")
        await workflow.execute_local_activity(blocking, "b", start_to_close_timeout=TIMEOUT)
        await workflow.execute_child_workflow(Child.run, "c")
        workflow.patched("new-rules")
        await workflow.wait_condition(
            lambda: bool(self.approved_by), timeout=TIMEOUT, timeout_summary="approval"
        )
        if rounds > 1:
            workflow.continue_as_new(rounds - 1)
        await workflow.execute_activity(
            flaky, 9, start_to_close_timeout=TIMEOUT, retry_policy=RetryPolicy(maximum_attempts=1)
        )
        return self.approved_by

    @workflow.update
    async def approve(self, who: str) -> str:
        self.approved_by = who
        return f"thanks, {who}"

    @approve.validator
    def _somebody(self, who: str) -> None:
        if not who:
            raise ValueError("who approves?")

    @workflow.query
    def waits_for_approval(self) -> bool:
        return not self.approved_by


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(flaky, 1, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(timedelta(days=30))


WORKFLOWS = [Everything, Child, Sleeper]
ACTIVITIES: list[Callable[..., Any]] = [flaky, blocking]
