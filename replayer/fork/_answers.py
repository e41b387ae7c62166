"""Which recorded step answers what a fork asks for.

A step is answered by the recording where kind, name and input are equal. Input is compared as it is
meant: JSON by value, whatever the order of its keys; everything else byte by byte. Equal steps are
used up in their order; one that is asked for more often than it was recorded gets the last answer
again. Histories do not hold the input of local activities: those are known by their name alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload

from tracer.model import Step, StepKind

type Identity = tuple[Any, ...]

_BLIND = frozenset({StepKind.LOCAL_ACTIVITY})
"""Kinds whose input a history does not hold."""


@dataclass(slots=True)
class Asked:
    """A step that the fork asks for, as the workflow code asked for it."""

    kind: StepKind
    name: str
    id: str
    seq: int
    """The SDK's number: answers come back with it."""
    command: Any
    """The whole `WorkflowCommand`, a copy from before anything was changed in it."""
    input: tuple[Payload, ...] = ()
    task_queue: str = ""
    delay_ns: int = 0
    """Of a timer."""
    is_edited: bool = False
    """The fork changed its input."""
    is_given_up: bool = False
    """The workflow code canceled it and does not wait for its answer."""


@dataclass(slots=True)
class Match:
    """A recorded step that answers."""

    step: Step
    is_again: bool
    """It has answered before."""


@dataclass(slots=True)
class _Shelf:
    steps: list[Step] = field(default_factory=list)
    unused: list[Step] = field(default_factory=list)


class AnswerBook:
    """The recorded steps, by what was asked."""

    def __init__(self, steps: Iterable[tuple[Step, Sequence[Payload]]]) -> None:
        """Take the steps with their decoded inputs, in recorded order."""
        self._shelves: defaultdict[Identity, _Shelf] = defaultdict(_Shelf)
        for step, payloads in steps:
            shelf = self._shelves[identity(step.kind, step.name, payloads, _delay(step))]
            shelf.steps.append(step)
            shelf.unused.append(step)

    def match(self, asked: Asked) -> Match | None:
        """The step that answers; it is used up."""
        shelf = self._shelves.get(identity(asked.kind, asked.name, asked.input, asked.delay_ns))
        if shelf is None or asked.is_edited:
            return None
        # Of equal steps side by side, the one with the same id is its own counterpart.
        same = next((step for step in shelf.unused if step.id == asked.id), None)
        step = same or next(iter(shelf.unused), None)
        if step is None:
            return Match(shelf.steps[-1], is_again=True)
        shelf.unused.remove(step)
        return Match(step, is_again=False)


def identity(kind: StepKind, name: str, payloads: Sequence[Payload], delay_ns: int = 0) -> Identity:
    """What makes two steps the same question."""
    if kind is StepKind.TIMER:
        return kind, delay_ns
    if kind in _BLIND:
        return kind, name
    return kind, name, *map(_meaning, payloads)


def _delay(step: Step) -> int:
    return round(step.timeouts.get("start_to_fire", 0.0) * 1e9)


def _meaning(payload: Payload) -> tuple[bytes, str | bytes]:
    encoding = payload.metadata.get("encoding", b"")
    if not encoding.startswith(b"json/"):
        return encoding, payload.data
    try:
        return encoding, json.dumps(json.loads(payload.data), sort_keys=True)
    except (ValueError, RecursionError):
        return encoding, payload.data
