"""Limits as signals: on spans and metrics, live and from histories, before it is too late."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker

from tests.tracer.limited_workflows import QUEUE, Limited, swell
from tests.tracer.telescope import (
    Telescope,
    attribute,
    differences,
    family,
    is_known_to_workers_only,
    shape,
    span_id,
    told_by,
)
from tracer import Limits, SpanSettings
from tracer._headrooms import Headrooms
from tracer.names import Attribute as A
from tracer.names import SpanKind

slow = pytest.mark.slow

TIGHT = SpanSettings(
    limits=Limits(payload_bytes=1000, history_events=20, history_bytes=4000, activation_seconds=0.2)
)
CACHES = pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "uncached"])


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope(settings=TIGHT)
    yield telescope
    telescope.check()


@asynccontextmanager
async def working(address: str, telescope: Telescope, cached: int = 1000) -> AsyncIterator[Client]:
    client = await Client.connect(address, plugins=[telescope.plugin])
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Limited],
        activities=[swell],
        max_cached_workflows=cached,
    ):
        yield client


async def play(client: Client, sizes: list[int], busy: float = 0.0) -> WorkflowHandle[Any, Any]:
    handle = await client.start_workflow(
        Limited.run, args=[sizes, busy], id=f"limited-{uuid.uuid4()}", task_queue=QUEUE
    )
    await handle.result()
    return handle


def headrooms(telescope: Telescope) -> dict[str, float]:
    data = telescope.metrics.get_metrics_data()
    assert data is not None
    return {
        str((point.attributes or {})[A.LIMIT_NAME.value]): getattr(point, "value", -1.0)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "retrospan.limit.headroom"
        for point in metric.data.data_points
    }


@slow
async def test_a_large_payload_is_told_on_its_step(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope) as client:
        await play(client, [100, 850])

    small, large = telescope.kinds(SpanKind.STEP)

    assert attribute(small, A.LIMIT_NEAR) is None
    assert 0.8 < attribute(small, A.PAYLOAD_HEADROOM) < 0.9
    assert attribute(large, A.LIMIT_NEAR) == "payload"
    assert 0.0 <= attribute(large, A.PAYLOAD_HEADROOM) < 0.15
    assert headrooms(telescope)["payload"] == attribute(large, A.PAYLOAD_HEADROOM)


@slow
@CACHES
async def test_a_history_that_grows_near_its_limits_is_told_once(
    temporal_address: str, telescope: Telescope, cached: int
) -> None:
    async with working(temporal_address, telescope, cached) as client:
        handle = await play(client, [10, 10, 10, 700, 700])
        runs = await family(client, handle.id, handle.first_execution_run_id or "")

    # On a busy machine, an activation may be slow as well.
    found = [
        s for s in telescope.kinds(SpanKind.LIMIT) if attribute(s, A.LIMIT_NAME) != "activation"
    ]
    limits = {attribute(s, A.LIMIT_NAME): s for s in found}
    assert limits.keys() == {"history_events", "history_bytes"}
    assert len(found) == 2
    events = limits["history_events"]
    assert events.name == "limit history_events"
    assert 16 <= attribute(events, A.LIMIT_USED) < 22
    assert attribute(events, A.LIMIT_MAXIMUM) == 20
    [workflow] = telescope.kinds(SpanKind.WORKFLOW)
    assert attribute(workflow, A.LIMIT_NEAR) == "history_events,history_bytes"
    assert attribute(workflow, A.HISTORY_EVENTS) > 20
    assert attribute(workflow, A.HISTORY_HEADROOM) == 0.0
    assert headrooms(telescope)["history_events"] == 0.0
    live = {span_id(s): shape(s) for s in telescope.spans() if not is_known_to_workers_only(s)}
    assert differences(live, told_by(runs, TIGHT)) == []


@slow
async def test_a_slow_activation_is_told_with_its_hottest_lines(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope) as client:
        handle = await play(client, [], busy=0.15)
        history = await handle.fetch_history()
    before = len(telescope.spans())
    await Replayer(workflows=[Limited], plugins=[telescope.plugin]).replay_workflow(history)

    [activation] = telescope.kinds(SpanKind.LIMIT)

    assert activation.name == "limit activation"
    assert attribute(activation, A.ACTIVATION_CPU) >= 0.15
    assert attribute(activation, A.LIMIT_USED) >= attribute(activation, A.ACTIVATION_CPU)
    hottest = attribute(activation, A.HOT_LINES)[0]
    assert hottest.startswith("tests/tracer/limited_workflows.py:")
    assert "Limited.keep_busy" in hottest
    assert headrooms(telescope)["activation"] < 0.26
    assert len(telescope.spans()) == before


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1)), max_size=20))
def test_the_least_of_the_last_minute_is_never_missed(notes: list[tuple[int, float]]) -> None:
    now = 0.0
    headrooms = Headrooms(lambda: now)
    told: list[tuple[float, float]] = []
    for pause, headroom in notes:
        now += pause
        headrooms.note((), 1 - headroom, 1)
        told.append((now, headroom))
        [(_, least)] = headrooms.least()
        assert least <= min(value for at, value in told if at > now - 60) + 1e-4
        assert least >= min(value for at, value in told if at > now - 240) - 1e-4


@pytest.mark.parametrize(
    "wrong", [{"payload_bytes": 0}, {"near": 0.0}, {"near": 1.5}, {"slow": -1.0}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Limits"):
        Limits(**wrong)
