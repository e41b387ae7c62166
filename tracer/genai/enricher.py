"""What instrumentations of model clients leave out: the cost, and sometimes the metrics.

A span cannot be changed once it ends, and only then is its usage known. So the cost goes onto a
metric, and, where the enricher stands before an exporting processor, onto the copy of the span that
it hands on. Nothing is counted twice: a span that has a cost was counted by whoever wrote it, and
tokens and durations are recorded only for instrumentations that are known to record none.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.util.types import AttributeValue

from tracer import names
from tracer._guard import Guard
from tracer.genai import prices
from tracer.genai._facts import measure_cost, measure_tokens, price_attributes
from tracer.genai._instruments import GenAIMeters, meters_of
from tracer.genai._operation import open_operation
from tracer.genai._providers import GUARD
from tracer.genai.llm import LLMCall
from tracer.genai.reading import Attributes, GenAICall, operation_in, read_call
from tracer.names import TRACER_NAME, GenAI
from tracer.names import Attribute as A

__all__ = ["SPANS_ONLY", "GenAIEnricher"]

SPANS_ONLY: Final = frozenset({"openinference.instrumentation", "mistralai_sdk_tracer"})
"""Scopes, or the beginnings of their dotted names, that emit GenAI spans without metrics."""

_OWN_SCOPE: Final = f"{TRACER_NAME}.genai"


class GenAIEnricher(SpanProcessor):
    """Adds cost and missing metrics to the GenAI spans of any instrumentation.

    Alone it records metrics; before another processor it also puts the cost onto spans:

        provider.add_span_processor(GenAIEnricher(BatchSpanProcessor(exporter)))

    Spans that are not sampled never end here: with sampling, its metrics count what is sampled.
    """

    def __init__(
        self,
        forward_to: SpanProcessor | None = None,
        *,
        meter_provider: metrics.MeterProvider | None = None,
        spans_only: Collection[str] = SPANS_ONLY,
        guard: Guard | None = None,
    ) -> None:
        """Create the processor.

        Args:
            forward_to: Gets every span, those of model calls with their cost.
            meter_provider: Where metrics go; the global provider if left out.
            spans_only: Scopes of instrumentations that record no GenAI metrics themselves.
            guard: Counts the errors of the tracer itself.
        """
        self.forward_to: Final = forward_to
        """Gets every span."""
        self._meter_provider = meter_provider
        self._spans_only = tuple(spans_only)
        self._guard = guard or GUARD
        prices.preload()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """See base class."""
        if self.forward_to is not None:
            self.forward_to.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """See base class."""
        extra: dict[str, AttributeValue] = {}
        with self._guard.shielded("enriching a GenAI span"):
            extra = self._observe(span)
        if self.forward_to is not None:
            self.forward_to.on_end(_Enriched(span, extra) if extra else span)

    def shutdown(self) -> None:
        """See base class."""
        if self.forward_to is not None:
            self.forward_to.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See base class."""
        return self.forward_to is None or self.forward_to.force_flush(timeout_millis)

    def _observe(self, span: ReadableSpan) -> dict[str, AttributeValue]:
        """Count a span; what to add to it."""
        # A copy: looking for absent keys in the SDK's own mapping raises inside for each of them.
        attributes: Attributes = dict(span.attributes or {})
        scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
        if scope == _OWN_SCOPE or not operation_in(attributes):
            return {}
        call = read_call(attributes, span.name)
        outer = open_operation()
        if call.is_inference and isinstance(outer, LLMCall):
            outer.adopt(call.usage)
            return {}
        meters = meters_of(self._meter_provider or metrics.get_meter_provider())
        labels, context = _labels(call, attributes), _exemplar_context(span)
        if self._records_no_metrics(scope):
            _measure(meters, span, call, labels, context)
        return _price(meters, span, call, labels, context)

    def _records_no_metrics(self, scope: str) -> bool:
        return any(scope == known or scope.startswith(f"{known}.") for known in self._spans_only)


def _measure(
    meters: GenAIMeters,
    span: ReadableSpan,
    call: GenAICall,
    labels: dict[str, AttributeValue],
    context: Context,
) -> None:
    seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
    if call.is_inference:
        meters.measure(names.MODEL_CALL_DURATION, seconds, labels, context)
        measure_tokens(meters, call.usage, labels, context)
    elif call.operation == "execute_tool" and call.tool_name:
        meters.measure(names.TOOL_DURATION, seconds, labels, context)


def _price(
    meters: GenAIMeters,
    span: ReadableSpan,
    call: GenAICall,
    labels: dict[str, AttributeValue],
    context: Context,
) -> dict[str, AttributeValue]:
    if not call.is_inference or call.cost_usd is not None:
        return {}
    at = datetime.fromtimestamp((span.start_time or 0) / 1e9, UTC)
    extra = price_attributes([prices.cost_of(call.usage, call.provider, call.models, at)])
    cost = extra.get(GenAI.COST.value)
    if isinstance(cost, float):
        measure_cost(meters, cost, labels, context)
    return extra


def _labels(call: GenAICall, attributes: Attributes) -> dict[str, AttributeValue]:
    told: dict[str, object] = {
        GenAI.OPERATION.value: call.operation,
        GenAI.PROVIDER.value: call.provider,
        GenAI.REQUEST_MODEL.value: call.request_model,
        GenAI.RESPONSE_MODEL.value: call.response_model,
        GenAI.TOOL_NAME.value: call.tool_name,
        GenAI.TOOL_TYPE.value: call.tool_type,
        GenAI.AGENT_NAME.value: call.agent_name,
        GenAI.SERVER_ADDRESS.value: attributes.get(GenAI.SERVER_ADDRESS),
        GenAI.SERVER_PORT.value: attributes.get(GenAI.SERVER_PORT),
        A.ERROR_TYPE.value: call.error_type,
    }
    return {key: value for key, value in told.items() if isinstance(value, (str, int)) and value}


def _exemplar_context(span: ReadableSpan) -> Context:
    context = span.context or trace.INVALID_SPAN_CONTEXT
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


class _Enriched(ReadableSpan):
    """A span that ended, with attributes more."""

    def __init__(self, span: ReadableSpan, extra: dict[str, AttributeValue]) -> None:
        super().__init__(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes={**(span.attributes or {}), **extra},
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._whole = span

    @property
    def dropped_attributes(self) -> int:
        return self._whole.dropped_attributes

    @property
    def dropped_events(self) -> int:
        return self._whole.dropped_events

    @property
    def dropped_links(self) -> int:
        return self._whole.dropped_links
