"""Every span once, live or from the history: with a cache and without, whatever goes wrong."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)

from tests.tracer.feature_server import prepare
from tests.tracer.feature_switches import BROKEN
from tests.tracer.feature_workflows import QUEUE, Features
from tests.tracer.telescope import (
    Shape,
    Telescope,
    attribute,
    differences,
    family,
    is_known_to_workers_only,
    shape,
    span_id,
    told_by,
    working,
)
from tracer.model import Outcome, Run
from tracer.names import Attribute, SpanKind
from tracer.spans import spans_of

pytestmark = pytest.mark.slow

# Workers keep to themselves that a task failed again: it has to time out.
REPEATED_TASK = timedelta(seconds=3)

type Handle = WorkflowHandle[Any, Any]


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    yield telescope
    telescope.check()


@pytest.fixture(params=[1000, 0], ids=["cached", "uncached"])
def cached(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


@pytest_asyncio.fixture
async def client(temporal_address: str, telescope: Telescope, cached: int) -> AsyncIterator[Client]:
    await prepare(temporal_address)
    async with working(temporal_address, telescope.plugin, max_cached_workflows=cached) as client:
        yield client


def seen(telescope: Telescope) -> dict[str, Shape]:
    spans = [s for s in telescope.spans() if not is_known_to_workers_only(s)]
    live = {span_id(s): shape(s) for s in spans}
    twice = [shape(s) for s in spans if [span_id(o) for o in spans].count(span_id(s)) > 1]
    assert twice == [], "a worker told a span twice"
    return live


async def start(client: Client, *parts: str, **options: Any) -> Handle:
    options.setdefault("id", f"features-{uuid.uuid4()}")
    return await client.start_workflow(Features.run, list(parts), task_queue=QUEUE, **options)


async def ended(client: Client, handle: Handle) -> list[Run]:
    with contextlib.suppress(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 60)
    assert handle.first_execution_run_id
    return await family(client, handle.id, handle.first_execution_run_id)


@pytest.mark.parametrize(
    "part",
    [
        "activities",
        "activity_timeouts",
        "activity_cancels",
        "deaf_activity",
        "locals",
        "local_cancel",
        "local_backoff",
        "slow_local",
        "timers",
        "children",
        "child_cancels",
        "external",
        "nexus",
        "patches",
        "open_ends",
        "continue",
        "fail",
    ],
)
async def test_live_spans_are_those_of_the_history(
    telescope: Telescope, client: Client, cached: int, part: str
) -> None:
    # Local activities outlive a task if it is short: the worker then asks for one after another.
    # Up to 1.30, one without a cache begins the local activity anew each time, and never ends.
    is_short = "local" in part and cached
    options = {"task_timeout": timedelta(seconds=3)} if is_short else {}
    runs = await ended(client, await start(client, part, **options))
    assert differences(seen(telescope), told_by(runs)) == []


async def until(client: Client, handle: Handle, event: str) -> None:
    """Until the history has an event of this type after the last completed task."""
    while True:
        history = await handle.fetch_history()
        names = [e.WhichOneof("attributes") or "" for e in history.events]
        if f"{event}_event_attributes" in names:
            return
        await asyncio.sleep(0.02)


async def test_messages_of_all_kinds(telescope: Telescope, client: Client) -> None:
    handle = await start(client, "handlers", "approval", "handlers")
    await handle.signal("nobody_handles_this", "x")
    await handle.signal(Features.note_slowly, "a")
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(Features.approve, "")
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(Features.reject, "never")
    assert await handle.query(Features.count) == 1
    with pytest.raises(WorkflowQueryFailedError):
        await handle.query(Features.broken)
    assert await handle.execute_update(Features.work, "b") == "b"
    while await handle.execute_update(Features.approve, "ada") != "thanks, ada":
        pass
    runs = await ended(client, handle)
    assert differences(seen(telescope), told_by(runs)) == []


async def test_a_run_that_is_cancelled(telescope: Telescope, client: Client) -> None:
    handle = await start(client, "forever")
    await until(client, handle, "timer_started")
    await handle.cancel()
    runs = await ended(client, handle)
    assert differences(seen(telescope), told_by(runs)) == []


@pytest.mark.parametrize("times", [1, 3])
async def test_failed_tasks_that_are_retried(
    telescope: Telescope, client: Client, times: int
) -> None:
    workflow_id = f"broken-{uuid.uuid4()}"
    BROKEN[workflow_id] = times
    options = {"id": workflow_id, "task_timeout": REPEATED_TASK}
    runs = await ended(client, await start(client, "broken_tasks", **options))
    live = seen(telescope)
    # Servers keep no record of a failure that only repeats the one before it.
    repeated = {key for key in live if live[key][0] == "task failure"} - told_by(runs).keys()
    assert len(repeated) <= times // 2
    recorded = {key: live[key] for key in live.keys() - repeated}
    assert differences(recorded, told_by(runs)) == []


async def test_an_answer_that_the_server_refuses(
    telescope: Telescope, client: Client, cached: int
) -> None:
    workflow_id = f"large-{uuid.uuid4()}"
    BROKEN[workflow_id] = 1
    runs = await ended(client, await start(client, "activities", "too_large", id=workflow_id))
    assert differences(core_knows(telescope, runs, cached), told_by(runs)) == []
    kinds = {
        attribute(s, Attribute.TASK_FAILURE_KIND) for s in telescope.kinds(SpanKind.TASK_FAILURE)
    }
    # Up to 1.30 it is the worker that refuses, and the core that keeps it to itself.
    assert kinds == {"payload_size"} or not (cached or kinds)


async def test_a_run_that_completes_as_a_signal_arrives(
    telescope: Telescope, client: Client, cached: int
) -> None:
    workflow_id = f"late-{uuid.uuid4()}"
    BROKEN[workflow_id] = 1
    handle = await start(client, "activities", "late_message", id=workflow_id)
    while BROKEN[workflow_id] > 0:
        await asyncio.sleep(0.01)
    await handle.signal(Features.note, "late")
    BROKEN[workflow_id] = 0
    runs = await ended(client, handle)
    assert [task.cause for task in runs[0].tasks if task.cause] == ["UNHANDLED_COMMAND"]
    assert differences(core_knows(telescope, runs, cached), told_by(runs)) == []


@pytest.mark.parametrize("before", [["activities"], []], ids=["later", "first"])
async def test_a_deadlocked_task(
    telescope: Telescope, client: Client, cached: int, before: list[str]
) -> None:
    workflow_id = f"deadlock-{uuid.uuid4()}"
    BROKEN[workflow_id] = 1
    runs = await ended(client, await start(client, *before, "deadlock", id=workflow_id))
    assert [task.failure_kind for task in runs[0].tasks if task.cause] == ["deadlock"]
    assert differences(core_knows(telescope, runs, cached), told_by(runs)) == []


async def test_code_that_changed_under_a_run(
    temporal_address: str, telescope: Telescope, cached: int
) -> None:
    workflow_id = f"changed-{uuid.uuid4()}"
    options: dict[str, Any] = {"max_cached_workflows": cached}
    async with working(temporal_address, telescope.plugin, **options) as client:
        parts = ("changed_code", "approval")
        handle = await start(client, *parts, id=workflow_id, task_timeout=REPEATED_TASK)
        await until(client, handle, "timer_started")
    BROKEN[workflow_id] = 1
    async with working(temporal_address, telescope.plugin, **options) as client:
        await handle.signal(Features.note, "go")
        await until(client, handle, "workflow_task_failed")
    BROKEN[workflow_id] = 0
    async with working(temporal_address, telescope.plugin, **options) as client:
        await handle.execute_update(Features.approve, "ada")
        runs = await ended(client, handle)
    assert {task.failure_kind for task in runs[0].tasks if task.cause} == {"nondeterminism"}
    assert differences(core_knows(telescope, runs, cached), told_by(runs)) == []


def core_knows(telescope: Telescope, runs: list[Run], cached: int) -> dict[str, Shape]:
    """What workers told.

    Without a cache the core takes a run away before it says why: failures that it found itself,
    outside of the workflow's code, are known to the history only.
    """
    live, told = seen(telescope), told_by(runs)
    if cached:
        return live
    return {key: shape for key, shape in told.items() if shape[0] == "task failure"} | live


async def reset(client: Client, handle: Handle, event_id: int) -> str:
    """Start the run anew from this `WORKFLOW_TASK_COMPLETED` event; the new run's id."""
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(
                workflow_id=handle.id, run_id=handle.first_execution_run_id or ""
            ),
            reason="try again",
            workflow_task_finish_event_id=event_id,
            request_id=str(uuid.uuid4()),
        )
    )
    return answer.run_id


