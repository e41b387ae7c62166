"""The fork point: what `--at` means in one recording.

An event id, a step (`assess_risk`, or `classify_document#2` for the second of that name), or the
name of a signal or update. Whatever is named, the point is a place in the run's logic: the
activation in which it was told to the workflow code.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from replayer.fork.errors import ForkSpecError
from replayer.fork.script import Item, ItemKind, Script, attributes_of
from tracer.model import Step

__all__ = ["ForkPoint", "point_of"]

_LISTED = 8


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """Where a fork leaves the recording."""

    text: str
    """As it was asked for; empty for the start."""
    activation: int = 0
    """Index of the activation that was told of it."""
    event_id: int = 1
    """The event that stands for it."""
    step: Step | None = None
    item: Item | None = None
    """What came in there; None for the start, and for steps that never came to an end."""

    def __str__(self) -> str:
        """For people."""
        if not self.text:
            return "the start"
        what = self.step or self.item
        return f"{what.name} (event {self.event_id})" if what else f"event {self.event_id}"


def point_of(text: str | None, script: Script) -> ForkPoint:
    """Find what was named.

    Raises:
        ForkSpecError: Nothing or several things answer to that; the message says what there is.
    """
    if not text:
        return ForkPoint("")
    if text.isdecimal():
        return _at_event(text, script)
    name, mark, number = text.rpartition("#")
    if mark and number.isdecimal():
        return _named(text, name, int(number), script)
    return _named(text, text, None, script)


def _at_event(text: str, script: Script) -> ForkPoint:
    last = script.history.events[-1].event_id
    if len(text) > len(str(last)) or not 1 <= int(text) <= last:
        raise ForkSpecError(f"there is no event {text}: this run has events 1 to {last}")
    event_id = int(text)
    attributes = attributes_of(script.event(event_id))
    for field in ("scheduled_event_id", "initiated_event_id", "accepted_event_id"):
        # The event of an answer that is no item itself: an attempt, a request to cancel.
        if refers_to := getattr(attributes, field, 0):
            return _of_event(text, script, event_id, refers_to)
    return _of_event(text, script, event_id, event_id)


def _of_event(text: str, script: Script, event_id: int, refers_to: int) -> ForkPoint:
    ids = {event_id, refers_to}
    for step in script.run.steps:
        if ids & {step.scheduled_event_id, step.closed_event_id}:
            return _of_step(text, step, script)
    for index, activation in enumerate(script.activations):
        for item in activation.inbound:
            if item.event.event_id in ids:
                return ForkPoint(text, index, item.event.event_id, item.step, item)
        if event_id <= activation.event_id or not activation.event_id:
            return ForkPoint(text, index, event_id)
    return ForkPoint(text, len(script.activations) - 1, event_id)


def _of_step(text: str, step: Step, script: Script) -> ForkPoint:
    asked = 0
    for index, activation in enumerate(script.activations):
        for item in activation.inbound:
            if item.step is step and item.kind is ItemKind.STEP_CLOSED:
                return ForkPoint(text, index, item.event.event_id, step, item)
        if step in activation.asked:
            asked = index
    return ForkPoint(text, asked, step.closed_event_id or step.scheduled_event_id or 1, step)


def _named(text: str, name: str, number: int | None, script: Script) -> ForkPoint:
    points = [_of_step(text, step, script) for step in script.run.steps if step.name == name]
    points += [
        ForkPoint(text, index, item.event.event_id, None, item)
        for index, activation in enumerate(script.activations)
        for item in activation.inbound
        if item.is_message and item.name == name
    ]
    if not points:
        raise ForkSpecError(_unknown(name, script))
    if number is None and len(points) > 1:
        ids = ", ".join(f"{name}#{n} is event {p.event_id}" for n, p in enumerate(points, 1))
        raise ForkSpecError(f"{name!r} happened {len(points)} times, say which: {ids[:300]}")
    number = 1 if number is None else number
    if not 1 <= number <= len(points):
        raise ForkSpecError(f"there is no {text!r}: {name} happened {len(points)} times")
    return points[number - 1]


def _unknown(name: str, script: Script) -> str:
    names = dict.fromkeys(step.name for step in script.run.steps)
    names |= dict.fromkeys(
        item.name for a in script.activations for item in a.inbound if item.is_message
    )
    near = get_close_matches(name, names, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(list(names)[:_LISTED])}"
    if not names:
        known = "it has neither steps nor signals"
    return f"nothing in this run is called {name!r}: {known}"
