"""Turns on the standard OpenTelemetry instrumentation of the OpenAI client.

Whoever runs a worker calls this, never a workflow or an activity. Model calls then emit `gen_ai.*`
spans with their token usage, just as in production. The MCP client instruments itself: its spans
go to the global tracer provider.
"""

from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider


def instrument_models(
    tracer_provider: TracerProvider, meter_provider: MeterProvider | None = None
) -> None:
    """Emit spans and metrics of all OpenAI clients in this process.

    Args:
        tracer_provider: Receives the spans.
        meter_provider: Receives the metrics; None means the global provider.
    """
    OpenAIInstrumentor().instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)


def uninstrument_models() -> None:
    """Undo `instrument_models`."""
    OpenAIInstrumentor().uninstrument()
