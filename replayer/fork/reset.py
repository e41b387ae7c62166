"""What a reset would do: pure over the history, nothing is asked and nothing is changed.

A reset keeps what happened before an event of a workflow task and lets the code go on from there in
a new run. Steps after it run again, for real and at real cost. Signals, updates and cancel requests
that came later are sent to the new run at once, ahead of the steps that they once came after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from temporalio.api.enums.v1 import EventType

from replayer.fork.errors import ForkSpecError
from replayer.fork.script import Item, ItemKind, Script, script_of
from replayer.fork.side_effects import SideEffect, side_effect_of
from replayer.history import RunHistory
from replayer.model_calls import model_call_of
from tracer.model import Step, StepKind

__all__ = ["Fate", "ResetMessage", "ResetPreview", "ResetStep", "reset_preview"]

_POINTS = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: "WORKFLOW_TASK_STARTED",
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: "WORKFLOW_TASK_COMPLETED",
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: "WORKFLOW_TASK_FAILED",
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: "WORKFLOW_TASK_TIMED_OUT",
}


class Fate(StrEnum):
    """What a reset does to a step or message."""

    KEPT = "kept"
    """It is part of what the new run begins with."""
    AGAIN = "again"
    """The code asks for it again, if it does what it did."""
    RETRIED = "retried"
    """It was at work at the reset point: its answer is lost, and it is tried again."""
    REAPPLIED = "reapplied"
    """It is sent to the new run."""
    MAY_FAIL = "may_fail"
    """It is sent or started again, and there are reasons for which that may be refused."""


@dataclass(frozen=True, slots=True)
class ResetStep:
    """A step and what becomes of it."""

    seq: int
    kind: str
    name: str
    event_id: int
    """The event that asked for it."""
    fate: Fate
    attempts: int
    duration_ns: int | None
    side_effect: SideEffect
    why: str
    """Why it is taken for one with, or without, effects."""
    tokens: int | None = None
    """None where the recorded result tells of no model call."""
    cost_usd: float | None = None
    """At the price of the recorded day; None where that is not known."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ResetMessage:
    """A signal, update or cancel request and what becomes of it."""

    kind: str
    name: str
    event_id: int
    fate: Fate
    note: str = ""


@dataclass(frozen=True, slots=True)
class ResetPreview:
    """What a reset would do."""

    event_id: int
    event_type: str
    steps: tuple[ResetStep, ...]
    messages: tuple[ResetMessage, ...]
    notes: tuple[str, ...] = ()

    @property
    def again(self) -> tuple[ResetStep, ...]:
        """Steps that would run again."""
        return tuple(step for step in self.steps if step.fate is not Fate.KEPT)

    @property
    def tokens(self) -> int:
        """Tokens that the steps that run again took when they were recorded."""
        return sum(step.tokens or 0 for step in self.again)

    @property
    def cost_usd(self) -> float | None:
        """What they cost then; None when no price is known."""
        known = [step.cost_usd for step in self.again if step.cost_usd is not None]
        return sum(known) if known else None

    @property
    def unpriced(self) -> int:
        """Model calls among them whose price is not known."""
        return sum(s.tokens is not None and s.cost_usd is None for s in self.again)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        totals = {
            "again": len(self.again),
            "tokens": self.tokens,
            "cost_usd": self.cost_usd,
            "unpriced_calls": self.unpriced,
        }
        return {**asdict(self), "totals": totals}


def reset_preview(history: RunHistory, event: str) -> ResetPreview:
    """Tell what a reset of a run to an event would do.

    Args:
        history: The run.
        event: The id of the event of a workflow task, as `temporal workflow reset` takes it.

    Raises:
        ForkSpecError: One cannot reset to that event; the message names the nearest ones.
    """
    script = script_of(history)
    event_id = _reset_point(event, script)
    steps = tuple(_step(step, event_id) for step in script.run.steps)
    items = [i for a in script.activations for i in a.inbound if i.is_message]
    messages = tuple(_message(item, event_id) for item in items)
    name = _POINTS[script.event(event_id).event_type]
    return ResetPreview(event_id, name, steps, messages, tuple(_notes(script, event_id)))


