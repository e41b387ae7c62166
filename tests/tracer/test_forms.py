"""Every way to set the tracer up, and every way to start a run that it traces."""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowExecution,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.tracer.feature_workflows import QUEUE, Child, Features, ok
from tests.tracer.telescope import (
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
from tracer import TracerInterceptor, TracerPlugin, tracing_runner
from tracer.identity import derived_trace_id
from tracer.names import Attribute, SpanKind

pytestmark = pytest.mark.slow

FORMS_QUEUE = "forms"


@workflow.defn(sandboxed=False)
class Outside:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            ok, "outside", start_to_close_timeout=timedelta(seconds=20)
        )


@workflow.defn
class Shared:
    """Tells which modules its sandbox shares with the worker."""

    @workflow.run
    async def run(self) -> list[bool]:
        import opentelemetry.trace

        import tracer.names

        with workflow.unsafe.sandbox_unrestricted():
            outside = sys.modules
        return [
            outside["tracer.names"] is tracer.names,
            outside["opentelemetry.trace"] is opentelemetry.trace,
        ]


class _CustomRunner(WorkflowRunner):
    """A runner of the user's own."""

    def __init__(self) -> None:
        self._inner = UnsandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: Any) -> Any:
        return self._inner.create_instance(det)


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    telescope = Telescope()
    yield telescope
    telescope.check()


@asynccontextmanager
async def in_form(address: str, telescope: Telescope, form: str) -> AsyncIterator[Client]:
    options: dict[str, Any] = {}
    if form == "plugin":
        client = await Client.connect(address, plugins=[telescope.plugin])
        tracing = None
    else:
        tracing = TracerInterceptor(
            tracer_provider=telescope.provider,
            meter_provider=MeterProvider(shutdown_on_exit=False),
        )
        client = await Client.connect(address, interceptors=[tracing])
        inner = _CustomRunner() if form == "own runner" else None
        options["workflow_runner"] = tracing_runner(tracing, inner)
        options["unsandboxed_workflow_runner"] = tracing_runner(
            tracing, UnsandboxedWorkflowRunner()
        )
    async with Worker(
        client,
        task_queue=FORMS_QUEUE,
        workflows=[Child, Outside, Shared],
        activities=[ok],
        **options,
    ):
        yield client
    if tracing is not None:
        assert tracing.flush()
        assert tracing.guard.errors == []
        assert tracing.dropped_spans == 0


def seen(telescope: Telescope) -> list[ReadableSpan]:
    return [s for s in telescope.spans() if not is_known_to_workers_only(s)]


@pytest.mark.parametrize("form", ["plugin", "interceptor", "own runner"])
async def test_each_form_tells_the_whole_run(
    temporal_address: str, telescope: Telescope, form: str
) -> None:
    runs = []
    async with in_form(temporal_address, telescope, form) as client:
        for run, args in ((Child.run, ["x"]), (Outside.run, [])):
            handle = await client.start_workflow(
                run, args=args, id=f"form-{uuid.uuid4()}", task_queue=FORMS_QUEUE
            )
            await handle.result()
            runs += await family(client, handle.id, handle.first_execution_run_id or "")
    live = {span_id(s): shape(s) for s in seen(telescope)}
    assert differences(live, told_by(runs)) == []
    assert len(telescope.kinds(SpanKind.ATTEMPT)) == 2
    assert len(telescope.kinds(SpanKind.START)) == 2


@pytest.mark.parametrize("form", ["plugin", "interceptor"])
async def test_the_sandbox_shares_what_the_tracer_needs(
    temporal_address: str, telescope: Telescope, form: str
) -> None:
    async with in_form(temporal_address, telescope, form) as client:
        shared = await client.execute_workflow(
            Shared.run, id=f"shared-{uuid.uuid4()}", task_queue=FORMS_QUEUE
        )
    assert shared == [True, True]


def test_other_plugins_still_find_the_sandbox() -> None:
    """They look for the class, and replace its restrictions."""
    runner = tracing_runner(TracerInterceptor())
    assert isinstance(runner, SandboxedWorkflowRunner)
    passed = runner.restrictions.passthrough_modules
    assert {"tracer", "opentelemetry", "temporalio"} <= passed


def test_chains_are_linked_or_nested() -> None:
    wrong: Any = "tangled"
    for form in (TracerPlugin, TracerInterceptor):
        with pytest.raises(ValueError, match="expected 'linked' or 'nested'"):
            form(chains=wrong)


