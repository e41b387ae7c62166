"""The instruments of `names.GENAI_METRICS`.

Each measurement keeps only the attributes that its metric declares, so that ids and content of a
call can never become labels; the tenant is added where the user asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
from opentelemetry.util.types import AttributeValue

from tracer import names
from tracer._buckets import GENAI_BUCKETS
from tracer.genai._chosen import chosen
from tracer.names import TRACER_NAME, Attribute, Metric


class GenAIMeters:
    """Counts and measures model and tool calls."""

    def __init__(self, meter: Meter) -> None:
        self._histograms = {
            metric.name: _histogram(meter, metric)
            for metric in names.GENAI_METRICS
            if metric is not names.TOOL_BLOCKS
        }
        self._blocks: Counter = meter.create_counter(
            names.TOOL_BLOCKS.name,
            unit=names.TOOL_BLOCKS.unit,
            description=names.TOOL_BLOCKS.brief,
        )

    def measure(
        self,
        metric: Metric,
        value: float,
        attributes: Mapping[str, AttributeValue],
        context: Context | None = None,
    ) -> None:
        """Record one value of a histogram; the context's span becomes its exemplar."""
        labels = _labels(metric, attributes)
        self._histograms[metric.name].record(value, labels, context=context)

    def count_block(
        self, attributes: Mapping[str, AttributeValue], context: Context | None = None
    ) -> None:
        """Count a tool call that was refused."""
        self._blocks.add(1, _labels(names.TOOL_BLOCKS, attributes), context=context)


_METERS: Final[WeakKeyDictionary[MeterProvider, GenAIMeters]] = WeakKeyDictionary()


def meters_of(provider: MeterProvider) -> GenAIMeters:
    """The instruments of a provider, made once."""
    meters = _METERS.get(provider)
    if meters is None:
        meters = _METERS[provider] = GenAIMeters(provider.get_meter(TRACER_NAME))
    return meters


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=GENAI_BUCKETS[metric.unit],
    )


def _labels(metric: Metric, attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    found = ((str(key), attributes.get(str(key))) for key in metric.attributes)
    labels: dict[str, AttributeValue] = {k: v for k, v in found if v is not None and v != ""}
    if tenant := chosen().tenant:
        labels[Attribute.TENANT.value] = tenant
    return labels