def _reset_point(text: str, script: Script) -> int:
    events = script.history.events
    legal = [event.event_id for event in events if event.event_type in _POINTS]
    last = events[-1].event_id
    if not text.isdecimal() or len(text) > len(str(last)) or not 1 <= int(text) <= last:
        raise ForkSpecError(f"there is no event {text!r} to reset to: this run has 1 to {last}")
    if not legal:
        raise ForkSpecError("this run cannot be reset: no workflow task of it has started")
    event_id = int(text)
    if event_id in legal:
        return event_id
    kind = EventType.Name(events[event_id - 1].event_type).removeprefix("EVENT_TYPE_")
    before = [each for each in legal if each < event_id][-1:]
    after = [each for each in legal if each > event_id][:1]
    near = " or ".join(
        f"{each} ({_POINTS[script.event(each).event_type]})" for each in before + after
    )
    raise ForkSpecError(
        f"event {event_id} is {kind}, and a reset goes to an event of a workflow task; "
        f"the nearest are {near}"
    )


def _step(step: Step, event_id: int) -> ResetStep:
    call = model_call_of(step)
    usage = call.usage if call is not None else None
    cost = call.cost() if call is not None else None
    guess = side_effect_of(step, is_model_call=call is not None)
    fate, note = _fate(step, event_id)
    counts = [] if usage is None else [usage.input_tokens, usage.output_tokens]
    known = [count for count in counts if count is not None]
    return ResetStep(
        seq=step.seq,
        kind=step.kind.value,
        name=step.name,
        event_id=step.scheduled_event_id or 0,
        fate=fate,
        attempts=step.attempt_count,
        duration_ns=step.duration_ns,
        side_effect=guess.verdict,
        why=guess.why,
        tokens=sum(known) if known else None,
        cost_usd=None if cost is None else float(cost.total_usd),
        note=note,
    )


def _fate(step: Step, event_id: int) -> tuple[Fate, str]:
    if (step.scheduled_event_id or 0) >= event_id:
        if step.kind is StepKind.CHILD_WORKFLOW:
            return Fate.MAY_FAIL, (
                "its workflow id is used again: refused while the first child runs, or if its id "
                "may not be reused"
            )
        return Fate.AGAIN, ""
    if step.closed_event_id is not None and step.closed_event_id < event_id:
        return Fate.KEPT, ""
    match step.kind:
        case StepKind.TIMER:
            return Fate.KEPT, "still running at the reset point: it fires when it was due"
        case StepKind.CHILD_WORKFLOW:
            return Fate.MAY_FAIL, "still running at the reset point: some servers refuse the reset"
        case StepKind.ACTIVITY:
            return Fate.RETRIED, "at work at the reset point: its recorded answer is lost"
    return Fate.RETRIED, "not answered at the reset point"


def _message(item: Item, event_id: int) -> ResetMessage:
    at = item.event.event_id
    if at < event_id:
        return ResetMessage(item.kind.value, item.name, at, Fate.KEPT)
    match item.kind:
        case ItemKind.UPDATE:
            note = (
                "its validator runs again, earlier in the run, and may reject it; the caller has "
            )
            return ResetMessage(
                item.kind.value, item.name, at, Fate.MAY_FAIL, note + "the old answer"
            )
        case ItemKind.CANCEL_REQUEST:
            note = "sent again at once: the new run is asked to cancel (older servers lose it)"
            return ResetMessage(item.kind.value, item.name, at, Fate.REAPPLIED, note)
    note = "sent again at once, before the steps that run again"
    return ResetMessage(item.kind.value, item.name, at, Fate.REAPPLIED, note)


def _notes(script: Script, event_id: int) -> Iterator[str]:
    run = script.run
    if not run.is_closed:
        yield "the run is open: a reset terminates it"
    if run.continued_to_run_id:
        yield (
            "the run continued as new: a reset terminates the run that goes on, if it is open "
            f"({run.continued_to_run_id})"
        )
    if any(patch.event_id is not None and patch.event_id >= event_id for patch in run.patches):
        yield "patches that were taken after the reset point are decided again, by today's code"
    yield (
        "side effects are guessed from kinds and names; costs are those that were recorded, "
        "of calls that failed nothing is known"
    )
