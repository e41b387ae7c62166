"""An attempt tells why there was one before it, from memory or from the server."""

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import Worker

from tests.tracer.telescope import Telescope, attribute
from tracer._previous import FailureMemory
from tracer.names import Attribute, SpanKind

pytestmark = pytest.mark.slow

QUEUE = "attempts-before"
BACKOFF = timedelta(milliseconds=250)
RELEASED = asyncio.Event()


@activity.defn
async def refuses_once() -> int:
    if activity.info().attempt == 1:
        raise ConnectionError("order 4711 refused")
    return activity.info().attempt


@activity.defn
def refuses_once_in_a_thread() -> int:
    if activity.info().attempt == 1:
        raise ConnectionError("order 4712 refused")
    return activity.info().attempt


@activity.defn
async def falls_silent_once() -> int:
    """Its first attempt never heartbeats, as if its worker had died; it ignores cancellation."""
    if activity.info().attempt > 1:
        for _ in range(5):
            activity.heartbeat()
            await asyncio.sleep(0.1)
        return activity.info().attempt
    while not RELEASED.is_set():
        try:
            await RELEASED.wait()
        except asyncio.CancelledError:
            continue
    return 1


@activity.defn
async def hands_over() -> None:
    activity.raise_complete_async()


@workflow.defn
class Retrying:
    @workflow.run
    async def run(self, name: str, local: bool) -> Any:
        policy = RetryPolicy(initial_interval=BACKOFF, backoff_coefficient=1.0, maximum_attempts=3)
        limit = timedelta(seconds=20)
        if local:
            return await workflow.execute_local_activity(
                name, start_to_close_timeout=limit, retry_policy=policy
            )
        return await workflow.execute_activity(
            name,
            start_to_close_timeout=limit,
            heartbeat_timeout=timedelta(seconds=1),
            retry_policy=policy,
        )


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    RELEASED.clear()
    yield telescope
    telescope.check()


async def attempts(
    address: str, telescope: Telescope, name: str, *, local: bool = False
) -> list[ReadableSpan]:
    client = await Client.connect(address, plugins=[telescope.plugin])
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[Retrying],
            activities=[refuses_once, refuses_once_in_a_thread, falls_silent_once, hands_over],
            activity_executor=threads,
            identity="desk-7",
        ):
            try:
                result = await client.execute_workflow(
                    Retrying.run,
                    args=[name, local],
                    id=f"retrying-{uuid.uuid4()}",
                    task_queue=QUEUE,
                )
            finally:
                RELEASED.set()
            assert result == 2
    spans = telescope.kinds(SpanKind.ATTEMPT)
    return sorted(spans, key=lambda span: int(attribute(span, Attribute.ACTIVITY_ATTEMPT)))


@pytest.mark.parametrize("name", ["refuses_once", "refuses_once_in_a_thread"])
@pytest.mark.parametrize("local", [False, True], ids=["activity", "local"])
async def test_a_retry_tells_of_the_failure_before(
    temporal_address: str, telescope: Telescope, name: str, local: bool
) -> None:
    first, second = await attempts(temporal_address, telescope, name, local=local)
    assert attribute(first, Attribute.PREVIOUS_FAILURE_TYPE) is None
    assert attribute(first, Attribute.IS_LAST_ATTEMPT) is False
    assert attribute(second, Attribute.IS_LAST_ATTEMPT) is True
    assert attribute(second, Attribute.PREVIOUS_FAILURE_TYPE) == "ConnectionError"
    assert attribute(second, Attribute.PREVIOUS_FAILURE_FINGERPRINT) == attribute(
        first, Attribute.FAILURE_FINGERPRINT
    )
    assert attribute(second, Attribute.PREVIOUS_FAILURE_MESSAGE) == attribute(
        first, Attribute.FAILURE_MESSAGE
    )
    backoff = attribute(second, Attribute.BACKOFF_SECONDS)
    assert BACKOFF.total_seconds() * 0.5 < backoff < 10
    assert {attribute(s, Attribute.IDENTITY) for s in (first, second)} == {"desk-7"}


async def test_the_server_tells_what_another_worker_failed_with(
    temporal_address: str, telescope: Telescope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FailureMemory, "recall", lambda *_: None)
    _, second = await attempts(temporal_address, telescope, "refuses_once")
    # Nothing waits for the answer, so a quick attempt may end before the server looks.
    assert attribute(second, Attribute.PREVIOUS_FAILURE_TYPE) in ("ConnectionError", None)


async def test_a_heartbeat_timeout_shows_on_the_attempt_after(
    temporal_address: str, telescope: Telescope
) -> None:
    *_, second = await attempts(temporal_address, telescope, "falls_silent_once")
    assert attribute(second, Attribute.ACTIVITY_ATTEMPT) == 2
    assert attribute(second, Attribute.PREVIOUS_FAILURE_TYPE) == "HEARTBEAT"
    assert attribute(second, Attribute.PREVIOUS_FAILURE_MESSAGE)


async def test_an_attempt_that_completes_elsewhere_did_not_fail(
    temporal_address: str, telescope: Telescope
) -> None:
    client = await Client.connect(temporal_address, plugins=[telescope.plugin])
    async with Worker(client, task_queue=QUEUE, workflows=[Retrying], activities=[hands_over]):
        handle = await client.start_workflow(
            Retrying.run, args=["hands_over", False], id=f"async-{uuid.uuid4()}", task_queue=QUEUE
        )
        while not telescope.kinds(SpanKind.ATTEMPT):
            await asyncio.sleep(0.02)
        other = client.get_async_activity_handle(
            workflow_id=handle.id, run_id=handle.first_execution_run_id, activity_id="1"
        )
        await other.complete("done")
        assert await handle.result() == "done"
    first = telescope.kinds(SpanKind.ATTEMPT)[0]
    assert first.status.is_ok or first.status.is_unset
    assert attribute(first, Attribute.OUTCOME) is None
    assert attribute(first, Attribute.ERROR_TYPE) is None
