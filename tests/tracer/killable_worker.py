"""A worker in a process of its own that exports over OTLP, for a test that kills it.

Run as `python -m tests.tracer.killable_worker ADDRESS ENDPOINT LOG`. It prints `ready` once it
polls. Its activities write each start and end to LOG at once, so that a test knows what ran.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

QUEUE = "killable"
LOG_VARIABLE = "KILLABLE_LOG"
SOON = timedelta(milliseconds=20)
RETRY = RetryPolicy(initial_interval=SOON, backoff_coefficient=1.0)
TASK_TIMEOUT = timedelta(seconds=1)


def _log(what: str) -> None:
    info = activity.info()
    line = f"{what} {info.workflow_run_id} {info.activity_id} {info.attempt} {info.is_local}\n"
    # One write, one line, even if the process dies in the next moment.
    with open(os.environ[LOG_VARIABLE], "ab", buffering=0) as file:  # noqa: PTH123
        file.write(line.encode())


@activity.defn
async def chew(seconds: float) -> None:
    """Works for a while, and says so."""
    _log("start")
    for _ in range(max(1, int(seconds / 0.03))):
        activity.heartbeat()
        await asyncio.sleep(0.03)
    _log("end")


@activity.defn
async def stumble(good_attempt: int) -> int:
    """Fails at first."""
    _log("start")
    attempt = activity.info().attempt
    _log("end")
    if attempt < good_attempt:
        raise ConnectionError(f"stumbled at {attempt}")
    return attempt


@activity.defn
async def glance(number: int) -> int:
    """A local activity."""
    _log("start")
    await asyncio.sleep(0.01)
    _log("end")
    return number


@workflow.defn
class Grandchild:
    """One step."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            stumble, 2, start_to_close_timeout=timedelta(seconds=1), retry_policy=RETRY
        )


@workflow.defn
class Survivor:
    """Rounds of everything, then continues as new as often as it is told to."""

    def __init__(self) -> None:
        self.nudges = 0

    @workflow.signal
    def nudge(self) -> None:
        self.nudges += 1

    @workflow.update
    async def poke(self, number: int) -> int:
        await workflow.execute_activity(
            stumble, 1, start_to_close_timeout=timedelta(seconds=1), retry_policy=RETRY
        )
        return number

    @workflow.run
    async def run(self, rounds: int, generations: int) -> None:
        for number in range(rounds):
            await asyncio.gather(
                *(
                    workflow.execute_activity(
                        chew,
                        seconds,
                        start_to_close_timeout=timedelta(seconds=5),
                        heartbeat_timeout=timedelta(milliseconds=600),
                        retry_policy=RETRY,
                    )
                    for seconds in (0.1, 0.4)
                ),
                workflow.execute_activity(
                    stumble, 3, start_to_close_timeout=timedelta(seconds=1), retry_policy=RETRY
                ),
            )
            await workflow.execute_local_activity(
                glance, number, start_to_close_timeout=timedelta(seconds=1)
            )
            await workflow.sleep(timedelta(milliseconds=150), summary="rest")
            await workflow.execute_child_workflow(
                Grandchild.run,
                id=f"{workflow.info().workflow_id}-{workflow.info().run_id}-{number}",
                task_timeout=TASK_TIMEOUT,
            )
        await workflow.wait_condition(workflow.all_handlers_finished)
        if generations > 1:
            workflow.continue_as_new(args=[rounds, generations - 1], task_timeout=TASK_TIMEOUT)


async def work(address: str, endpoint: str) -> None:
    from tracer import TracerPlugin

    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    plugin = TracerPlugin(tracer_provider=provider)
    client = await Client.connect(address, plugins=[plugin])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Survivor, Grandchild],
        activities=[chew, stumble, glance],
        sticky_queue_schedule_to_start_timeout=timedelta(milliseconds=300),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        graceful_shutdown_timeout=timedelta(seconds=2),
    ):
        print("ready", flush=True)
        await stop.wait()
    assert plugin.guard.errors == []
    provider.shutdown()


if __name__ == "__main__":
    os.environ[LOG_VARIABLE] = sys.argv[3]
    asyncio.run(work(sys.argv[1], sys.argv[2]))
