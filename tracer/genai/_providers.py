"""Where GenAI spans and metrics go: to the providers of the worker that runs the attempt.

`llm_call` and `tool_call` are plain functions that know no plugin. Whoever runs user code under
providers of its own, as the plugin's interceptor does, says so here for the time of that code.
Outside, they write to the global providers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry import metrics, trace

from tracer._guard import Guard
from tracer.genai._chosen import Chosen, chosen
from tracer.genai._instruments import GenAIMeters, meters_of
from tracer.names import TRACER_NAME


@dataclass(frozen=True, slots=True)
class Sinks:
    """What one operation writes to."""

    tracer: trace.Tracer
    meters: GenAIMeters
    guard: Guard


GUARD: Final = Guard()
"""Counts errors outside any worker of ours."""

_TRACERS: Final[WeakKeyDictionary[trace.TracerProvider, trace.Tracer]] = WeakKeyDictionary()


@contextmanager
def using_providers(
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    *,
    guard: Guard | None = None,
) -> Iterator[None]:
    """Send the GenAI spans and metrics of the code inside to these providers.

    Args:
        tracer_provider: Where spans go; the global provider if left out.
        meter_provider: Where metrics go; the global provider if left out.
        guard: Counts the errors of the tracer itself.
    """
    token = Chosen(tracer_provider, meter_provider, guard, chosen().tenant).enter()
    try:
        yield
    finally:
        Chosen.leave(token)


def current_guard() -> Guard:
    """Who counts the tracer's errors here."""
    return chosen().guard or GUARD


def current_sinks() -> Sinks:
    """Where to write here and now."""
    here = chosen()
    return Sinks(
        _tracer_of(here.tracer_provider or trace.get_tracer_provider()),
        meters_of(here.meter_provider or metrics.get_meter_provider()),
        here.guard or GUARD,
    )


def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    tracer = _TRACERS.get(provider)
    if tracer is None:
        # A scope of its own: the ids of the tracer's other spans are given, these are drawn.
        tracer = _TRACERS[provider] = provider.get_tracer(f"{TRACER_NAME}.genai")
    return tracer
