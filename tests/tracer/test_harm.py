"""A tracer that fails, in whatever place, changes no result, no command and no history."""

import asyncio
import queue
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, Worker

from tests.tracer.robust_workflows import QUEUE, Robust, Small, answers
from tests.tracer.telescope import Telescope
from tracer import (
    ContentPolicy,
    SpanSettings,
    TenantOrigin,
    TenantSource,
    TracerInterceptor,
    TracerPlugin,
    _attempt,
    _emitter,
    _interceptors,
    _outbox,
    _runner,
)
from tracer._activation_clock import ActivationClock
from tracer._attempt import Attempt
from tracer._branching import RunBranching
from tracer._finished import FinishedSpans
from tracer._meters import Meters
from tracer._previous import FailureMemory
from tracer._tenant import TenantOfRun
from tracer.branches import BranchWatch
from tracer.collector import Collector
from tracer.genai._chosen import Chosen
from tracer.identity import RunKey
from tracer.limits import Limits
from tracer.model import run_from_events
from tracer.model.activations import ActivationReader
from tracer.spans import RunSpans

pytestmark = pytest.mark.slow

RESULT = ["told", "a", "b", "c"]


@asynccontextmanager
async def working(address: str, *plugins: Any) -> AsyncIterator[Client]:
    client = await Client.connect(address, plugins=plugins)
    async with Worker(client, task_queue=QUEUE, workflows=[Robust, Small], activities=[answers]):
        yield client


async def play(
    client: Client, *, with_local: bool = True, attempts: int = 1, pause: float = 0.0
) -> WorkflowHistory:
    """One run; fails unless it goes as it goes without a tracer."""
    handle = await client.start_workflow(
        Robust.run,
        args=[with_local, attempts],
        id=f"robust-{uuid.uuid4()}",
        task_queue=QUEUE,
        memo={"customer": "acme"},
    )
    assert await handle.execute_update(Robust.change, "x") == "x, changed"
    assert await handle.query(Robust.heard) == ""
    await asyncio.sleep(pause)
    await handle.signal(Robust.tell, "told")
    expected = [part for part in RESULT if with_local or part != "b"]
    assert await asyncio.wait_for(handle.result(), 30) == expected
    return await handle.fetch_history()


def steps_of(history: WorkflowHistory) -> list[tuple[str, str, str, str]]:
    run = run_from_events(RunKey("default", history.workflow_id, "r"), history.events)
    failures = [task.failure_kind for task in run.tasks if task.failure_kind]
    assert failures == []
    return [
        (step.kind, step.name, str(step.outcome), f"{step.input_bytes}:{step.result_bytes}")
        for step in run.steps
    ]


STEPS = [
    ("timer", "1", "canceled", "0:0"),
    ("activity", "answers", "completed", "4:3"),
    ("local_activity", "answers", "completed", "0:3"),
    ("child_workflow", "Small", "completed", "3:3"),
]


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("the tracer is broken")


SETTINGS = SpanSettings(
    TenantSource(TenantOrigin.MEMO, "customer"), ContentPolicy(frozenset({"Robust"}))
)

