"""Usage and cost of a model call as attributes of its span and as measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue
from temporalio import activity

from tracer import names
from tracer.genai import prices
from tracer.genai._instruments import GenAIMeters
from tracer.genai.usage import ModelUsage
from tracer.names import Attribute as A
from tracer.names import GenAI


def usage_attributes(usage: ModelUsage) -> dict[str, AttributeValue]:
    """What a span says of the answer; what is not known is left out."""
    told: dict[str, str | int | None] = {
        GenAI.RESPONSE_MODEL.value: usage.model or None,
        GenAI.RESPONSE_ID.value: usage.response_id or None,
        GenAI.INPUT_TOKENS.value: usage.input_tokens,
        GenAI.CACHE_READ_TOKENS.value: usage.cache_read_tokens,
        GenAI.CACHE_WRITE_TOKENS.value: usage.cache_write_tokens,
        GenAI.OUTPUT_TOKENS.value: usage.output_tokens,
        GenAI.REASONING_TOKENS.value: usage.reasoning_tokens,
    }
    return {key: value for key, value in told.items() if value is not None}


def price_attributes(costs: Sequence[prices.Cost | None]) -> dict[str, AttributeValue]:
    """What a span says of the cost of these calls together: nothing if one of them is unknown."""
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs):
        return {}
    told: dict[str, AttributeValue] = {
        GenAI.COST.value: float(sum(cost.total_usd for cost in known)),
    }
    for key, values in (
        (A.PRICE_SOURCE, {cost.source for cost in known}),
        (A.PRICE_VERSION, {cost.version for cost in known}),
        (A.PRICE_MODEL, {cost.model for cost in known}),
    ):
        # Several calls can have several.
        if len(values) == 1:
            told[key.value] = values.pop()
    return told


def measure_tokens(
    meters: GenAIMeters,
    usage: ModelUsage,
    labels: Mapping[str, AttributeValue],
    context: Context | None,
) -> None:
    """Record the tokens of a call, input and output apart."""
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens is not None:
            told = {**labels, GenAI.TOKEN_TYPE.value: kind}
            meters.measure(names.TOKENS, tokens, told, context)


def measure_cost(
    meters: GenAIMeters,
    cost_usd: float,
    labels: Mapping[str, AttributeValue],
    context: Context | None,
) -> None:
    """Record what a call cost, by the workflow and activity type that made it."""
    meters.measure(names.COST, cost_usd, {**_attempt_labels(), **labels}, context)


def _attempt_labels() -> dict[str, AttributeValue]:
    if not activity.in_activity():
        return {}
    info = activity.info()
    return {
        A.NAMESPACE.value: info.workflow_namespace or "",
        A.WORKFLOW_TYPE.value: info.workflow_type or "",
        A.ACTIVITY_TYPE.value: info.activity_type,
    }
