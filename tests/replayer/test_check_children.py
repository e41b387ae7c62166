"""Many checks at once: in order, and whatever a run does, it costs its own limit and no more."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.worker import Worker

from replayer.check import (
    ChangeKind,
    CheckOptions,
    VerdictStatus,
    check_history,
    check_many,
    junit_xml,
    verdict_text,
)
from replayer.history import RunHistory, from_server
from replayer.replaying import Limits, LoadError
from tests.replayer.check_workflows import Order, charge
from tracer.identity import RunKey

SAME = CheckOptions(("tests.replayer.check_workflows:Order",))
BROKEN = CheckOptions(("tests.replayer.check_workflows:Broken",), limits=Limits(seconds=4))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def order(temporal_address: str) -> RunHistory:
    client = await Client.connect(temporal_address)
    queue = f"check-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Order], activities=[charge]):
        handle = await client.start_workflow("Order", id=queue, task_queue=queue)
        await handle.result()
        return await from_server(client, handle.id)


def named(order: RunHistory, workflow_id: str) -> RunHistory:
    return replace(order, key=RunKey("default", workflow_id, order.key.run_id))


async def test_one_history(order: RunHistory) -> None:
    verdict = check_history(order, replace(SAME, strict=True))
    assert verdict.status is VerdictStatus.OK
    assert verdict.commands == 3
    assert verdict.events == len(order.events)
    assert not verdict.is_problem


async def test_verdicts_come_in_the_order_of_the_runs(order: RunHistory) -> None:
    names = [f"order-{number}" for number in range(20)]
    verdicts = check_many((named(order, name) for name in names), SAME, jobs=2)
    assert [verdict.key.workflow_id for verdict in verdicts] == names


async def test_a_run_that_hangs_or_crashes_is_a_verdict(order: RunHistory) -> None:
    names = ["a", "hang-1", "b", "crash-1", "c", "d"]
    verdicts = list(check_many((named(order, name) for name in names), BROKEN, jobs=2))
    assert [verdict.key.workflow_id for verdict in verdicts] == names
    by_name: Mapping[str, VerdictStatus] = {v.key.workflow_id: v.status for v in verdicts}
    assert {name for name, status in by_name.items() if status is VerdictStatus.OK} == set("abcd")
    hanging, crashing = verdicts[1].explanation, verdicts[3].explanation
    assert hanging is not None
    assert hanging.kind in (ChangeKind.DEADLOCK, ChangeKind.HANGS)
    assert hanging.place is not None
    assert hanging.place.function == "hang"
    assert hanging.place.text == "time.sleep(600)"
    assert crashing is not None
    assert crashing.kind is ChangeKind.CRASHES
    assert "exit code 11" in crashing.summary


async def test_a_wrong_name_is_one_error(order: RunHistory) -> None:
    options = CheckOptions(("tests.replayer.check_workflows:Odrer",))
    with pytest.raises(LoadError, match="its workflows are Broken, Order"):
        list(check_many([order, order], options, jobs=2))
    with pytest.raises(LoadError, match="there is no replay profile 'nope'"):
        list(check_many([order], replace(SAME, profile="nope")))


async def test_histories_are_read_as_they_are_needed(order: RunHistory) -> None:
    taken = 0

    def endless() -> Iterator[RunHistory]:
        nonlocal taken
        while True:
            taken += 1
            yield order

    verdicts = check_many(endless(), SAME, jobs=1)
    assert next(verdicts).status is VerdictStatus.OK
    verdicts.close()  # type: ignore[attr-defined]  # a generator
    assert taken < 1_000


async def test_junit_carries_hostile_text(order: RunHistory) -> None:
    hostile = named(order, "crash-\x1b[31m<b>&\x00")
    [verdict] = check_many([hostile], BROKEN)
    document = junit_xml([verdict], [("a\x07b", "no <history>")])
    from xml.etree import ElementTree

    root = ElementTree.fromstring(document)
    suite = root[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "1")
    failure = suite[0].find("failure")
    assert failure is not None
    assert failure.get("type") == "crashes"
    assert "\x1b" not in document.decode()
    assert max(map(len, verdict_text(verdict).splitlines())) <= 90
