"""Histograms for what comes up in each step: measured without a second look at the labels.

The SDK looks at the type of each label of each measurement, which takes more than all the rest of
it. Ours are attributes of spans that the tracer makes itself: plain text and numbers. So they go to
the SDK's own aggregation as they are, wherever the histogram is the SDK's; elsewhere the histogram
is asked as anybody asks it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import Histogram as SDKHistogram

from tracer._attributes import Value

try:
    from opentelemetry.sdk.metrics._internal.measurement import Measurement
except ImportError:  # The SDK's private affair: an SDK without it goes the long way.
    Measurement = None  # type: ignore[assignment, misc]


class Distribution:
    """A histogram, and what its series are told apart by."""

    def __init__(self, histogram: Histogram, keys: tuple[str, ...]) -> None:
        self._histogram = histogram
        self._keys = keys
        has_short_way = Measurement is not None and isinstance(histogram, SDKHistogram)
        self._consumer: Any = getattr(histogram, "_measurement_consumer", None)
        self._is_enabled: Any = getattr(histogram, "_is_enabled", None)
        if not (has_short_way and self._consumer and self._is_enabled):
            self._is_enabled = _never

    def record(self, value: float, found: Mapping[str, Value], context: Context) -> None:
        """Measure once.

        Args:
            value: In the unit of the metric.
            found: Attributes of the span that stands for it; not all of them are labels.
            context: With its exemplar.
        """
        labels = {key: found[key] for key in self._keys if key in found}
        if value < 0 or not self._is_enabled():
            self._histogram.record(value, labels, context)
            return
        histogram: Any = self._histogram
        measurement = Measurement(value, time.time_ns(), histogram, context)
        # It is frozen; given at once, its labels would be cleaned.
        object.__setattr__(measurement, "attributes", labels)
        self._consumer.consume_measurement(measurement)


def _never() -> bool:
    return False
