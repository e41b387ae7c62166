"""From what a driver did to the report that people read."""

from __future__ import annotations

from replayer.fork._plans import Plan, input_text
from replayer.fork._trail import Told, Trail
from replayer.fork.changes import Changes
from replayer.fork.points import ForkPoint
from replayer.fork.report import AnswerSource, ForkReport, ForkRow
from replayer.fork.script import Script
from tracer.model import Run


def report_of(
    script: Script, point: ForkPoint, changes: Changes, trail: Trail, fork: Run
) -> ForkReport:
    """Write the report.

    Args:
        script: The recording.
        point: Where the fork leaves it.
        changes: What was changed.
        trail: What the driver did.
        fork: The model of the fork's stored history.
    """
    rows = [(plan.asked_at, _row_of_plan(plan)) for plan in trail.plans]
    rows += [(told.at, _row_of_told(told)) for told in trail.told]
    rows.sort(key=lambda each: each[0])
    return ForkReport(
        point=str(point),
        changes=str(changes),
        status=fork.status.value,
        stopped=trail.stopped,
        reason=trail.reason,
        rows=tuple(row for _, row in rows),
        notes=(*trail.notes, *_notes(script, trail, fork)),
        parted_at=trail.parted_at,
    )


def _row_of_plan(plan: Plan) -> ForkRow:
    is_open = not plan.is_delivered
    outcome = "open" if is_open else "completed" if plan.ending is None else plan.ending.outcome
    source, recorded = plan.source, plan.recorded
    shown = input_text(plan.asked.input) if source is AnswerSource.UNANSWERED else ""
    tries = f"{plan.attempts} attempts" if plan.attempts > 1 else ""
    return ForkRow(
        kind=plan.asked.kind.value,
        name=plan.asked.name,
        id=plan.asked.id,
        answer=source,
        outcome=str(outcome),
        recorded_event_id=recorded.closed_event_id if recorded is not None else None,
        input=shown,
        note="; ".join(filter(None, [plan.note, tries])),
    )


def _row_of_told(told: Told) -> ForkRow:
    event_id = told.recorded.event_id if told.recorded is not None else None
    return ForkRow(told.kind, told.name, "", told.source, "", event_id)


def _notes(script: Script, trail: Trail, fork: Run) -> list[str]:
    notes = [
        f"{item.kind.replace('_', ' ')} {item.name} (event {item.event.event_id}) was not "
        "delivered: the fork did not come to its place"
        for item in trail.undelivered
    ]
    old = {patch.id for patch in script.run.patches}
    new = {patch.id for patch in fork.patches}
    if old != new:
        notes.append(
            f"patches: the recording took {_listed(old)}, the fork took {_listed(new)} "
            "(a fork is a new run, every patched() in its way is true)"
        )
    return notes


def _listed(ids: set[str]) -> str:
    return ", ".join(sorted(ids)) or "none"
