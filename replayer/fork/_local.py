"""Local activities of a fork: they run in the worker, so the answer has to be given there."""

from __future__ import annotations

import asyncio
import collections.abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tracer.model import Outcome

if TYPE_CHECKING:
    from replayer.fork._driver import Driver

_MOST_ATTEMPTS = 100


@activity.defn(dynamic=True)
async def any_activity(args: collections.abc.Sequence[RawValue]) -> None:
    """Stands for every activity: the interceptor answers before it is reached."""
    raise ApplicationError("a fork runs no activity here", non_retryable=True)


class LocalAnswers(Interceptor):
    """Answers local activities in the place of their code."""

    def __init__(self, driver_of: Callable[[], Driver]) -> None:
        self._driver_of = driver_of

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Put ours in front."""
        return _Answering(next, self._driver_of)


class _Answering(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, driver_of: Callable[[], Driver]) -> None:
        super().__init__(next)
        self._driver_of = driver_of

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info, driver = activity.info(), self._driver_of()
        plan = await driver.answer_local(info.activity_id)
        if plan.live is not None:
            plan.ending, plan.attempts = await plan.live
            plan.live = None
        if plan.ending is None:
            await driver.local_unanswered(plan)
            await asyncio.Event().wait()
        assert plan.ending is not None
        if info.attempt < min(plan.attempts, _MOST_ATTEMPTS):
            raise ApplicationError("a recorded attempt failed here", type="RetrospanFork")
        await driver.local_answered(plan)
        if plan.ending.outcome is not Outcome.COMPLETED:
            raise ApplicationError("the recorded failure takes this place", non_retryable=True)
        payloads = await driver.decoded_result(plan)
        return RawValue(payloads[0]) if payloads else None
