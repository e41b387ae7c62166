"""Retrospan's tracer: every step, retry and branch of a Temporal workflow, exactly once.

    from tracer import TracerPlugin

    client = await Client.connect("localhost:7233", plugins=[TracerPlugin()])

The plugin is imported when it is asked for: `tracer.model`, `tracer.names` and `tracer.identity`
serve programs that never run a worker, and load neither temporalio nor OpenTelemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer._otlp import Telemetry, configure_otlp
    from tracer._plugin import TracerPlugin
    from tracer.genai import GenAIEnricher, llm_call, tool_call

__all__ = [
    "GenAIEnricher",
    "Telemetry",
    "TracerPlugin",
    "configure_otlp",
    "llm_call",
    "tool_call",
]

_HOMES = {
    "GenAIEnricher": "tracer.genai",
    "llm_call": "tracer.genai",
    "tool_call": "tracer.genai",
    "Telemetry": "tracer._otlp",
    "TracerPlugin": "tracer._plugin",
    "configure_otlp": "tracer._otlp",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tracer' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
