"""Why a tape ends where it ends, on one line for people.

What an open run waits for is the model's knowledge: the steps that nobody has answered yet.
"""

from __future__ import annotations

import re
from typing import Any, Final

from replayer.history.errors import one_line
from replayer.replaying import ReplayOutcome, ReplayStatus
from replayer.tape._events import ENDINGS
from replayer.tape.words import Stop, StopKind
from tracer.model import Failure, Run, RunStatus, Step, StepKind

__all__ = ["stop_of"]

_MOST_TEXT: Final = 400
_MOST_LISTED: Final = 5
_MESSAGE: Final = re.compile(r'message: "((?:[^"\\]|\\.)*)"')


def stop_of(
    run: Run, outcome: ReplayOutcome, failure: str, activations: list[dict[str, Any]]
) -> Stop:
    """Say why a recording ended.

    Args:
        run: The history's model.
        outcome: How the replay ended.
        failure: Of the last activation; empty if it did not fail.
        activations: Those of the tape, as it stores them.
    """
    if outcome.status is ReplayStatus.STUCK:
        return _stop(StopKind.STUCK, outcome.failure)
    if outcome.is_nondeterminism:
        return _stop(StopKind.NONDETERMINISM, _message(outcome.failure))
    if outcome.status is ReplayStatus.FAILED:
        return _stop(StopKind.FAILED, failure or _message(outcome.failure))
    ending = _ending_too_early(run, activations)
    if ending:
        return _stop(StopKind.NONDETERMINISM, ending)
    if run.is_closed:
        return _stop(StopKind.CLOSED, _closing(run))
    failures = [task.failure for task in run.tasks if task.failure is not None]
    if failure or (run.is_stuck and failures):
        return _stop(StopKind.FAILED, failure or _failing(failures[-1]))
    return _stop(StopKind.WAITING, _waiting(run, activations))


def _stop(kind: StopKind, text: str) -> Stop:
    text = one_line(text.strip())
    return Stop(kind, text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…")


def _message(failure: str) -> str:
    """The message within the SDK's dump of a failure."""
    found = _MESSAGE.search(failure)
    text = found.group(1) if found else failure
    return text.replace('\\"', '"').partition("\\n")[0].partition("\n")[0]


def _failing(failure: Failure) -> str:
    return f"{failure.root.type or failure.root.kind}: {failure.root.message}"


def _closing(run: Run) -> str:
    text = run.status.value.lower().replace("_", " ")
    if run.failure is not None:
        text += f": {_failing(run.failure)}"
    elif run.close_reason and run.status is not RunStatus.COMPLETED:
        text += f": {run.close_reason}"
    return text


def _ending_too_early(run: Run, activations: list[dict[str, Any]]) -> str:
    """The code ends the run where the history goes on, which the SDK's Replayer does not notice."""
    for activation in activations:
        # The event after the task's start is its completion.
        goes_on = activation["event"] + 1 < (run.last_event_id or 0)
        for name, _, event_id, _ in activation["commands"]:
            if goes_on and name in ENDINGS and event_id is None:
                return (
                    f"the code asks for {name} after event {activation['event']}, "
                    f"and the history goes on to event {run.last_event_id}"
                )
    return ""


def _waiting(run: Run, activations: list[dict[str, Any]]) -> str:
    commands = [command for activation in activations for command in activation["commands"]]
    withdrawn = {about for name, about, *_ in commands if name == "cancel_timer"}
    # A timer that is cancelled in the task that started it never becomes an event.
    unconfirmed = [
        command
        for command in commands
        if command[2] is None and not (command[0] == "start_timer" and command[1] in withdrawn)
    ]
    if any(command[0] in ENDINGS for command in unconfirmed):
        return f"the history ends (event {run.last_event_id}) where the code ends the run"
    asked = [_command_text(*command[:2]) for command in unconfirmed if command[0] in _ASKS]
    open_steps = [step for step in run.steps if step.is_open]
    pending = [*map(_step_text, open_steps), *(f"{text} (not in the history)" for text in asked)]
    is_idle = all(step.kind is StepKind.TIMER for step in open_steps) and not asked
    if is_idle:
        pending.append("a signal or an update")
    listed = ", ".join(pending[:_MOST_LISTED])
    more = f" and {len(pending) - _MOST_LISTED} more" if len(pending) > _MOST_LISTED else ""
    return f"waits for {listed}{more}"


_ASKS: Final = {
    "schedule_activity": "activity",
    "schedule_local_activity": "local activity",
    "start_timer": "timer",
    "start_child_workflow_execution": "child workflow",
    "schedule_nexus_operation": "Nexus operation",
    "signal_external_workflow_execution": "signal to another workflow",
    "request_cancel_external_workflow_execution": "cancellation of another workflow",
}


def _command_text(name: str, about: str) -> str:
    return f"{_ASKS[name]} {about}".strip()


def _step_text(step: Step) -> str:
    event = f" (event {step.scheduled_event_id})" if step.scheduled_event_id else ""
    return f"{step.kind.value.replace('_', ' ')} {step.name}{event}"