@pytest.mark.parametrize("chains", ["linked", "nested"])
async def test_a_run_that_continues_another(
    temporal_address: str, telescope: Telescope, chains: Any
) -> None:
    telescope.plugin = TracerPlugin(
        tracer_provider=telescope.provider,
        meter_provider=MeterProvider(shutdown_on_exit=False),
        chains=chains,
    )
    async with working(temporal_address, telescope.plugin) as client:
        handle = await client.start_workflow(
            Features.run, ["continue"], id=f"chain-{uuid.uuid4()}", task_queue=QUEUE
        )
        await handle.result()
        runs = await family(client, handle.id, handle.first_execution_run_id or "")
    live = {span_id(s): shape(s) for s in seen(telescope)}
    assert differences(live, told_by(runs)) == []
    first, second = sorted(telescope.kinds(SpanKind.RUN), key=lambda s: s.start_time or 0)
    assert first.context is not None
    assert second.context is not None
    parent = second.parent.span_id if second.parent else None
    is_one_trace = first.context.trace_id == second.context.trace_id
    linked = [link.context.span_id for link in second.links]
    if chains == "nested":
        assert (is_one_trace, parent, linked) == (True, first.context.span_id, [])
    else:
        assert (is_one_trace, parent, linked) == (False, None, [first.context.span_id])


async def test_a_run_that_a_schedule_starts(temporal_address: str, telescope: Telescope) -> None:
    async with in_form(temporal_address, telescope, "plugin") as client:
        name = f"every-day-{uuid.uuid4()}"
        action = ScheduleActionStartWorkflow(
            Child.run, "x", id=f"{name}-run", task_queue=FORMS_QUEUE
        )
        schedule = await client.create_schedule(name, Schedule(action, ScheduleSpec()))
        await schedule.trigger()
        found: list[WorkflowExecution] = []
        while not found:
            found = [e async for e in client.list_workflows(f"TemporalScheduledById = '{name}'")]
        await client.get_workflow_handle(found[0].id).result()
        await schedule.delete()
    assert_whole(telescope, found[0].run_id)


async def test_a_run_that_the_command_line_starts(
    temporal_address: str, telescope: Telescope
) -> None:
    temporal = Path(sys.executable).parent / "temporal"
    workflow_id = f"by-hand-{uuid.uuid4()}"
    command = [
        *("workflow", "execute", "--address", temporal_address, "--type", "Child"),
        *("--task-queue", FORMS_QUEUE, "--workflow-id", workflow_id, "--input", '"x"'),
        *("--output", "json"),
    ]
    async with in_form(temporal_address, telescope, "plugin"):
        process = await asyncio.create_subprocess_exec(
            temporal, *command, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert_whole(telescope, json.loads(out)["runId"])


def assert_whole(telescope: Telescope, run_id: str) -> None:
    """The run has a trace of its own, in which nothing is missing."""
    spans = {span_id(s): s for s in telescope.spans()}
    kinds = {str(attribute(s, Attribute.SPAN_KIND)) for s in spans.values()}
    assert kinds == {"run", "branch", "step", "attempt", "workflow"}
    assert {s.context.trace_id for s in spans.values() if s.context} == {derived_trace_id(run_id)}
    parents = {f"{s.parent.span_id:016x}" for s in spans.values() if s.parent}
    assert parents <= spans.keys()


async def test_metrics_lead_to_spans(temporal_address: str, telescope: Telescope) -> None:
    async with in_form(temporal_address, telescope, "plugin") as client:
        await client.execute_workflow(
            Child.run, "x", id=f"exemplar-{uuid.uuid4()}", task_queue=FORMS_QUEUE
        )
    ids = {int(span_id(s), 16): s for s in telescope.spans()}
    expected = {
        "retrospan.runs": "workflow Child",
        "retrospan.run.duration": "workflow Child",
        "retrospan.step.duration": "step ok",
        "retrospan.branches": "branch Child.run",
        "retrospan.attempts": "attempt ok",
        "retrospan.step.queue_time": "attempt ok",
    }
    found = {
        name: ids[exemplar.span_id].name
        for name, point in telescope.points()
        for exemplar in getattr(point, "exemplars", ())
    }
    assert found == expected


async def test_runs_that_are_not_sampled_count(temporal_address: str) -> None:
    telescope = Telescope(sampler=ALWAYS_OFF)
    async with in_form(temporal_address, telescope, "plugin") as client:
        await client.execute_workflow(
            Child.run, "x", id=f"unsampled-{uuid.uuid4()}", task_queue=FORMS_QUEUE
        )
    assert telescope.spans() == []
    points = dict(telescope.points())
    assert points["retrospan.runs"].value == 1
    assert points["retrospan.attempts"].value == 1
    assert points["retrospan.step.duration"].count == 1
    assert not any(list(getattr(point, "exemplars", ())) for point in points.values())
    telescope.check()
