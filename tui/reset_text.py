"""A reset preview on paper: what runs again, at what price, and what happens to messages."""

from __future__ import annotations

from collections.abc import Iterator

from replayer.fork import Fate, ResetPreview
from tui import figures
from tui.cli.tables import Column, Row, write_line, write_table

_STEPS = (
    Column("seq", "#", right=True),
    Column("kind", "kind", spare=3),
    Column("name", "step"),
    Column("fate", "would"),
    Column("side_effect", "side effect"),
    Column("tokens", "tokens", right=True, spare=2),
    Column("cost", "cost", right=True),
    Column("duration", "took", right=True, spare=1),
    Column("note", "note", spare=4),
)
_MESSAGES = (
    Column("event_id", "event", right=True),
    Column("kind", "kind"),
    Column("name", "name"),
    Column("fate", "would"),
    Column("note", "note", spare=1),
)
_WOULD = {
    Fate.KEPT: "be kept",
    Fate.AGAIN: "run again",
    Fate.RETRIED: "be tried again",
    Fate.REAPPLIED: "be sent again",
    Fate.MAY_FAIL: "be sent again, may fail",
}


def write_preview(preview: ResetPreview) -> None:
    """Write a preview to stdout."""
    write_line(f"RESET PREVIEW  to event {preview.event_id} ({preview.event_type})")
    write_line(_summary(preview))
    if preview.again:
        write_line("\nsteps that run again")
        write_table(_STEPS, _step_rows(preview))
    if preview.messages:
        write_line("\nsignals, updates and cancel requests")
        write_table(_MESSAGES, _message_rows(preview))
    for note in preview.notes:
        write_line(f"note: {note}")


def _summary(preview: ResetPreview) -> str:
    kept = len(preview.steps) - len(preview.again)
    unpriced = f", {figures.counted(preview.unpriced, 'call')} unpriced" if preview.unpriced else ""
    return (
        f"{figures.counted(len(preview.again), 'step')} would run again, {kept:,} kept; recorded "
        f"cost {figures.money(preview.cost_usd)}, {preview.tokens:,} tokens{unpriced}"
    )


def _step_rows(preview: ResetPreview) -> Iterator[Row]:
    for step in preview.again:
        yield {
            "seq": step.seq,
            "kind": step.kind.replace("_", " "),
            "name": step.name,
            "fate": _WOULD[step.fate]
            if step.fate is not Fate.MAY_FAIL
            else "start again, may fail",
            "side_effect": f"{step.side_effect} ({step.why})",
            "tokens": step.tokens,
            "cost": figures.money(step.cost_usd),
            "duration": figures.duration(step.duration_ns),
            "note": step.note,
        }


def _message_rows(preview: ResetPreview) -> Iterator[Row]:
    for message in preview.messages:
        yield {
            "event_id": message.event_id,
            "kind": message.kind.replace("_", " "),
            "name": message.name,
            "fate": _WOULD[message.fate],
            "note": message.note,
        }
