"""What travels in Temporal headers: trace context and tenant, beside whatever others put there.

Headers are no part of what Temporal compares on replay. Another tracer's context is never touched:
where `HEADER` is taken, ours goes under a name of our own, which our readers look at first.
"""

from __future__ import annotations

import json
from typing import Any

from temporalio.api.common.v1 import Payload

from tracer.context import SpanRef
from tracer.names import (
    HEADER,
    NEXUS_STATE_HEADER,
    NEXUS_STEP_HEADER,
    STEP_HEADER,
    TENANT_HEADER,
)


def context_payload(ref: SpanRef, state: str = "") -> Payload:
    """A header payload that carries the context, in the form that Temporal's own plugins use."""
    payload = Payload()
    _write_context(payload, ref, state)
    return payload


def put_context(headers: Any, ref: SpanRef, state: str = "") -> None:
    """Send the context of a step along with its command."""
    name = STEP_HEADER if HEADER in headers else HEADER
    _write_context(headers[name], ref, state)


def put_nexus_context(headers: Any, ref: SpanRef, state: str = "") -> None:
    """The same for a Nexus operation, whose headers are plain strings in W3C's own names."""
    is_taken = "traceparent" in headers
    headers[NEXUS_STEP_HEADER if is_taken else "traceparent"] = ref.traceparent
    if state:
        headers[NEXUS_STATE_HEADER if is_taken else "tracestate"] = state


def put_tenant(headers: Any, tenant: str) -> None:
    """Tell those who work for the run whom it is for."""
    _write(headers[TENANT_HEADER], json.dumps(tenant))


def _write_context(payload: Payload, ref: SpanRef, state: str) -> None:
    # Neither holds a character that JSON would escape.
    more = f', "tracestate": "{state}"' if state else ""
    _write(payload, f'{{"traceparent": "{ref.traceparent}"{more}}}')


def _write(payload: Payload, json_text: str) -> None:
    payload.metadata["encoding"] = b"json/plain"
    payload.data = json_text.encode()
