"""What an activation changed, as the reader of activations tells it to the tracer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tracer.model.cancellation import CancelEffect
from tracer.model.words import Signal, Step, Update, Wait, WorkflowTask


class Asked(NamedTuple):
    """A step that the workflow asked for, with the command that is on its way to the server."""

    step: Step
    command: Any
    """The variant of the `WorkflowCommand`."""
    cancel_effect: CancelEffect | None
    """What ends the step once the workflow cancels it; `None` for steps that know one way only."""


@dataclass(slots=True)
class Changes:
    """What one activation began and brought to an end."""

    started: bool = False
    """The run began here, from nothing or where it was reset."""
    closed: bool = False
    continued_by: Any = None
    """The command that starts the next run, if there is one."""
    asked: list[Asked] = field(default_factory=list)
    """Steps that begin now."""
    steps: list[Step] = field(default_factory=list)
    """Steps that are over."""
    waits: list[Wait] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    answered: list[Step] = field(default_factory=list)
    """Those of `steps` that the server knows to be over, whatever becomes of this task."""
    unanswered: list[Step] = field(default_factory=list)
    """Steps that were open when the run closed."""
    has_local_activities: bool = False
    """The worker begins some now, within the task."""
    task_failure: WorkflowTask | None = None
