"""What clients start: standalone activities, updates with a start, and runs inside of a request."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
from opentelemetry import trace
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from tests.tracer.feature_server import prepare
from tests.tracer.feature_workflows import QUEUE, Features, fails
from tests.tracer.telescope import Telescope, attribute, span_id, working
from tracer.names import Attribute, SpanKind

pytestmark = pytest.mark.slow


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    yield telescope
    telescope.check()


@pytest_asyncio.fixture
async def client(temporal_address: str, telescope: Telescope) -> AsyncIterator[Client]:
    await prepare(temporal_address)
    async with working(temporal_address, telescope.plugin) as client:
        yield client


@pytest.mark.parametrize("traced", [True, False], ids=["traced client", "other client"])
async def test_a_standalone_activity_has_its_attempts(
    temporal_address: str, telescope: Telescope, client: Client, traced: bool
) -> None:
    starter = client if traced else await Client.connect(temporal_address)
    result = await starter.execute_activity(
        fails,
        2,
        id=f"alone-{uuid.uuid4()}",
        task_queue=QUEUE,
        start_to_close_timeout=timedelta(seconds=5),
    )
    assert result == 2
    attempts = telescope.kinds(SpanKind.ATTEMPT)
    assert [attribute(s, Attribute.ACTIVITY_ATTEMPT) for s in attempts] == [1, 2]
    assert len({span_id(s) for s in attempts}) == 2
    starts = {span_id(s) for s in telescope.kinds(SpanKind.START)}
    parents = {f"{s.parent.span_id:016x}" if s.parent else "" for s in attempts}
    assert parents == (starts if traced else {""})
    assert len({s.context.trace_id for s in attempts if s.context}) == 1


async def test_update_with_start_is_one_trace(telescope: Telescope, client: Client) -> None:
    operation = WithStartWorkflowOperation(
        Features.run,
        ["approval"],
        id=f"with-start-{uuid.uuid4()}",
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    await client.execute_update_with_start_workflow(
        Features.approve, "ada", start_workflow_operation=operation
    )
    handle = await operation.workflow_handle()
    await handle.result()
    [start] = telescope.kinds(SpanKind.START)
    [run] = telescope.kinds(SpanKind.RUN)
    [update] = telescope.kinds(SpanKind.UPDATE)
    assert run.parent is not None
    assert f"{run.parent.span_id:016x}" == span_id(start)
    assert [f"{link.context.span_id:016x}" for link in update.links] == [span_id(start)]


async def test_what_a_nexus_handler_starts_hangs_in_the_callers_trace(
    telescope: Telescope, client: Client
) -> None:
    handle = await client.start_workflow(
        Features.run, ["nexus"], id=f"nexus-{uuid.uuid4()}", task_queue=QUEUE
    )
    await handle.result()
    assert len({s.context.trace_id for s in telescope.spans() if s.context}) == 1
    nexus = {span_id(s) for s in telescope.kinds(SpanKind.NEXUS)}
    handlers = telescope.kinds(SpanKind.HANDLER)
    assert {f"{s.parent.span_id:016x}" for s in handlers if s.parent} <= nexus
    outcomes = {(s.name, attribute(s, Attribute.OUTCOME)) for s in handlers}
    assert outcomes == {
        ("handle Desk/echo", "completed"),
        ("handle Desk/refuse", "failed"),
        ("handle Desk/linger", "completed"),
        ("cancel Desk/linger", "completed"),
    }
    by_handler = [s for s in telescope.kinds(SpanKind.START) if s.name == "start Child"]
    assert len(by_handler) == 4
    assert {f"{s.parent.span_id:016x}" for s in by_handler if s.parent} <= set(
        map(span_id, handlers)
    )


async def test_a_run_hangs_on_the_span_of_its_starter(telescope: Telescope, client: Client) -> None:
    tracer = trace.get_tracer("test", tracer_provider=telescope.provider)
    with tracer.start_as_current_span("a request") as request:
        await client.execute_workflow(
            Features.run, ["timers"], id=f"request-{uuid.uuid4()}", task_queue=QUEUE
        )
    spans = {span_id(s): s for s in telescope.spans()}
    assert {s.context.trace_id for s in spans.values() if s.context} == {
        request.get_span_context().trace_id
    }
    orphans = [
        s.name for s in spans.values() if s.parent and f"{s.parent.span_id:016x}" not in spans
    ]
    assert orphans == []