@pytest.mark.parametrize("task", [0, 1, 2])
async def test_a_run_that_is_reset(telescope: Telescope, client: Client, task: int) -> None:
    handle = await start(client, "patches", "approval", "timers", "locals")
    await until(client, handle, "timer_started")
    assert await handle.execute_update(Features.approve, "ada") == "thanks, ada"
    await handle.signal(Features.note, "before")
    [before] = await ended(client, handle)
    completed = [t.closed_event_id or 0 for t in before.tasks if t.outcome is Outcome.COMPLETED]
    new_run_id = await reset(client, handle, completed[task])
    again = client.get_workflow_handle(handle.id, run_id=new_run_id)
    await asyncio.wait_for(again.result(), 60)
    runs = [before, *await family(client, handle.id, new_run_id)]
    assert runs[1].reset_from_run_id == before.key.run_id
    assert differences(seen(telescope), told_by(runs)) == []


async def test_a_run_that_is_reset_while_a_step_is_open(
    telescope: Telescope, client: Client
) -> None:
    handle = await start(client, "forever")
    await until(client, handle, "timer_started")
    [before] = await family(client, handle.id, handle.first_execution_run_id or "")
    new_run_id = await reset(client, handle, before.tasks[1].closed_event_id or 0)
    again = client.get_workflow_handle(handle.id, run_id=new_run_id)
    while not (await again.describe()).raw_description.pending_activities:
        await asyncio.sleep(0.02)
    await again.cancel()
    with pytest.raises(WorkflowFailureError):
        await again.result()
    runs = await family(client, handle.id, handle.first_execution_run_id or "")
    runs += await family(client, handle.id, new_run_id)
    assert differences(seen(telescope), told_by(runs)) == []


@pytest.mark.parametrize("how", ["terminated", "timed out"])
async def test_a_run_that_the_server_ends(telescope: Telescope, client: Client, how: str) -> None:
    limit = timedelta(seconds=2) if how == "timed out" else None
    handle = await start(client, "forever", execution_timeout=limit)
    await until(client, handle, "timer_started")
    if how == "terminated":
        await handle.terminate()
    runs = await ended(client, handle)
    assert differences(seen(telescope), told_by(runs)) == []
    # Its end is there for whoever asks the history.
    assert {span.name for run in runs for span in spans_of(run)} >= {
        "workflow Features",
        "step stalls",
        "timer",
    }
