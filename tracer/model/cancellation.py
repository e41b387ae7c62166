"""When a step that the workflow cancels is over for the workflow.

A workflow may go on at once, or wait until the request was delivered, or until the step has
answered. Its worker knows which; a history does not tell. So the tracer writes it into the
headers of the step, and a reader of the history sees the step end when the workflow saw it end.
Without the mark a reader goes by the step's own answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tracer.model.payloads import json_of
from tracer.model.words import Payload, StepKind
from tracer.names import HEADER, STEP_HEADER


class CancelEffect(StrEnum):
    """What ends a cancelled step."""

    REQUEST = "request"
    """The workflow goes on as soon as it asked."""
    DELIVERY = "delivery"
    """It waits until the request reached the step."""
    ANSWER = "answer"
    """It waits until the step ended."""
    NOTHING = "nothing"
    """It turns away without asking anybody: no event tells of it."""


CANCEL_EFFECTS: Final[Mapping[StepKind, tuple[CancelEffect, ...]]] = {
    StepKind.ACTIVITY: (CancelEffect.REQUEST, CancelEffect.ANSWER, CancelEffect.NOTHING),
    StepKind.CHILD_WORKFLOW: (
        CancelEffect.NOTHING,
        CancelEffect.REQUEST,
        CancelEffect.ANSWER,
        # `WAIT_CANCELLATION_REQUESTED`: up to 1.35 the core waits for the child's end all the same.
        CancelEffect.ANSWER,
    ),
    StepKind.NEXUS_OPERATION: (
        CancelEffect.ANSWER,
        CancelEffect.NOTHING,
        CancelEffect.REQUEST,
        CancelEffect.DELIVERY,
    ),
}
"""By the number of the cancellation type in the SDK core's protocol: each kind has its own."""

_STATE = re.compile(r"\bretrospan=cancel:([a-z]+)")
_STATES: Final = {effect: f"retrospan=cancel:{effect}" for effect in CancelEffect}


def effect_of_type(kind: StepKind, cancellation_type: int) -> CancelEffect:
    """The effect of the cancellation type that a command carries."""
    effects = CANCEL_EFFECTS.get(kind, ())
    known = 0 <= cancellation_type < len(effects)
    return effects[cancellation_type] if known else CancelEffect.ANSWER


def trace_state(effect: CancelEffect) -> str:
    """The mark, as a member of a W3C `tracestate`."""
    return _STATES[effect]


def effect_in(trace_state: object) -> CancelEffect | None:
    """The effect that a `tracestate` names, `None` if the tracer has not marked it."""
    match = _STATE.search(trace_state) if isinstance(trace_state, str) else None
    return CancelEffect(match[1]) if match and match[1] in CancelEffect else None


def effect_in_headers(headers: Mapping[str, Payload]) -> CancelEffect | None:
    """The effect that the headers of a step name."""
    for name in (STEP_HEADER, HEADER):
        # Reading a missing key of a protobuf map would create it.
        value = json_of(headers[name]) if name in headers else None
        effect = effect_in(value.get("tracestate")) if isinstance(value, dict) else None
        if effect is not None:
            return effect
    return None
