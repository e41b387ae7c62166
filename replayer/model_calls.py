"""The model call that a step was, as far as its recorded input and result tell.

A history knows only what a step returned in the end; calls inside one step, and those of attempts
that failed, are known to spans alone. A step without a usage in a known shape is no model call here
unless its name says so: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from tracer.genai.prices import Cost, cost_of
from tracer.genai.results import usage_in_result
from tracer.genai.usage import ModelUsage
from tracer.model import Outcome, Step, StepKind

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

__all__ = ["StepModelCall", "model_call_of"]

_CALL_KINDS: Final = frozenset({StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY})

_MISTRAL_PREFIX: Final = "mistralai_"
_CALL_NAMES: Final = frozenset(
    {
        "invoke_model_activity",
        "mistralai_chat_complete",
        "mistralai_chat_stream",
        "mistralai_chat_parse",
        "mistralai_embeddings",
        "mistralai_start_conversation",
        "mistralai_start_conversation_stream",
        "mistralai_append_conversation",
        "mistralai_append_conversation_stream",
    }
)
"""Activities of agent libraries that are model calls, also where their result tells no usage:
such a call must show up as one without a price."""

_EVERY_USAGE_SAYS: Final = b"oken"
"""Of `tokens` or `Tokens`: what has it not is no usage, and most results need no parsing."""

_EVERY_REQUEST_SAYS: Final = b"model"
"""The same for what names a model."""

_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999; nothing stops a file from naming a later time."""


@dataclass(frozen=True, slots=True)
class StepModelCall:
    """What one step used of a model."""

    usage: ModelUsage
    """Without any count where the step is a call by its name only."""
    provider: str
    """Empty if it is not told."""
    request_model: str
    """The model that was asked for, empty if the input does not tell."""
    at: int
    """When it was made, nanoseconds since the epoch."""

    @property
    def model(self) -> str:
        """The model that answered, or the one that was asked for."""
        return self.usage.model or self.request_model

    def cost(self) -> Cost | None:
        """What it cost at the price of its day, `None` if that cannot be known."""
        seconds = self.at / 1e9
        at = datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LAST_SECOND else None
        return cost_of(self.usage, self.provider, (self.usage.model, self.request_model), at)


def model_call_of(step: Step) -> StepModelCall | None:
    """The model call that a completed step was, `None` if it was none."""
    if step.kind not in _CALL_KINDS or step.outcome is not Outcome.COMPLETED:
        return None
    usage = _usage(step.result)
    if usage is None and step.name not in _CALL_NAMES:
        return None
    usage = usage or ModelUsage()
    provider = usage.provider or ("mistral_ai" if step.name.startswith(_MISTRAL_PREFIX) else "")
    return StepModelCall(
        usage, provider, _requested_model(step), step.started_at or step.scheduled_at
    )


def _usage(result: Sequence[Payload]) -> ModelUsage | None:
    answer = _json(result, _EVERY_USAGE_SAYS)
    return None if answer is None else usage_in_result(answer)


def _requested_model(step: Step) -> str:
    request = _json(step.input, _EVERY_REQUEST_SAYS)
    if not isinstance(request, dict):
        return ""
    model = request.get("model") or request.get("model_name")
    return model if isinstance(model, str) else ""


def _json(payloads: Sequence[Payload], said: bytes) -> Any:
    """The first payload's value, if it is JSON under whichever name of encoding and says this."""
    if not payloads:
        return None
    payload = payloads[0]
    data = payload.data
    if said not in data or not payload.metadata.get("encoding", b"").startswith(b"json/"):
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
