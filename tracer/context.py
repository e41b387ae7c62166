"""Trace context as it travels in Temporal headers: W3C `traceparent` in a JSON payload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tracer.identity import derived_trace_id
from tracer.model.payloads import json_of
from tracer.model.words import Payload
from tracer.names import HEADER, LINK_HEADER, STEP_HEADER

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class SpanRef:
    """A span somewhere else: the caller, or the run that this one continues."""

    trace_id: int
    span_id: int
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The W3C form."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: object) -> SpanRef | None:
    """Read a W3C `traceparent`; `None` if it is not one, or names the invalid ids 0."""
    match = _TRACEPARENT.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    trace, span, flags = int(match[1], 16), int(match[2], 16), int(match[3], 16)
    return SpanRef(trace, span, bool(flags & 1)) if trace and span else None


def caller_of(headers: Mapping[str, Payload]) -> SpanRef | None:
    """The span that asked for this run, step or message, if its context came along readable.

    Where another tracer works beside ours, our own context precedes: the spans of each make a
    whole, in which those of the other do not occur.
    """
    return _read(headers, STEP_HEADER) or _read(headers, HEADER)


def predecessor_of(headers: Mapping[str, Payload]) -> SpanRef | None:
    """The run that this one continues."""
    return _read(headers, LINK_HEADER)


def trace_id_of(run_id: str, headers: Mapping[str, Payload]) -> int:
    """The trace of a run: its caller's where there is one, else derived from the run id."""
    caller = caller_of(headers)
    return caller.trace_id if caller else derived_trace_id(run_id)


def _read(headers: Mapping[str, Payload], name: str) -> SpanRef | None:
    # Reading a missing key of a protobuf map would create it.
    value = json_of(headers[name]) if name in headers else None
    return parse_traceparent(value.get("traceparent")) if isinstance(value, dict) else None
