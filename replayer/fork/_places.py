"""Places in the logic of a recorded run, in words that a fork shares with it."""

from __future__ import annotations

from collections import Counter

from replayer.fork._answers import Asked
from replayer.fork.script import Item, Script
from tracer.model import Outcome, Step, StepKind

EXTERNAL = frozenset({StepKind.SIGNAL_EXTERNAL, StepKind.CANCEL_EXTERNAL})
"""Requests to other workflows, which the server answers by itself."""

type Word = tuple[StepKind, str]
"""What a step is called, whichever run it is in."""


def word(kind: StepKind, name: str) -> Word:
    """What a step is called."""
    # A timer's name is its summary or its id: neither says which one it is.
    return kind, "" if kind is StepKind.TIMER else name


def named(step: Asked | Step) -> str:
    """A step for people."""
    return f"{step.kind.replace('_', ' ')} {step.name}"


def position_of(script: Script, message: Item) -> tuple[Counter[Word], Counter[Word]]:
    """The place of a message: the steps that were asked for, and answered, before it."""
    before, steps = message.event.event_id, script.steps
    asked = [word(s.kind, s.name) for s in steps if (s.scheduled_event_id or 0) < before]
    told = [word(s.kind, s.name) for s in steps if (s.closed_event_id or before) < before]
    return Counter(asked), Counter(told)


def stand_ins(script: Script) -> list[str]:
    """Workflow ids that have to exist so that recorded requests succeed, and fail, alike."""
    steps = script.run.steps
    ids = {s.id for s in steps if s.kind in EXTERNAL and s.outcome is Outcome.COMPLETED}
    # A child that could not be started: somebody else had its id.
    children = [s for s in steps if s.kind is StepKind.CHILD_WORKFLOW and s.outcome]
    ids |= {s.id for s in children if s.started_at is None}
    known = {s.id for s in steps if s.started_at is not None}
    return sorted(ids - known - {script.history.key.workflow_id})
