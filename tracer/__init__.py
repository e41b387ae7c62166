"""Retrospan's tracer: every step, retry and branch of a Temporal workflow, exactly once.

    from tracer import TracerPlugin

    client = await Client.connect("localhost:7233", plugins=[TracerPlugin()])

The plugin is imported when it is asked for: `tracer.model`, `tracer.names` and `tracer.identity`
serve programs that never run a worker, and load neither temporalio nor OpenTelemetry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracer._interceptor_form import TracerInterceptor, tracing_runner
    from tracer._otlp import Telemetry, configure_otlp
    from tracer._plugin import TracerPlugin
    from tracer._temporal_runtime import temporal_runtime
    from tracer._tenant import TenantOrigin, TenantSource
    from tracer.branches import BranchSettings
    from tracer.decisions import decision
    from tracer.genai import GenAIEnricher, llm_call, tool_call
    from tracer.limits import Limits
    from tracer.redaction import ContentPolicy, Redaction, redact_exporter
    from tracer.settings import SpanSettings

__all__ = [
    "BranchSettings",
    "ContentPolicy",
    "GenAIEnricher",
    "Limits",
    "Redaction",
    "SpanSettings",
    "Telemetry",
    "TenantOrigin",
    "TenantSource",
    "TracerInterceptor",
    "TracerPlugin",
    "configure_otlp",
    "decision",
    "llm_call",
    "redact_exporter",
    "temporal_runtime",
    "tool_call",
    "tracing_runner",
]

_HOMES = {
    "BranchSettings": "tracer.branches",
    "ContentPolicy": "tracer.redaction",
    "GenAIEnricher": "tracer.genai",
    "Limits": "tracer.limits",
    "Redaction": "tracer.redaction",
    "SpanSettings": "tracer.settings",
    "Telemetry": "tracer._otlp",
    "TenantOrigin": "tracer._tenant",
    "TenantSource": "tracer._tenant",
    "TracerInterceptor": "tracer._interceptor_form",
    "TracerPlugin": "tracer._plugin",
    "configure_otlp": "tracer._otlp",
    "decision": "tracer.decisions",
    "llm_call": "tracer.genai",
    "redact_exporter": "tracer.redaction",
    "temporal_runtime": "tracer._temporal_runtime",
    "tool_call": "tracer.genai",
    "tracing_runner": "tracer._interceptor_form",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tracer' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
