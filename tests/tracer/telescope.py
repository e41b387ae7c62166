"""A plugin whose spans stay here, and the comparison of what it saw with what histories tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace.status import StatusCode
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Worker

from tests.tracer.feature_workflows import ACTIVITIES, QUEUE, WORKFLOWS, DeskHandler
from tracer import BranchSettings, SpanSettings, TracerPlugin
from tracer.identity import RunKey
from tracer.limits import Limit
from tracer.model import Outcome, Run, RunStatus, run_from_events
from tracer.names import Attribute, SpanKind
from tracer.spans import SpanRecord, spans_of

type Shape = tuple[str, str, str, bool, str, str]
"""Name, trace, parent, whether it is an error, outcome, fingerprint of the failure."""

_NOT_OF_A_HISTORY = frozenset(
    {SpanKind.ATTEMPT, SpanKind.START, SpanKind.QUERY, SpanKind.HANDLER, SpanKind.BRANCH}
)
"""Compared by tests of their own: a history tells of few attempts, of no client and no branch."""


@dataclass
class Telescope:
    """A plugin that exports to memory."""

    settings: SpanSettings = field(default_factory=SpanSettings)
    branches: BranchSettings | None = field(default_factory=BranchSettings)
    sampler: Sampler | None = None
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    metrics: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)
    plugin: TracerPlugin = field(init=False)
    provider: TracerProvider = field(init=False)
    meter_provider: MeterProvider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = TracerProvider(self.sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meter_provider = MeterProvider([self.metrics], shutdown_on_exit=False)
        self.plugin = TracerPlugin(
            tracer_provider=self.provider,
            meter_provider=self.meter_provider,
            tenant=self.settings.tenant,
            content=self.settings.content,
            branches=self.branches,
            limits=self.settings.limits,
        )

    def spans(self) -> list[ReadableSpan]:
        assert self.plugin.flush()
        return list(self.exporter.get_finished_spans())

    def kinds(self, *kinds: SpanKind) -> list[ReadableSpan]:
        return [s for s in self.spans() if attribute(s, Attribute.SPAN_KIND) in kinds]

    def points(self) -> list[tuple[str, Any]]:
        """All points of all metrics, with the metric's name."""
        assert self.plugin.flush()
        data = self.metrics.get_metrics_data()
        assert data is not None
        return [
            (metric.name, point)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def check(self) -> None:
        """What holds for every test: the tracer did not fail and lost nothing."""
        assert self.plugin.guard.errors == []
        assert self.plugin.dropped_spans == 0


@asynccontextmanager
async def working(
    address: str, plugin: TracerPlugin | None, *, queue: str = QUEUE, **options: Any
) -> AsyncIterator[Client]:
    """A client and a worker for everything in `feature_workflows`."""
    client = await Client.connect(address, plugins=[plugin] if plugin else [])
    with ThreadPoolExecutor(8) as threads:
        options.setdefault("nexus_service_handlers", [DeskHandler()])
        async with Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            activity_executor=threads,
            **options,
        ):
            yield client


async def family(client: Client, workflow_id: str, run_id: str) -> list[Run]:
    """The models of a run, of the runs it continued as, and of all that they started."""
    history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    run = model_of(history, workflow_id, run_id)
    runs = [run]
    for step in run.steps:
        if step.child_run_id:
            runs += await family(client, step.id, step.child_run_id)
    for event in history.events:
        if event.HasField("nexus_operation_started_event_attributes"):
            for link in event.links:
                target = link.workflow_event
                runs += await family(client, target.workflow_id, target.run_id)
    if run.continued_to_run_id:
        runs += await family(client, workflow_id, run.continued_to_run_id)
    return runs


def model_of(history: WorkflowHistory, workflow_id: str, run_id: str) -> Run:
    return run_from_events(RunKey("default", workflow_id, run_id), history.events)


def attribute(span: ReadableSpan, key: Attribute) -> Any:
    return (span.attributes or {}).get(key.value)


def span_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def shape(span: ReadableSpan) -> Shape:
    assert span.context is not None
    return (
        span.name,
        f"{span.context.trace_id:032x}",
        f"{span.parent.span_id:016x}" if span.parent else "",
        span.status.status_code is StatusCode.ERROR,
        attribute(span, Attribute.OUTCOME) or "",
        _fingerprint(span.name, attribute(span, Attribute.FAILURE_FINGERPRINT)),
    )


def shape_told(span: SpanRecord) -> Shape:
    return (
        span.name,
        f"{span.trace_id:032x}",
        f"{span.parent.span_id:016x}" if span.parent else "",
        span.is_error,
        str(span.attributes.get(Attribute.OUTCOME.value, "")),
        _fingerprint(span.name, span.attributes.get(Attribute.FAILURE_FINGERPRINT.value)),
    )


def _fingerprint(name: str, value: object) -> str:
    # A worker whose answer is refused is not told the server's words for it.
    return "" if name == "task failure" else str(value or "")


def told_by(runs: Iterable[Run], settings: SpanSettings = SpanSettings()) -> dict[str, Shape]:  # noqa: B008 - a constant
    """The spans that histories tell and that workers can know of."""
    spans = [(run, span) for run in runs for span in spans_of(run, settings)]
    ids = [span.span_id for _, span in spans]
    assert len(ids) == len(set(ids)), "a history told a span twice"
    return {
        f"{span.span_id:016x}": shape_told(span)
        for run, span in spans
        if not is_known_to_histories_only(run, span)
    }


def is_known_to_workers_only(span: ReadableSpan) -> bool:
    """Spans that no history can tell of."""
    return (
        attribute(span, Attribute.SPAN_KIND) in _NOT_OF_A_HISTORY
        # How long code ran is not written down.
        or attribute(span, Attribute.LIMIT_NAME) == Limit.ACTIVATION
        # Servers do not record an update that a validator refused.
        or attribute(span, Attribute.OUTCOME) == "rejected"
    )


def is_known_to_histories_only(run: Run, span: SpanRecord) -> bool:
    """What happened where no worker looked."""
    is_classified = Attribute.TASK_FAILURE_KIND.value in span.attributes
    if span.kind is SpanKind.TASK_FAILURE and not is_classified:
        # A task that timed out: nobody tells the worker that had it, if that still lives.
        return True
    # What the server did after a worker looked for the last time.
    ends = [task.closed_at or 0 for task in run.tasks if task.outcome is Outcome.COMPLETED]
    ended_by_server = run.status in (RunStatus.TERMINATED, RunStatus.TIMED_OUT)
    return ended_by_server and span.end_ns > max(ends, default=0)


def differences(live: dict[str, Shape], told: dict[str, Shape]) -> list[str]:
    """What only one side has, or has otherwise: empty if both agree."""
    return [
        *(f"live only: {key} {live[key]}" for key in live.keys() - told.keys()),
        *(f"told only: {key} {told[key]}" for key in told.keys() - live.keys()),
        *(
            f"differs: {key} live {live[key]} told {told[key]}"
            for key in live.keys() & told.keys()
            if live[key] != told[key]
        ),
    ]
