"""Runs that stand still are counted while they do."""

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from tests.tracer.telescope import Telescope
from tests.tracer.test_live import until_it_waits_for_approval
from tests.tracer.traced_workflows import ACTIVITIES, QUEUE, WORKFLOWS, Everything
from tracer import names
from tracer._open_waits import OpenWaits, Standing
from tracer.names import Attribute

pytestmark = pytest.mark.slow


def of(telescope: Telescope, metric: names.Metric) -> dict[str, Any]:
    """Values by workflow type."""
    return {
        point.attributes[Attribute.WORKFLOW_TYPE.value]: point.value
        for name, point in telescope.points()
        if name == metric.name
    }


@pytest.mark.parametrize("is_cached", [True, False])
async def test_a_run_that_waits_for_an_approval_is_seen_before_it_comes(
    temporal_address: str, is_cached: bool
) -> None:
    telescope = Telescope()
    client = await Client.connect(temporal_address, plugins=[telescope.plugin])
    queue = f"{QUEUE}-{uuid.uuid4()}"
    with ThreadPoolExecutor(4) as threads:
        async with Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            activity_executor=threads,
            max_cached_workflows=1000 if is_cached else 0,
        ):
            began = time.time()
            handle = await client.start_workflow(
                Everything.run, 1, id=f"waiting-{uuid.uuid4()}", task_queue=queue
            )
            await until_it_waits_for_approval(handle)
            expected = {"Everything": 1} if is_cached else {}
            # A run leaves the cache a moment after the server recorded what it did.
            while (waiting := of(telescope, names.OPEN_WAITS)) != expected:
                await asyncio.sleep(0.02)
            ages = of(telescope, names.OPEN_WAIT_AGE)
            assert all(0 <= age <= time.time() - began for age in ages.values())
            assert ages.keys() == waiting.keys()
            await handle.execute_update(Everything.approve, "ada")
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            assert of(telescope, names.OPEN_WAITS) == {}
    telescope.check()


class _Run:
    def __init__(self, standing: Standing | None, *, changes: bool = False) -> None:
        self._standing = standing
        self._changes = changes

    def standing(self) -> Standing | None:
        if self._changes:
            raise RuntimeError("dictionary changed size during iteration")
        return self._standing


def test_the_oldest_of_a_type_counts_and_what_is_at_work_or_gone_does_not() -> None:
    waits, now = OpenWaits(), time.time_ns()
    order, refund = ("default", "Order"), ("default", "Refund")
    kept = [
        _Run(Standing(order, now - 90_000_000_000)),
        _Run(Standing(order, now - 60_000_000_000)),
        _Run(Standing(refund, now + 5_000_000_000)),
        _Run(None),
        _Run(None, changes=True),
    ]
    for run in kept:
        waits.add(run, _Run.standing)
    assert dict(waits.counts()) == {order: 2, refund: 1}
    oldest = dict(waits.oldest())
    assert 90 <= oldest[order] < 150
    # The server's clock may be ahead.
    assert oldest[refund] == 0
    kept.clear()
    assert dict(waits.counts()) == {}


def test_runs_may_begin_while_others_are_counted() -> None:
    waits, order = OpenWaits(), ("default", "Order")
    kept = [_Run(Standing(order, 0)) for _ in range(20_000)]
    seen: list[int] = []

    def begin() -> None:
        for run in kept:
            waits.add(run, _Run.standing)

    with ThreadPoolExecutor(1) as threads:
        added = threads.submit(begin)
        while not added.done():
            seen.append(dict(waits.counts()).get(order, 0))
    added.result()
    assert seen == sorted(seen)
    assert dict(waits.counts()) == {order: len(kept)}
