"""One line about one event: what a timeline shows.

A glyph and a word say how it went, so that nothing depends on colour.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracer.model import Outcome, Step
from tui import figures
from tui.pieces import Line, Piece, Tone, figure, piece, text_of
from tui.walk import Event, Walk, attributes_of, type_of

# Longest first: the first prefix that fits names the category, the rest of the type is the verb.
_CATEGORIES = (
    ("START_CHILD_WORKFLOW_EXECUTION_", "child"),
    ("CHILD_WORKFLOW_EXECUTION_", "child"),
    ("WORKFLOW_EXECUTION_UPDATE_", "update"),
    ("WORKFLOW_EXECUTION_OPTIONS_", "options"),
    ("WORKFLOW_EXECUTION_SIGNALED", "signal"),
    ("WORKFLOW_EXECUTION_", "workflow"),
    ("WORKFLOW_TASK_", "task"),
    ("ACTIVITY_TASK_", "activity"),
    ("NEXUS_OPERATION_", "nexus"),
    ("TIMER_", "timer"),
    ("MARKER_", "marker"),
)

_OPENINGS = ("SCHEDULED", "INITIATED", "STARTED")
_GLYPHS = (
    ("CANCEL_REQUESTED", "⊘", Tone.WARN),
    ("CANCELED", "⊘", Tone.WARN),
    ("FAILED", "✗", Tone.BAD),
    ("TIMED_OUT", "✗", Tone.BAD),
    ("TERMINATED", "✗", Tone.BAD),
    ("REJECTED", "✗", Tone.BAD),
    ("COMPLETED", "✓", Tone.GOOD),
    ("FIRED", "✓", Tone.GOOD),
    ("SIGNALED", "⚑", Tone.NOTE),
    ("ACCEPTED", "⚑", Tone.NOTE),
    ("ADMITTED", "⚑", Tone.NOTE),
)

STATUS_GLYPHS = {
    "RUNNING": ("▶", Tone.NOTE),
    "COMPLETED": ("✓", Tone.GOOD),
    "FAILED": ("✗", Tone.BAD),
    "TIMED_OUT": ("✗", Tone.BAD),
    "TERMINATED": ("✗", Tone.BAD),
    "CANCELED": ("⊘", Tone.WARN),
    "CONTINUED_AS_NEW": ("↻", Tone.PLAIN),
}
"""Glyph and tone of a run's status."""

_OUTCOME_TONES = {
    None: Tone.NOTE,
    Outcome.COMPLETED: Tone.GOOD,
    Outcome.CANCELED: Tone.WARN,
}

_OFFSET_WIDTH = 8


def outcome_piece(outcome: Outcome | None) -> Piece:
    """An outcome as one word, `open` while there is none."""
    tone = _OUTCOME_TONES.get(outcome, Tone.BAD)
    return Piece((outcome or "open").replace("_", " "), tone)


def event_line(walk: Walk, position: int) -> Line:
    """The event at `position` in one line: id, time since the start, what happened."""
    event = walk.events[position]
    name = type_of(event)
    step = walk.steps.get(position)
    id_width = len(str(walk.events[-1].event_id))
    glyph, tone = _glyph(name)
    return (
        figure(str(event.event_id), id_width, Tone.DIM),
        figure(figures.offset(walk.offset_ns(position)), _OFFSET_WIDTH + 1, Tone.DIM),
        Piece(f" {glyph} ", tone),
        *_happened(event, name, step),
    )


def _glyph(name: str) -> tuple[str, Tone]:
    if name.startswith("WORKFLOW_TASK_") and name.endswith(("SCHEDULED", "STARTED", "COMPLETED")):
        return "·", Tone.DIM
    for ending, glyph, tone in _GLYPHS:
        if name.endswith(ending):
            return glyph, tone
    return ("▷", Tone.PLAIN) if name.endswith(_OPENINGS) else ("·", Tone.PLAIN)


def searched_texts(walk: Walk) -> Iterator[str]:
    """What happened with each event, for a search: as its line says it, without id and time."""
    known: dict[tuple[str, str, Outcome | None], str] = {}
    for position, event in enumerate(walk.events):
        name, step = type_of(event), walk.steps.get(position)
        if step is None and not name.startswith("WORKFLOW_TASK_"):
            yield text_of(_happened(event, name, None))
            continue
        # Thousands of events say the same but for how they ended.
        key = (name, "", None) if step is None else (name, step.name, step.outcome)
        if key not in known:
            known[key] = text_of(_named(event, name, step))
        yield known[key] + text_of(_remark(event, step))


def _happened(event: Event, name: str, step: Step | None) -> Line:
    return (*_named(event, name, step), *_remark(event, step))


def _named(event: Event, name: str, step: Step | None) -> Line:
    category, verb = _category(name)
    if category == "task":
        failed = name.endswith(("FAILED", "TIMED_OUT"))
        return (Piece(f"{category} {verb}", Tone.BAD if failed else Tone.DIM),)
    if category == "marker" and step is not None:
        category, verb = "local activity", (step.outcome or "open").replace("_", " ")
    subject = step.name if step is not None else _subject(event)
    words = [Piece(f"{category} ", Tone.DIM)] if category else []
    if subject:
        words.append(piece(f"{subject} ", Tone.STRONG))
    return (*words, Piece(verb))


def _category(name: str) -> tuple[str, str]:
    for prefix, category in _CATEGORIES:
        if name.startswith(prefix):
            verb = name.removeprefix(prefix).replace("_", " ").lower()
            return category, verb or "received"
    return "", name.replace("_", " ").lower()


def _subject(event: Event) -> str:
    """What the event names that belongs to no step: a signal, an update, a marker, a workflow."""
    attributes = attributes_of(event)
    for field in ("signal_name", "marker_name"):
        if text := getattr(attributes, field, ""):
            return str(text)
    for field in ("accepted_request", "rejected_request", "request"):
        if request := getattr(attributes, field, None):
            return str(request.input.name)
    workflow_type = getattr(attributes, "workflow_type", None)
    return str(workflow_type.name) if workflow_type is not None else ""


def _remark(event: Event, step: Step | None) -> Line:
    """What is worth knowing at a glance: how long the step took, which try, what went wrong."""
    if step is None:
        return ()
    if event.event_id == step.closed_event_id:
        return _ending(step)
    attempt = getattr(attributes_of(event), "attempt", 1)
    if attempt > 1 and type_of(event).endswith("STARTED"):
        return (Piece(f" · attempt {attempt}", Tone.WARN),)
    return ()


def _ending(step: Step) -> Line:
    remark = [Piece(f" {figures.duration(step.duration_ns)}", Tone.DIM)]
    if step.attempt_count > 1:
        remark.append(Piece(f" · {step.attempt_count} attempts", Tone.WARN))
    if step.failure is not None:
        root = step.failure.root
        remark.append(piece(f" {root.type or root.kind}: {root.message}", Tone.BAD))
    return tuple(remark)
