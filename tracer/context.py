"""Trace context as it travels in Temporal headers: W3C `traceparent` in a JSON payload."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from tracer.identity import derived_trace_id
from tracer.model.payloads import json_of
from tracer.model.words import Payload
from tracer.names import HEADER, LINK_HEADER, STEP_HEADER

_OURS: Final = re.compile(
    rb'\{"traceparent": ?"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})"'
    rb'(?:, ?"tracestate": ?"[^"\\]*")?\}'
)
"""The form that we and most others write: seen at once, and read without JSON."""
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class SpanRef(NamedTuple):
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
    return _ref(_TRACEPARENT.match(text)) if isinstance(text, str) else None


def _ref(match: re.Match[str] | re.Match[bytes] | None) -> SpanRef | None:
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
    if name not in headers:
        return None
    payload = headers[name]
    if payload.metadata.get("encoding") == b"json/plain" and (
        ours := _OURS.fullmatch(payload.data)
    ):
        return _ref(ours)
    value = json_of(payload)
    return parse_traceparent(value.get("traceparent")) if isinstance(value, dict) else None
