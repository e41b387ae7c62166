"""Spans of other instrumentations: priced and counted, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from tests.tracer.genai_recording import Recording
from tests.tracer.test_genai_reading import CURRENT, OPENINFERENCE
from tests.tracer.test_genai_results import OPENAI_CHAT
from tracer import names
from tracer.genai import GenAIEnricher, llm_call
from tracer.names import GenAI

CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1_000_000,
    "gen_ai.usage.output_tokens": 100_000,
}
COST = 3.5
INFERENCE = {key: value for key, value in OPENINFERENCE.items() if key != "llm.cost.total"}


@dataclass
class Enriched:
    """A recording whose spans pass an enricher."""

    kept: Recording

    def emit(self, attributes: Mapping[str, Any], scope: str = "some.instrumentation") -> None:
        tracer = self.kept.spans_to.get_tracer(scope)
        tracer.start_span("span", kind=SpanKind.CLIENT, attributes=attributes).end()


@pytest.fixture
def enriched() -> Iterator[Enriched]:
    kept = Recording()
    enricher = GenAIEnricher(kept.processor(), meter_provider=kept.meters_to, guard=kept.guard)
    kept.spans_to.add_span_processor(enricher)
    with kept.active():
        yield Enriched(kept)
    assert kept.guard.errors == []


def test_a_call_of_any_instrumentation_has_a_cost(enriched: Enriched) -> None:
    enriched.emit(CHAT)
    told = enriched.kept.told()
    assert told[GenAI.COST.value] == pytest.approx(COST)
    assert {key: told[key] for key in CHAT} == CHAT
    assert enriched.kept.total(names.COST, provider="x") == 0
    assert enriched.kept.total(names.COST) == pytest.approx(COST)
    assert set(enriched.kept.points()) == {names.COST.name}
    enriched.kept.assert_keeps_to_the_names()


def test_the_metric_leads_to_the_span(enriched: Enriched) -> None:
    enriched.emit(CHAT)
    [point] = enriched.kept.points()[names.COST.name]
    [exemplar] = point.exemplars
    context = enriched.kept.span().context
    assert context is not None
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)


@pytest.mark.parametrize(
    "attributes",
    [
        CHAT | {"operation.cost": 9.0},
        CURRENT,
        CHAT | {"gen_ai.request.model": "house-model"},
        CHAT | {"gen_ai.operation.name": "invoke_agent"},
        CHAT | {"gen_ai.operation.name": "fetch_response"},
        {"http.request.method": "POST"},
        {},
    ],
)
def test_spans_without_a_cost_of_their_own_pass_unchanged(
    enriched: Enriched, attributes: dict[str, Any]
) -> None:
    enriched.emit(attributes)
    assert enriched.kept.told() == attributes
    assert enriched.kept.points() == {}


def test_metrics_that_an_instrumentation_leaves_out(enriched: Enriched) -> None:
    enriched.emit(INFERENCE, "openinference.instrumentation.anthropic")
    enriched.emit(
        {"openinference.span.kind": "TOOL", "tool.name": "refund"}, "openinference.instrumentation"
    )
    kept = enriched.kept
    assert kept.total(names.TOKENS, type="input") == 600
    assert kept.total(names.TOKENS, type="output") == 30
    points = kept.points()
    [duration] = points[names.MODEL_CALL_DURATION.name]
    assert duration.attributes["gen_ai.provider.name"] == "anthropic"
    [tool] = points[names.TOOL_DURATION.name]
    assert dict(tool.attributes) == {"gen_ai.tool.name": "refund"}
    kept_names = {m.name for m in names.GENAI_METRICS}
    assert points.keys() <= kept_names


def test_a_name_that_only_begins_alike_is_another(enriched: Enriched) -> None:
    enriched.emit(CHAT, "openinference.instrumentationally")
    assert set(enriched.kept.points()) == {names.COST.name}


def test_our_own_calls_are_not_counted_again(enriched: Enriched) -> None:
    with llm_call(model="gpt-4o", provider="openai") as call:
        call.result(OPENAI_CHAT)
    assert enriched.kept.total(names.COST) == pytest.approx(0.000475)
    assert enriched.kept.total(names.TOKENS, type="input") == 100


def test_the_usage_of_a_call_inside_goes_to_the_call_around(enriched: Enriched) -> None:
    kept = enriched.kept
    with llm_call(model="gpt-4o", provider="openai"):
        enriched.emit(CHAT, "openinference.instrumentation.openai")
        enriched.emit(CHAT, "openinference.instrumentation.openai")
    *_, around = kept.spans()
    assert around.attributes is not None
    assert around.attributes[GenAI.INPUT_TOKENS.value] == 2_000_000
    assert kept.total(names.COST) == pytest.approx(2 * COST)
    assert kept.total(names.TOKENS, type="input") == 2_000_000
    [duration] = kept.points()[names.MODEL_CALL_DURATION.name]
    assert duration.count == 1


def test_what_a_call_is_told_goes_before_what_is_seen_inside(enriched: Enriched) -> None:
    with llm_call(model="gpt-4o", provider="openai") as call:
        enriched.emit(CHAT)
        call.result(OPENAI_CHAT)
    assert enriched.kept.total(names.COST) == pytest.approx(0.000475)


def test_a_priced_span_is_otherwise_the_same() -> None:
    plain, priced = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(
        shutdown_on_exit=False, span_limits=SpanLimits(max_events=1, max_attributes=6)
    )
    provider.add_span_processor(SimpleSpanProcessor(plain))
    enricher = GenAIEnricher(SimpleSpanProcessor(priced))
    provider.add_span_processor(enricher)
    with provider.get_tracer("scope", "1").start_as_current_span("chat") as span:
        for number in range(3):
            span.add_event(f"event {number}")
            span.set_attribute(f"attribute {number}", number)
        span.set_attributes(CHAT)
    [before], [after] = plain.get_finished_spans(), priced.get_finished_spans()
    assert isinstance(after, ReadableSpan)
    assert dict(after.attributes or {}).items() > dict(before.attributes or {}).items()
    assert after.dropped_attributes == before.dropped_attributes > 0
    assert after.dropped_events == before.dropped_events == 2
    assert after.dropped_links == before.dropped_links
    same = ("name", "context", "parent", "kind", "status", "start_time", "end_time", "resource")
    for name in (*same, "instrumentation_scope", "links", "events"):
        assert getattr(after, name) == getattr(before, name)
    assert enricher.force_flush()
    enricher.shutdown()


def test_alone_it_needs_no_exporter() -> None:
    enricher = GenAIEnricher()
    assert enricher.force_flush()
    enricher.shutdown()


def test_an_error_of_the_enricher_loses_no_span(
    enriched: Enriched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr("tracer.genai.enricher.read_call", broken)
    enriched.emit(CHAT)
    assert enriched.kept.told() == CHAT
    guard = enriched.kept.guard
    assert [str(error) for _, error in guard.errors] == ["broken"]
    guard.errors.clear()
