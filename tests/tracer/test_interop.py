"""Beside Temporal's own OpenTelemetry support: both traces whole, neither changed by the other."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.opentelemetry import (
    OpenTelemetryPlugin,
    ReplaySafeTracerProvider,
    TracingInterceptor,
    create_tracer_provider,
)
from temporalio.plugin import SimplePlugin
from temporalio.worker import Worker

from tests.tracer.feature_server import prepare
from tests.tracer.feature_workflows import ACTIVITIES, QUEUE, WORKFLOWS, DeskHandler, Features
from tests.tracer.telescope import (
    attribute,
    differences,
    family,
    is_known_to_workers_only,
    shape,
    span_id,
    told_by,
)
from tracer import TracerPlugin
from tracer.model import Run
from tracer.names import TRACER_NAME, Attribute, SpanKind

pytestmark = pytest.mark.slow

PARTS = ["external", "patches"]


@dataclass
class Both:
    """A provider, as Temporal's own support wants it, and what went through it."""

    official: str
    order: str
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    provider: ReplaySafeTracerProvider | TracerProvider = field(init=False)
    ours: TracerPlugin = field(init=False)

    def __post_init__(self) -> None:
        processor = SimpleSpanProcessor(self.exporter)
        if self.official == "plugin":
            self.provider = create_tracer_provider(shutdown_on_exit=False)
        else:
            self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(processor)
        self.ours = TracerPlugin(
            tracer_provider=self.provider, meter_provider=MeterProvider(shutdown_on_exit=False)
        )

    @property
    def plugins(self) -> Sequence[Any]:
        theirs: SimplePlugin
        if self.official == "plugin":
            theirs = OpenTelemetryPlugin(add_temporal_spans=True)
        else:
            # As a plugin, so that it can come before or after ours.
            tracer = self.provider.get_tracer("temporalio")
            interceptor = TracingInterceptor(tracer, always_create_workflow_spans=True)
            theirs = SimplePlugin("legacy", interceptors=[interceptor])
        match self.order:
            case "alone":
                return [theirs]
            case "ours first":
                return [self.ours, theirs]
            case _:
                return [theirs, self.ours]

    def spans(self) -> list[ReadableSpan]:
        assert self.ours.flush()
        return list(self.exporter.get_finished_spans())

    def own(self) -> list[ReadableSpan]:
        return [s for s in self.spans() if attribute(s, Attribute.SPAN_KIND)]

    def theirs(self) -> Counter[str]:
        return Counter(s.name for s in self.spans() if not attribute(s, Attribute.SPAN_KIND))


@asynccontextmanager
async def working(address: str, both: Both) -> AsyncIterator[Client]:
    await prepare(address)
    client = await Client.connect(address, plugins=both.plugins)
    with ThreadPoolExecutor(8) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=ACTIVITIES,
            activity_executor=threads,
            nexus_service_handlers=[DeskHandler()],
        ):
            yield client


async def play(
    address: str, both: Both, parts: Sequence[str], *, traced_starter: bool
) -> list[Run]:
    async with working(address, both) as client:
        starter = client if traced_starter else await Client.connect(address)
        handle = await starter.start_workflow(
            Features.run, [*parts], id=f"both-{uuid.uuid4()}", task_queue=QUEUE
        )
        with contextlib.suppress(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 60)
        return await family(client, handle.id, handle.first_execution_run_id or "")


@pytest.mark.parametrize(
    ("official", "order", "traced_starter", "parts"),
    [
        ("legacy", "ours first", True, PARTS),
        ("legacy", "theirs first", False, ["nexus"]),
        ("plugin", "ours first", True, ["nexus"]),
        ("plugin", "theirs first", False, PARTS),
        ("plugin", "theirs first", True, ["timers", "locals"]),
    ],
)
async def test_ours_is_complete_and_theirs_untouched(
    temporal_address: str,
    monkeypatch: pytest.MonkeyPatch,
    official: str,
    order: str,
    traced_starter: bool,
    parts: Sequence[str],
) -> None:
    both, alone = Both(official, order), Both(official, "alone")
    for stage in (alone, both):
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", stage.provider)
        runs = await play(temporal_address, stage, parts, traced_starter=traced_starter)
    assert both.ours.guard.errors == []
    live = {span_id(s): shape(s) for s in both.own() if not is_known_to_workers_only(s)}
    assert differences(live, told_by(runs)) == []
    ids = Counter(map(span_id, both.spans()))
    assert ids.most_common(1)[0][1] == 1, "a span was told twice"
    orphans = [s.name for s in both.spans() if s.parent and f"{s.parent.span_id:016x}" not in ids]
    assert orphans == []
    assert both.theirs() == alone.theirs()
    kinds = {span_id(s): attribute(s, Attribute.SPAN_KIND) for s in both.own()}
    for span in both.own():
        if attribute(span, Attribute.SPAN_KIND) == SpanKind.ATTEMPT:
            assert span.parent is not None
            assert kinds[f"{span.parent.span_id:016x}"] in (SpanKind.STEP, SpanKind.LOCAL)
    starts = [kind for kind in kinds.values() if kind == SpanKind.START]
    # Where their span of a start comes first, ours is left out.
    handled = 4 if parts == ["nexus"] else 0
    assert len(starts) == (0 if order == "theirs first" else handled + traced_starter)
    assert {s.instrumentation_scope.name for s in both.own() if s.instrumentation_scope} <= {
        TRACER_NAME,
        f"{TRACER_NAME}.client",
    }
