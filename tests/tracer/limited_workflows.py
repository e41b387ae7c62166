"""Workflows that come near limits."""

import time
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "limited"
TIMEOUT = timedelta(seconds=20)


@activity.defn
async def swell(size: int) -> str:
    return "x" * size


@workflow.defn
class Limited:
    @workflow.run
    async def run(self, sizes: list[int], busy: float) -> None:
        for size in sizes:
            await workflow.execute_activity(swell, size, start_to_close_timeout=TIMEOUT)
        if busy:
            self.keep_busy(busy)

    def keep_busy(self, seconds: float) -> None:
        with workflow.unsafe.sandbox_unrestricted():
            until = time.thread_time() + seconds
            while time.thread_time() < until:
                pass