PLACES: dict[str, tuple[Any, str]] = {
    "reading jobs": (ActivationReader, "jobs"),
    "reading commands": (ActivationReader, "commands"),
    "finding steps": (RunSpans, "step_ref"),
    "looking for the tenant": (TenantOfRun, "started"),
    "looking for its change": (TenantOfRun, "commanded"),
    "making an instance": (_runner, "TracingInstance"),
    "making span records": (RunSpans, "__init__"),
    "the anchor": (RunSpans, "anchor"),
    "a step": (RunSpans, "step"),
    "a wait": (RunSpans, "wait"),
    "a signal": (RunSpans, "signal"),
    "an update": (RunSpans, "update"),
    "a query": (RunSpans, "query"),
    "the workflow": (RunSpans, "workflow"),
    "sending context": (_runner, "put_context"),
    "sending the tenant": (_runner, "put_tenant"),
    "reading what jobs there are": (_runner, "names_of_jobs"),
    "asking the sampler": (_emitter.Emitter, "is_sampled"),
    "queueing": (_emitter.Emitter, "emit"),
    "holding": (_outbox.Outbox, "hold"),
    "starting a span": (_emitter.Emitter, "start"),
    "ending a span": (_emitter.Emitter, "end"),
    "making it current": (Chosen, "enter"),
    "an attempt": (Attempt, "__init__"),
    "its end": (Attempt, "_finish"),
    "its past": (FailureMemory, "recall"),
    "its contents": (_attempt, "contents"),
    "a client's context": (_interceptors, "_with_current_context"),
    "counting": (Meters, "observe"),
    "telling counters": (Meters, "flush"),
    "looking at the processors": (_emitter, "finished_spans"),
    "sending what is over": (FinishedSpans, "send"),
    "preparing to watch": (RunBranching, "around"),
    "watching": (Collector, "enter"),
    "telling branches": (RunBranching, "to_tell"),
    "taking the time": (ActivationClock, "begin"),
    "stopping it": (ActivationClock, "end"),
    "measuring": (Limits, "of_history"),
    "measuring an activation": (Meters, "observe_activation"),
}


def harmed() -> TracerPlugin:
    return TracerPlugin(
        tracer_provider=TracerProvider(shutdown_on_exit=False),
        meter_provider=MeterProvider(shutdown_on_exit=False),
        tenant=SETTINGS.tenant,
        content=SETTINGS.content,
    )


