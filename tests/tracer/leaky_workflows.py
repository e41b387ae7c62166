"""A workflow whose activity fails with a secret in its error, and traces a request of its own."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from opentelemetry.trace import TracerProvider

QUEUE = "leaky"


class Shop:
    """Activities that use what the user instrumented."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("shop.http")

    @activity.defn
    async def charge(self, key: str) -> str:
        with self._tracer.start_as_current_span(
            "POST", attributes={"url.full": f"https://pay.example.test/v1?api_key={key}"}
        ) as span:
            span.add_event("body", {"http.request.body": f'{{"password": "{key}"}}'})
            if activity.info().attempt == 1:
                raise PermissionError(f"401 for Authorization: Bearer {key}")
            return f"charged by attempt {activity.info().attempt}"

    @property
    def activities(self) -> list[Callable[..., Any]]:
        return [self.charge]


@activity.defn
async def nod() -> None:
    """Nothing: a step that takes no time, so that delays of others show."""


@workflow.defn
class Charge:
    @workflow.run
    async def run(self, key: str) -> str:
        result: str = await workflow.execute_activity(
            "charge",
            key,
            start_to_close_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=10), maximum_attempts=3
            ),
        )
        return result


@workflow.defn
class Chatter:
    """Many small steps, so that there is much to export."""

    @workflow.run
    async def run(self, steps: int) -> int:
        done = await asyncio.gather(
            *(
                workflow.execute_local_activity(nod, start_to_close_timeout=timedelta(seconds=20))
                for _ in range(steps)
            )
        )
        return len(done)


@workflow.defn
class Broken:
    """Its tasks fail, for ever."""

    @workflow.run
    async def run(self) -> None:
        raise LookupError("no such rule")
