"""Does a step look as if it changed the world? A guess from its kind and its name, and no more.

Nothing in a history says whether an activity has effects. Names mostly do: what begins with `get`
reads, what begins with `send` does not. The guess errs on the safe side: an unknown verb is
`POSSIBLE`, and only what names itself a reader is `NO`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from tracer.model import Step, StepKind

__all__ = ["SideEffect", "SideEffectGuess", "side_effect_of"]


class SideEffect(StrEnum):
    """Whether running a step again does something to the world again."""

    LIKELY = "likely"
    POSSIBLE = "possible"
    NO = "no"


@dataclass(frozen=True, slots=True)
class SideEffectGuess:
    """A guess with its reason."""

    verdict: SideEffect
    why: str


_READS = re.compile(
    "assess|calculate|check|classify|compare|compute|count|describe|detect|embed|estimate|evaluate|"
    "extract|fetch|find|get|inspect|list|load|lookup|measure|parse|predict|query|rank|read|render|"
    "resolve|score|screen|search|select|summari[sz]e|translate|validate|verify|weigh"
)
_WRITES = re.compile(
    "add|allocate|apply|approve|assign|authori[sz]e|book|cancel|capture|charge|clear|close|commit|"
    "create|credit|debit|decline|delete|deliver|deploy|deposit|disable|dispatch|email|enable|"
    "enqueue|escalate|execute|grant|insert|invite|issue|lock|mail|mark|modify|notify|open|order|"
    "pay|persist|place|post|publish|push|put|record|refund|register|reject|release|remove|reserve|"
    "reset|revoke|save|schedule|send|set|settle|ship|sign|start|stop|store|submit|subscribe|"
    "terminate|transfer|trigger|unlock|update|upload|upsert|withdraw|write"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_MODEL_WORDS = frozenset({"llm", "model", "completion", "chat", "prompt", "agent"})


def side_effect_of(step: Step, *, is_model_call: bool = False) -> SideEffectGuess:
    """Guess whether a step has effects outside of its workflow."""
    if step.kind is StepKind.TIMER:
        return SideEffectGuess(SideEffect.NO, "a timer")
    if step.kind in (StepKind.SIGNAL_EXTERNAL, StepKind.CANCEL_EXTERNAL):
        return SideEffectGuess(SideEffect.LIKELY, "it tells another workflow")
    if step.kind is StepKind.CHILD_WORKFLOW:
        return SideEffectGuess(SideEffect.LIKELY, "a child workflow runs all of its steps again")
    if is_model_call:
        return SideEffectGuess(SideEffect.NO, "a model call: it costs, and changes nothing")
    return _by_name(step.name)


def _by_name(name: str) -> SideEffectGuess:
    words = [word.lower() for word in _WORD.findall(name)]
    for word in words:
        if _WRITES.fullmatch(word):
            return SideEffectGuess(SideEffect.LIKELY, f"its name says {word!r}")
        if _READS.fullmatch(word):
            return SideEffectGuess(SideEffect.NO, f"its name says {word!r}")
    if model := next((word for word in words if word in _MODEL_WORDS), None):
        return SideEffectGuess(SideEffect.NO, f"its name says {model!r}: a model call")
    return SideEffectGuess(SideEffect.POSSIBLE, "its name does not tell")
