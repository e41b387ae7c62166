"""Everything about one event, as lines to read: facts, the step it belongs to, payloads, failures.

Making it may decode megabytes and belongs off the event loop.
Lines are folded to a width here, once, so that a pane can show any of them without measuring.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure as FailureMessage

from tracer.model import Attempt, Failure, Step, elapsed_ns, failure_from, time_of
from tui import figures
from tui.event_fields import Fact, facts_of, payloads_in
from tui.event_words import outcome_piece
from tui.payload_text import payload_text
from tui.pieces import BLANK, Line, Piece, Tone, folded, piece
from tui.text import fold, safe_text
from tui.walk import Walk, type_of

_MIN_WIDTH = 8
_INDENT = "  "
_KEY = re.compile(r'(\s*)("(?:[^"\\]|\\.)*"): (.*)', re.DOTALL)


class Code(NamedTuple):
    """A line of a decoded payload; it gets its tones when it is drawn, there may be millions."""

    text: str
    """Safe, one line."""


type DetailLine = Line | Code


class Detail:
    """A `LineSource` of detail lines that are folded already."""

    def __init__(self, lines: Sequence[DetailLine]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def line(self, index: int, width: int) -> Line:
        """The line at `index`."""
        line = self._lines[index]
        return _coloured(line.text) if isinstance(line, Code) else line


def detail_of(walk: Walk, position: int, width: int) -> Detail:
    """The detail of the event at `position`, folded to `width` cells."""
    lines: list[DetailLine] = []
    for line in _lines(walk, position):
        lines.extend(fold_detail(line, width))
    return Detail(lines)


def fold_detail(line: DetailLine, width: int) -> Iterator[DetailLine]:
    """A line in rows of at most `width` cells."""
    width = max(width, _MIN_WIDTH)
    if isinstance(line, Code):
        yield from map(Code, fold(line.text, width))
    else:
        yield from folded(line, width)


def failure_lines(failure: Failure) -> Iterator[Line]:
    """A chain of failures from the outermost to the root, with stack traces."""
    for depth, link in enumerate(failure.chain):
        lead = "" if depth == 0 else "caused by "
        name = link.type or link.kind
        yield Piece(lead, Tone.DIM), piece(f"{name}: ", Tone.BAD), piece(link.message)
        about = [link.kind] if link.kind != name else []
        about += ["not retryable"] if link.non_retryable else []
        about += ["encrypted"] if link.encoded else []
        about += [f"retry state {link.retry_state}"] if link.retry_state else []
        if about:
            yield (piece(_INDENT + " · ".join(about), Tone.DIM),)
        for line in _text_lines(link.stack_trace.rstrip("\r\n")):
            yield (Piece(_INDENT + line, Tone.DIM),)


def _lines(walk: Walk, position: int) -> Iterator[DetailLine]:
    event = walk.events[position]
    yield (
        piece(type_of(event), Tone.STRONG),
        Piece(f"  event {event.event_id} of {len(walk.events)}", Tone.DIM),
    )
    yield (piece(figures.iso(time_of(event)) or "", Tone.DIM),)
    step = walk.steps.get(position)
    if step is not None:
        yield BLANK
        yield from _step_lines(step)
    facts = list(facts_of(event))
    for fact in facts:
        yield from _section(fact)
    plain = [fact for fact in facts if isinstance(fact.value, str)]
    if plain:
        yield BLANK
    for fact in plain:
        yield piece(f"{fact.path}: ", Tone.DIM), piece(str(fact.value))


def _step_lines(step: Step) -> Iterator[Line]:
    kind = step.kind.replace("_", " ")
    yield (
        Piece(f"step {step.seq} ", Tone.DIM),
        Piece(f"{kind} "),
        piece(f"{step.name} ", Tone.STRONG),
        outcome_piece(step.outcome),
    )
    if step.summary:
        yield (piece(_INDENT + step.summary, Tone.NOTE),)
    yield (Piece(_INDENT + " · ".join(_step_figures(step)), Tone.DIM),)
    for attempt in step.attempts:
        yield _attempt_line(attempt)


def _step_figures(step: Step) -> Iterator[str]:
    if step.closed_at is not None:
        yield f"took {figures.duration(step.duration_ns)}"
    if step.attempt_count:
        yield f"{step.attempt_count} attempt{'s' if step.attempt_count > 1 else ''}"
    if step.started_at is not None and step.attempt_count == 1:
        yield f"queued {figures.duration(elapsed_ns(step.scheduled_at, step.started_at))}"
    yield f"id {safe_text(step.id)}"


def _attempt_line(attempt: Attempt) -> Line:
    took = elapsed_ns(attempt.started_at, attempt.ended_at)
    words = [
        Piece(f"{_INDENT}attempt {attempt.number} ", Tone.DIM),
        outcome_piece(attempt.outcome),
        Piece(f" {figures.duration(took)}", Tone.DIM),
    ]
    if attempt.failure is not None:
        root = attempt.failure.root
        words.append(piece(f" {root.type or root.kind}: {root.message}", Tone.BAD))
    return tuple(words)


def _section(fact: Fact) -> Iterator[DetailLine]:
    """A payload or a failure under a heading of its own."""
    if isinstance(fact.value, Payload):
        shown = payload_text(fact.value)
        yield BLANK
        yield piece(f"{fact.path} ", Tone.NOTE), piece(shown.about, Tone.DIM)
        for line in shown.lines:
            yield Code(line)
    elif isinstance(fact.value, FailureMessage):
        failure = failure_from(fact.value)
        if failure is not None:
            yield BLANK
            yield (piece(fact.path, Tone.NOTE),)
            yield from failure_lines(failure)
        for inner in payloads_in(fact.value):
            yield from _section(Fact(f"{fact.path}.{inner.path}", inner.value))


def _text_lines(text: str) -> list[str]:
    # Workers on Windows end the lines of a stack trace as Windows does.
    text = text.replace("\r\n", "\n")
    return safe_text(text, multiline=True).expandtabs(4).split("\n") if text else []


def _coloured(text: str) -> Line:
    """A line of JSON, or of a part of it, with its key told from its value."""
    key = _KEY.fullmatch(text)
    if key is None:
        return (Piece(text),)
    return Piece(key[1]), Piece(key[2], Tone.NOTE), Piece(f": {key[3]}")
