"""An attempt's span lives only if somebody touches it, and nobody can tell the difference."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace.status import StatusCode

from tests.tracer.test_finished_spans import Listener, told
from tracer._emitter import Emitter
from tracer._latent import LatentSpan
from tracer.context import SpanRef
from tracer.names import SpanKind
from tracer.spans import SpanRecord

RECORD = SpanRecord(
    trace_id=7,
    span_id=9,
    parent=SpanRef(7, 8),
    kind=SpanKind.ATTEMPT,
    name="attempt charge",
    start_ns=1_000,
    end_ns=0,
    is_error=False,
    status_message="",
    attributes={"retrospan.step.name": "charge"},
)

type Touch = Callable[[trace.Span], Any]


def nothing(span: trace.Span) -> None:
    """What most code does with the span around it."""
    span.get_span_context()


class Stage:
    """An emitter, and what comes out at the end of its provider."""

    def __init__(self, *, live: bool = False, sampler: Sampler = DEFAULT_ON) -> None:
        self.exporter = InMemorySpanExporter()
        resource = Resource({"service.name": "shop"})
        self.provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        if live:
            self.provider.add_span_processor(Listener())
        self.emitter = Emitter(self.provider, MeterProvider(shutdown_on_exit=False))

    def run(self, touch: Touch, *, late: bool = False) -> list[ReadableSpan]:
        """The span of an attempt, touched while it runs or after its end."""
        record = replace(RECORD, attributes=dict(RECORD.attributes))
        span = self.emitter.start(record)
        if not late:
            touch(span)
        self.emitter.learn(span, record, {"retrospan.outcome": "failed"})
        record.end_ns, record.is_error, record.status_message = 5_000, True, "declined"
        self.emitter.end(span, record)
        if late:
            touch(span)
        assert self.emitter.flush()
        assert not self.emitter.guard.errors
        return list(self.exporter.get_finished_spans())


TOUCHES: dict[str, Touch] = {
    "not at all": nothing,
    "an attribute": lambda span: span.set_attribute("user", "ada"),
    "attributes": lambda span: span.set_attributes({"user": "ada", "n": 1}),
    "an event": lambda span: span.add_event("asked", {"n": 1}, 2_000),
    "an exception": lambda span: span.record_exception(ValueError("no"), timestamp=2_000),
    "a link": lambda span: span.add_link(trace.SpanContext(3, 4, is_remote=True)),
    "a name": lambda span: span.update_name("mine"),
    "a status": lambda span: span.set_status(StatusCode.OK),
    "its end": lambda span: span.end(4_000),
    "a look": lambda span: span.attributes,  # type: ignore[attr-defined]
}


def stable(span: ReadableSpan) -> str:
    """Without what differs from place to place: a traceback names the lines above it."""
    for event in span.events:
        assert event.timestamp == 2_000
    text = told(span)
    return text.partition('"exception.stacktrace"')[0]


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_whatever_is_done_to_it_shows_as_on_a_live_span(touch: Touch) -> None:
    [latent] = Stage().run(touch)
    [live] = Stage(live=True).run(touch)

    assert stable(latent) == stable(live)


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_after_its_end_nothing_changes_it(touch: Touch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, "opentelemetry"):
        [latent] = Stage().run(lambda span: late_look(span, touch), late=True)

    assert stable(latent) == stable(Stage().run(nothing)[0])


def late_look(span: trace.Span, touch: Touch) -> None:
    assert not span.is_recording()
    try:
        touch(span)
    except AttributeError:
        assert not hasattr(span, "attributes"), "a span that is over has the API's methods only"


def test_a_span_nobody_touches_never_lives() -> None:
    stage = Stage()
    span = stage.emitter.start(RECORD)

    assert isinstance(span, LatentSpan)
    assert span.is_recording()
    assert span.get_span_context().trace_flags.sampled
    assert (span.get_span_context().trace_id, span.get_span_context().span_id) == (7, 9)
    assert span.if_live() is None


def test_children_nest_under_it() -> None:
    stage = Stage()

    def work(span: trace.Span) -> None:
        with trace.use_span(span), stage.provider.get_tracer("user").start_as_current_span("call"):
            pass

    child, attempt = stage.run(work)

    assert child.parent is not None
    assert attempt.context is not None
    assert (child.parent.span_id, child.parent.trace_id) == (9, 7)


def test_what_it_learned_before_it_woke_is_on_it() -> None:
    stage = Stage()
    record = replace(RECORD, attributes=dict(RECORD.attributes))
    span = stage.emitter.start(record)
    stage.emitter.learn(span, record, {"retrospan.attempt.backoff": 2.0})
    span.set_attribute("user", "ada")
    stage.emitter.end(span, replace(record, end_ns=5_000))
    stage.emitter.flush()

    [found] = stage.exporter.get_finished_spans()
    assert dict(found.attributes or {}) == {
        "retrospan.step.name": "charge",
        "retrospan.attempt.backoff": 2.0,
        "user": "ada",
    }


class Moody(Sampler):
    """One whose second answer may be another."""

    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "moody"


@pytest.mark.parametrize(
    ("sampler", "is_latent"),
    [
        (ALWAYS_ON, True),
        (DEFAULT_ON, True),
        (TraceIdRatioBased(1.0), True),
        (ParentBasedTraceIdRatio(1.0), True),
        (Moody(), False),
        (ParentBased(Moody()), False),
    ],
)
def test_only_a_sampler_that_stands_by_its_word_is_asked_twice(
    sampler: Sampler, is_latent: bool
) -> None:
    span = Stage(sampler=sampler).emitter.start(RECORD)

    assert isinstance(span, LatentSpan) is is_latent


def test_a_span_that_is_not_sampled_takes_nothing_and_is_not_told() -> None:
    stage = Stage(sampler=ALWAYS_OFF)
    assert isinstance(ALWAYS_OFF, StaticSampler)

    assert not stage.emitter.start(RECORD).is_recording()
    assert stage.run(TOUCHES["an attribute"]) == []


def test_a_processor_that_comes_later_sees_the_next_span_start() -> None:
    stage = Stage()
    stage.run(nothing)
    listener = Listener()
    stage.provider.add_span_processor(listener)

    stage.run(nothing)

    assert listener.names == ["attempt charge"]


def test_code_that_touches_it_never_sees_the_tracer_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    span = stage.emitter.start(RECORD)

    def broken(_: SpanRecord) -> trace.Span:
        raise RuntimeError("broken")

    monkeypatch.setattr(stage.emitter, "_start_live", broken)
    span.set_attribute("user", "ada")

    assert [place for place, _ in stage.emitter.guard.errors] == ["waking a span"]
    assert span.get_span_context().span_id == 9
