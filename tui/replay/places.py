"""Lists of places in a run: what was found, what was paid for, what was waited for.

Each line leads to an event. They are made off the event loop, from the model of the run and nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from replayer.alignment import Entry
from replayer.history import iter_payloads
from tracer.genai.prices import SOURCE, price_version
from tracer.model import Step, Wait, elapsed_ns
from tui import figures
from tui.event_words import event_line
from tui.pieces import Line, Piece, Tone, cell, figure, marked, piece, text_of
from tui.replay.book import Book
from tui.replay.timeline import short_count, shown_name
from tui.text import safe_text

_AROUND: Final = 40
_NAME: Final = 34
_BARS: Final = "▁▂▃▄▅▆▇█"


class PlaceLine(NamedTuple):
    """A line, and where it leads."""

    line: Line
    position: int | None
    """`None` for headings."""


def find_places(book: Book, needle: str) -> Iterator[PlaceLine]:
    """Events whose line or whose payloads have a text, ignoring case."""
    lowered = needle.lower()
    sought = lowered.encode(errors="replace")
    for position, event in enumerate(book.walk.events):
        line = event_line(book.walk, position)
        if lowered in text_of(line).lower():
            yield PlaceLine(marked(line, needle), position)
        for slot, _, payload in iter_payloads(event):
            at = payload.data.lower().find(sought)
            if at >= 0:
                start = max(0, at - _AROUND)
                around = payload.data[start : at + len(sought) + 2 * _AROUND]
                text = safe_text(around.decode(errors="replace"))
                found = marked((Piece(text),), needle)
                head = figure(str(event.event_id), 7, Tone.DIM), piece(f"  {slot}  ", Tone.NOTE)
                yield PlaceLine((*head, *found), position)


def cost_places(book: Book) -> list[PlaceLine]:
    """What models cost, by model, by step and by turn."""
    calls = [entry for entry in book.entries if entry.is_model_call]
    if not calls:
        text = "This run calls no model that its history or its spans tell of."
        return [PlaceLine((Piece(text, Tone.DIM),), None)]
    lines: list[PlaceLine] = [PlaceLine(_cost_heading(), None)]
    groups: tuple[tuple[str, Callable[[Entry], str]], ...] = (
        ("by model", lambda entry: entry.model or "unknown model"),
        ("by step", shown_name),
        ("by turn", lambda entry: f"turn {entry.turn}"),
    )
    for title, key in groups:
        lines.append(PlaceLine((Piece(title, Tone.STRONG),), None))
        lines += _grouped(book, calls, key)
    lines.append(PlaceLine((Piece("total", Tone.STRONG),), None))
    lines += _grouped(book, calls, lambda _entry: "all calls")
    lines.append(PlaceLine((Piece("so far  ", Tone.DIM), _sparkline(calls)), None))
    about = f"prices of the day of each call, {SOURCE} {price_version() or ''}; – is unknown, not 0"
    lines.append(PlaceLine((Piece(about, Tone.DIM),), None))
    return lines


def _cost_heading() -> Line:
    titles = ("calls", "tokens in", "out", "cost", "priced")
    return (cell("", _NAME), *(figure(title, 11, Tone.DIM) for title in titles))


def _grouped(
    book: Book, calls: Sequence[Entry], key: Callable[[Entry], str]
) -> Iterator[PlaceLine]:
    groups: dict[str, list[Entry]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    for name, inside in groups.items():
        costs = [call.cost_usd for call in inside if call.cost_usd is not None]
        cost = figures.money(sum(costs)) if costs else figures.UNKNOWN
        line = (
            cell(f"  {name}", _NAME),
            figure(figures.count(len(inside)), 11),
            figure(_tokens(call.input_tokens for call in inside), 11),
            figure(_tokens(call.output_tokens for call in inside), 11),
            figure(cost, 11, Tone.NOTE),
            figure(f"{len(costs)}/{len(inside)}", 11, Tone.DIM),
        )
        yield PlaceLine(line, book.position_of(inside[0]))


def _tokens(counts: Iterator[int | None]) -> str:
    known = [count for count in counts if count is not None]
    return short_count(sum(known)) if known else figures.UNKNOWN


def _sparkline(calls: Sequence[Entry]) -> Piece:
    total = 0.0
    sums = [total := total + (call.cost_usd or 0) for call in calls]
    step = max(1, len(sums) // 60)
    last = len(_BARS) - 1
    return Piece(
        "".join(_BARS[round(each / (total or 1) * last)] for each in sums[::step]), Tone.NOTE
    )


def wait_places(book: Book) -> list[PlaceLine]:
    """What the run waits for now, then what it waited for."""
    run = book.walk.run
    lines: list[PlaceLine] = []
    failing = [task for task in run.tasks if task.failure is not None]
    if run.is_stuck and failing:
        count = figures.counted(run.failed_task_streak, "time")
        lines.append(
            PlaceLine((Piece(f"✗ STUCK: its workflow task failed {count}", Tone.BAD),), None)
        )
        root = failing[-1].failure.root if failing[-1].failure is not None else None
        if root is not None:
            text = f"  {root.type or root.kind}: {root.message}"
            lines.append(
                PlaceLine(
                    (piece(text, Tone.BAD),), book.positions.get(failing[-1].closed_event_id or 0)
                )
            )
    lines += [_open_step(book, step) for step in run.steps if step.is_open and not run.is_closed]
    lines += [_wait(book, wait) for wait in run.waits]
    if not lines:
        text = "This run never stood still, and waits for nothing."
        lines.append(PlaceLine((Piece(text, Tone.DIM),), None))
    return lines


def _open_step(book: Book, step: Step) -> PlaceLine:
    since = elapsed_ns(step.scheduled_at, book.walk.run.last_event_at or step.scheduled_at)
    line = (
        Piece("… waits for ", Tone.NOTE),
        piece(f"{step.kind.replace('_', ' ')} {step.name or step.id}", Tone.STRONG),
        Piece(f"  since {figures.duration(since)}", Tone.DIM),
        Piece(f"  ↻{step.attempt_count}" if step.attempt_count > 1 else "", Tone.WARN),
    )
    return PlaceLine(line, book.positions.get(step.scheduled_event_id or 0))


def _wait(book: Book, wait: Wait) -> PlaceLine:
    woken = wait.woken_by.value.replace("_", " ") if wait.woken_by is not None else ""
    by = f" by {wait.woken_by_identity}" if wait.woken_by_identity else ""
    line = (
        Piece("✓ " if woken else "… ", Tone.GOOD if woken else Tone.NOTE),
        figure(figures.duration(wait.duration_ns) if woken else "open", 8),
        piece(f"  {wait.label or 'a wait'}", Tone.STRONG),
        piece(
            f"  ended by {woken} {wait.woken_by_name}{by}" if woken else "  nobody came yet",
            Tone.DIM,
        ),
        Piece("  human" if wait.is_human else "", Tone.NOTE),
    )
    event = wait.closed_event_id or wait.opened_event_id or wait.task_event_id
    return PlaceLine(line, book.positions.get(event or 0))