async def test_no_error_of_the_tracer_reaches_a_workflow(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = harmed()
    async with working(temporal_address, plugin) as client:
        for place, (target, name) in PLACES.items():
            before = plugin.guard.count
            with monkeypatch.context() as patch:
                patch.setattr(target, name, broken)
                # A server takes a second for a retry, and for a timer that fires.
                attempts = 2 if place == "its past" else 1
                # A wait is none before it lasts for a tenth of a second.
                pause = 0.2 if place == "a wait" else 0.0
                history = await play(client, attempts=attempts, pause=pause)
                assert steps_of(history) == STEPS, place
                plugin.flush()
            assert plugin.guard.count > before, f"{place} is no place where the tracer passes"
    assert {str(error) for _, error in plugin.guard.errors} == {"the tracer is broken"}


async def test_code_that_cannot_be_read(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BranchWatch, "include", broken)
    plugin = harmed()
    async with working(temporal_address, plugin) as client:
        assert steps_of(await play(client)) == STEPS
    assert [place for place, _ in plugin.guard.errors] == ["reading workflow code"]


class Hostile(SpanProcessor, SpanExporter):
    """Raises wherever it is asked to."""

    def __init__(self, *places: str) -> None:
        for place in places:
            setattr(self, place, broken)

    def export(self, spans: Any) -> Any:
        broken()

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class HostileProvider(TracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> Any:
        broken()


class HostileMeterProvider(NoOpMeterProvider):
    def get_meter(self, *_: Any, **__: Any) -> Any:
        broken()


@dataclass
class Users:
    """Providers of the user's."""

    spans: Callable[[], TracerProvider]
    metrics: Callable[[], Any] = NoOpMeterProvider


def with_processor(processor: SpanProcessor) -> Callable[[], TracerProvider]:
    def make() -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return provider

    return make


USERS = {
    "processor, at the start": Users(with_processor(Hostile("on_start"))),
    "processor, at the end": Users(with_processor(Hostile("on_end"))),
    "exporter": Users(with_processor(SimpleSpanProcessor(Hostile()))),
    "provider": Users(lambda: HostileProvider(shutdown_on_exit=False)),
    "meter provider": Users(lambda: TracerProvider(shutdown_on_exit=False), HostileMeterProvider),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("user", USERS)
async def test_nothing_that_a_user_configured_reaches_a_workflow(
    temporal_address: str, user: str
) -> None:
    providers = USERS[user]
    plugin = TracerPlugin(tracer_provider=providers.spans(), meter_provider=providers.metrics())
    async with working(temporal_address, plugin) as client:
        assert steps_of(await play(client)) == STEPS
    assert plugin.flush()
    if user != "exporter":  # Its own processor swallows that.
        assert plugin.guard.errors


async def test_a_sampler_that_raises(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(ALWAYS_ON), "should_sample", broken)
    plugin = TracerPlugin(tracer_provider=TracerProvider(ALWAYS_ON, shutdown_on_exit=False))
    async with working(temporal_address, plugin) as client:
        assert steps_of(await play(client)) == STEPS
    assert plugin.guard.errors


async def test_an_instrument_that_raises(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    telescope = Telescope()
    meters = telescope.plugin._emitter.meters
    monkeypatch.setattr(meters, "_runs", _Instrument())
    async with working(temporal_address, telescope.plugin) as client:
        assert steps_of(await play(client)) == STEPS
    assert "workflow Robust" in {span.name for span in telescope.spans()}
    assert telescope.plugin.guard.errors


class _Instrument:
    def add(self, *_: Any, **__: Any) -> None:
        broken()


class Hanging(SpanProcessor):
    """Keeps whoever ends a span of ours until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def on_end(self, span: ReadableSpan) -> None:
        if threading.current_thread().name == "retrospan-emitter":
            self.released.wait(60)
        self.ended.put(span.name)


async def test_a_processor_that_hangs_costs_spans_that_are_counted(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_emitter, "_QUEUE_SIZE", 8)
    telescope = Telescope()
    hanging = Hanging()
    telescope.provider.add_span_processor(hanging)
    emitter = telescope.plugin._emitter
    try:
        async with working(temporal_address, telescope.plugin) as client:
            for _ in range(5):
                assert steps_of(await play(client)) == STEPS
                assert len(emitter._queue) <= 8
            emitter.outbox.release_all()
            assert len(emitter._queue) <= 8
            assert telescope.plugin.dropped_spans > 0
            hanging.released.set()
    finally:
        hanging.released.set()
    points = dict(telescope.points())
    assert points["retrospan.dropped_spans"].value == telescope.plugin.dropped_spans
    assert telescope.plugin.guard.errors == []


def test_the_outbox_is_bounded_though_nobody_empties_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_outbox, "_MAX_HELD", 3)
    sent: list[Any] = []
    outbox = _outbox.Outbox(sent.append)
    items: list[Any] = [object() for _ in range(10)]
    for number, item in enumerate(items):
        outbox.hold(f"run {number}", 1, [item])
    assert sent == items[:7], "the oldest go out, where a full queue counts them"


@pytest.mark.parametrize("form", ["plugin", "interceptor"])
async def test_a_replay_of_any_length_tells_and_counts_nothing(
    temporal_address: str, form: str
) -> None:
    async with working(temporal_address) as client:
        # A replay cannot run a local activity: where the history ends it waits for ever.
        history = await play(client, with_local=False)
    telescope = Telescope()
    options: dict[str, Any] = {"plugins": [telescope.plugin]}
    if form == "interceptor":
        tracing = TracerInterceptor(
            tracer_provider=telescope.provider, meter_provider=telescope.meter_provider
        )
        options = {"interceptors": [tracing]}
    replayer = Replayer(workflows=[Robust, Small], **options)
    # As a worker gets them.
    lengths = [
        event.event_id
        for event in history.events
        if event.HasField("workflow_task_started_event_attributes")
    ]
    assert len(lengths) > 4
    for length in (*lengths, len(history.events)):
        part = WorkflowHistory(history.workflow_id, history.events[:length])
        await replayer.replay_workflow(part)
    assert telescope.spans() == []
    assert telescope.metrics.get_metrics_data() is None
    telescope.check()
