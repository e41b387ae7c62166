"""What is asked of a fork, checked against the recording before anything is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from replayer.fork.branch_points import is_branch
from replayer.fork.changes import Changes, Root
from replayer.fork.errors import ForkError, ForkSpecError
from replayer.fork.points import ForkPoint, point_of
from replayer.fork.script import ItemKind, Script
from tracer.model import StepKind

__all__ = ["ForkRequest", "check_changes", "check_early"]

_CAN_FAIL = frozenset({StepKind.ACTIVITY, StepKind.LOCAL_ACTIVITY, StepKind.CHILD_WORKFLOW})


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A fork to make."""

    workflows: tuple[str, ...]
    """`module:Class`, as `load_workflows` takes them."""
    at: str | None = None
    """The fork point, as `point_of` or `branch_point_of` takes it; the start without it."""
    changes: Changes = field(default_factory=Changes)
    stub: Path | None = None
    """A stub file for steps that the recording cannot answer."""
    activities: str | None = None
    """`module:attribute` with real activities for such steps."""
    profile: str | None = None
    """A replay profile."""
    seconds: float = 60.0
    """Time limit of the process that runs the code."""


def check_early(request: ForkRequest, script: Script) -> None:
    """Check what can be checked without running code: a decision's place is not known yet."""
    _check_run(script)
    if not is_branch(request.at):
        check_changes(point_of(request.at, script), request.changes)


def check_changes(point: ForkPoint, changes: Changes) -> None:
    """See that the changes have a place at the fork point.

    Raises:
        ForkSpecError: A change has none there.
    """
    step, item = point.step, point.item
    if changes.sets_of(Root.OUTPUT) or changes.fail is not None:
        what = "--fail" if changes.fail is not None else "--set output"
        if step is None:
            raise ForkSpecError(f"{what} needs a step: name one with --at, {point} is none")
        if step.kind not in _CAN_FAIL:
            kind = step.kind.replace("_", " ")
            raise ForkSpecError(
                f"{what} needs an activity or a child workflow, {step.name} is a {kind}"
            )
        if step.is_open:
            raise ForkSpecError(f"{what} changes a recorded answer, and {step.name} has none yet")
    if changes.sets_of(Root.OUTPUT) and changes.fail is not None:
        raise ForkSpecError("--set output and --fail contradict each other: choose one")
    if changes.model is not None:
        if step is None or step.kind is StepKind.TIMER:
            raise ForkSpecError(f"--model needs a step with a model in its input; {point} is none")
        if step.kind is StepKind.LOCAL_ACTIVITY:
            raise ForkSpecError(f"--model cannot change local activities, {step.name} is one")
    for root, kind in ((Root.SIGNAL, ItemKind.SIGNAL), (Root.UPDATE, ItemKind.UPDATE)):
        if changes.sets_of(root) and (item is None or item.kind is not kind):
            raise ForkSpecError(f"--set {root} needs a {root}: name one with --at, {point} is none")


def _check_run(script: Script) -> None:
    nexus = [s for s in script.run.steps if s.kind is StepKind.NEXUS_OPERATION]
    if nexus:
        raise ForkError(
            f"this run calls Nexus operation {nexus[0].name}, which the time-skipping server does "
            "not have: such runs cannot be forked"
        )
    started = script.started
    if not started.HasField("workflow_execution_started_event_attributes"):
        raise ForkError("the history does not begin with the start of a workflow")
