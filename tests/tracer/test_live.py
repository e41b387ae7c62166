"""The tracer on a real server: what workers emit is what the history tells."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.status import StatusCode
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
    WorkflowUpdateFailedError,
)
from temporalio.worker import Replayer, Worker

from tests.tracer.traced_workflows import (
    ACTIVITIES,
    ATTEMPTS,
    QUEUE,
    WORKFLOWS,
    Everything,
    Sleeper,
)
from tracer import TracerPlugin
from tracer.identity import RunKey
from tracer.model import run_from_events
from tracer.model.activations import ActivationReader
from tracer.names import Attribute, SpanKind
from tracer.spans import RunSpans, SpanRecord, spans_of

pytestmark = pytest.mark.slow


@dataclass
class Telescope:
    """A plugin whose spans and metrics stay here."""

    plugin: TracerPlugin
    exporter: InMemorySpanExporter
    metrics: InMemoryMetricReader

    def spans(self) -> list[ReadableSpan]:
        assert self.plugin.flush()
        return list(self.exporter.get_finished_spans())

    def kinds(self, kind: SpanKind) -> list[ReadableSpan]:
        return [s for s in self.spans() if attribute(s, Attribute.SPAN_KIND) == kind]


def attribute(span: ReadableSpan, key: Attribute) -> Any:
    return (span.attributes or {}).get(key.value)


def span_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


@pytest.fixture
def telescope() -> Iterator[Telescope]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    spans = TracerProvider(shutdown_on_exit=False)
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    points = MeterProvider([reader], shutdown_on_exit=False)
    plugin = TracerPlugin(tracer_provider=spans, meter_provider=points)
    ATTEMPTS.clear()
    yield Telescope(plugin, exporter, reader)
    assert plugin.guard.errors == []
    assert plugin.dropped_spans == 0


@asynccontextmanager
async def working(address: str, plugin: TracerPlugin, **options: Any) -> AsyncIterator[Client]:
    client = await Client.connect(address, plugins=[plugin])
    with ThreadPoolExecutor(4) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            activity_executor=threads,
            **options,
        ):
            yield client


async def until_it_waits_for_approval(handle: WorkflowHandle[Any, Any]) -> None:
    # A query is answered after the tasks before it: it says "not yet" rather than nothing.
    while True:
        description = await handle.describe()
        history = await handle.fetch_history()
        if any(
            event.HasField("timer_started_event_attributes")
            and event.user_metadata.summary.data == b'"approval"'
            for event in history.events
        ):
            return
        assert description.status is not None
        await asyncio.sleep(0.02)


async def drive(client: Client, rounds: int = 2) -> list[WorkflowHistory]:
    """Run `Everything` to its failure; the histories of all its runs and their children."""
    workflow_id = f"everything-{uuid.uuid4()}"
    first = await client.start_workflow(Everything.run, rounds, id=workflow_id, task_queue=QUEUE)
    run_id: str | None = first.first_execution_run_id
    histories: list[WorkflowHistory] = []
    while run_id:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        await until_it_waits_for_approval(handle)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(Everything.approve, "")
        assert await handle.execute_update(Everything.approve, "ada") == "thanks, ada"
        with pytest.raises((WorkflowFailureError, WorkflowContinuedAsNewError)):
            await handle.result(follow_runs=False)
        history = await handle.fetch_history()
        histories.append(history)
        run = run_from_events(RunKey("default", workflow_id, run_id), history.events)
        for step in run.steps:
            if step.child_run_id:
                child = client.get_workflow_handle(step.id, run_id=step.child_run_id)
                histories.append(await child.fetch_history())
        run_id = run.continued_to_run_id
    return histories


def told_by(histories: list[WorkflowHistory]) -> dict[int, SpanRecord]:
    return {
        span.span_id: span
        for history in histories
        for span in spans_of(
            run_from_events(RunKey("default", history.workflow_id, history.run_id), history.events)
        )
    }


def shape(span: ReadableSpan) -> tuple[Any, ...]:
    assert span.context is not None
    return (
        span.name,
        span.context.trace_id,
        span.parent.span_id if span.parent else None,
        span.status.status_code is StatusCode.ERROR,
        attribute(span, Attribute.OUTCOME),
        attribute(span, Attribute.FAILURE_FINGERPRINT),
    )


def shape_told(span: SpanRecord) -> tuple[Any, ...]:
    return (
        span.name,
        span.trace_id,
        span.parent.span_id if span.parent else None,
        span.is_error,
        span.attributes.get(Attribute.OUTCOME.value),
        span.attributes.get(Attribute.FAILURE_FINGERPRINT.value),
    )


async def test_live_spans_are_those_of_the_history(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        histories = await drive(client)
    own = {SpanKind.ATTEMPT, SpanKind.START, SpanKind.BRANCH}
    live = {
        span_id(s): shape(s)
        for s in telescope.spans()
        if attribute(s, Attribute.SPAN_KIND) not in own
        # Servers do not record an update that a validator refused.
        and attribute(s, Attribute.OUTCOME) != "rejected"
    }
    assert live == {key: shape_told(span) for key, span in told_by(histories).items()}


async def test_attempts_are_those_that_activities_saw(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        await drive(client, rounds=1)
    seen = sorted(
        (
            attribute(s, Attribute.ACTIVITY_ID),
            attribute(s, Attribute.ACTIVITY_ATTEMPT),
            attribute(s, Attribute.FAILURE_MESSAGE) or "ok",
        )
        for s in telescope.kinds(SpanKind.ATTEMPT)
    )
    assert seen == sorted(ATTEMPTS)
    failed = [s for s in telescope.kinds(SpanKind.ATTEMPT) if not s.status.is_ok]
    assert len(failed) == 3
    assert [attribute(s, Attribute.IS_LAST_ATTEMPT) for s in failed].count(True) == 1


@pytest.mark.parametrize("cached", [0, 1000])
async def test_no_duplicates_and_no_orphans(
    temporal_address: str, telescope: Telescope, cached: int
) -> None:
    async with working(temporal_address, telescope.plugin, max_cached_workflows=cached) as client:
        await drive(client)
    spans = telescope.spans()
    ids = [span_id(s) for s in spans]
    assert len(ids) == len(set(ids))
    assert [s.name for s in spans if s.parent and s.parent.span_id not in ids] == []


async def test_a_terminated_run_leaves_no_orphan(
    temporal_address: str, telescope: Telescope
) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        handle = await client.start_workflow(
            Sleeper.run, id=f"sleeper-{uuid.uuid4()}", task_queue=QUEUE
        )
        while not telescope.kinds(SpanKind.STEP):
            await asyncio.sleep(0.02)
        await handle.terminate()
    spans = telescope.spans()
    ids = {span_id(s) for s in spans}
    assert [s.name for s in spans if s.parent and s.parent.span_id not in ids] == []
    assert telescope.kinds(SpanKind.RUN)
    assert not telescope.kinds(SpanKind.WORKFLOW)


async def test_metrics_count_what_happened(temporal_address: str, telescope: Telescope) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        await drive(client, rounds=1)
    assert telescope.plugin.flush()
    data = telescope.metrics.get_metrics_data()
    assert data is not None
    metrics = {
        metric.name: metric.data.data_points
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    attempts: list[Any] = list(metrics["retrospan.attempts"])
    assert sum(point.value for point in attempts) == len(ATTEMPTS)
    runs: list[Any] = list(metrics["retrospan.runs"])
    statuses = {point.attributes[Attribute.WORKFLOW_STATUS.value] for point in runs}
    assert statuses == {"COMPLETED", "FAILED"}


async def test_a_replay_emits_nothing(temporal_address: str, telescope: Telescope) -> None:
    async with working(temporal_address, telescope.plugin) as client:
        histories = await drive(client, rounds=1)
    before = len(telescope.spans())
    replayer = Replayer(workflows=WORKFLOWS, plugins=[telescope.plugin])
    for history in histories:
        for length in (len(history.events), 9, 4):
            part = WorkflowHistory(history.workflow_id, history.events[:length])
            await replayer.replay_workflow(part, raise_on_replay_failure=False)
    assert len(telescope.spans()) == before


@pytest.mark.parametrize(
    ("owner", "place"),
    [(ActivationReader, "jobs"), (ActivationReader, "commands"), (RunSpans, "step_ref")],
)
async def test_a_broken_tracer_changes_no_result(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, owner: type, place: str
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the tracer is broken")

    monkeypatch.setattr(owner, place, broken)
    plugin = TracerPlugin(tracer_provider=TracerProvider(shutdown_on_exit=False))
    async with working(temporal_address, plugin) as client:
        [history, *_] = await drive(client, rounds=1)
    assert history.events[-1].HasField("workflow_execution_failed_event_attributes")
    assert [str(error) for _, error in plugin.guard.errors] == ["the tracer is broken"]
