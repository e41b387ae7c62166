"""What a run did, in tables: its decisions, its waits and messages, its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from analytics.critical_path import CriticalPath
from analytics.figures import UNKNOWN, count, duration, money
from analytics.reports.run_facts import RunFacts
from analytics.reports.waterfall import end_of
from analytics.reports.words import Column, Section, Table
from replayer.alignment import Decision, StepCalls
from tracer.model import Outcome, Run, Step, elapsed_ns

__all__ = ["decisions_section", "steps_section", "waits_section"]

_STEPS: Final = 200
_DECISIONS: Final = 100
_MESSAGES: Final = 100
_REMARK: Final = 400


def decisions_section(facts: RunFacts) -> Section:
    """What the workflow's code decided, in order."""
    decisions = facts.knowledge.decisions
    title = "Branches taken"
    if not decisions:
        empty = (
            "No decision is known: a history does not tell them, only branch spans of the tracer "
            "do. `retrospan record` finds them by replaying."
        )
        return Section("branches", title, empty=empty)
    table = Table(
        (
            Column("condition", is_code=True),
            Column("came to"),
            Column("function", is_code=True),
            Column("line", right=True),
            Column("time", right=True),
            Column("because", is_code=True),
        ),
        [_decision(decision, facts.run.started_at) for decision in decisions[:_DECISIONS]],
        total=len(decisions),
        which="the first",
    )
    lead = "What the workflow's code decided, in order."
    return Section("branches", title, lead, tables=[table])


def _decision(decision: Decision, start: int | None) -> Sequence[str]:
    outcome = decision.outcome
    since = "" if start is None else f"+{duration(max(decision.at - start, 0))}"
    values = ", ".join(f"{name} = {value}" for name, value in decision.values)
    return (
        decision.condition or decision.place,
        {True: "true", False: "false"}[outcome] if isinstance(outcome, bool) else str(outcome),
        decision.qualname,
        str(decision.line or ""),
        since,
        decision.because or values,
    )


def waits_section(run: Run) -> Section:
    """When the run stood still, and what others sent it."""
    start = run.started_at or 0
    found = [
        (
            wait.opened_at,
            (
                wait.label or UNKNOWN,
                f"+{duration(wait.opened_at - start)}",
                duration(wait.duration_ns),
                "still waiting" if wait.closed_at is None else (wait.woken_by or ""),
                wait.woken_by_name,
                f"{wait.woken_by_identity}{' (a person)' if wait.is_human else ''}".strip(),
            ),
        )
        for wait in run.waits
    ]
    messages = [(s.at, "signal", s.name, s.identity) for s in run.signals]
    for update in run.updates:
        at = update.admitted_at or update.accepted_at or 0
        messages.append((at, f"update {update.outcome or 'open'}", update.name, update.identity))
    tables = []
    if found:
        columns: tuple[Column, ...] = (
            Column("waited for"),
            Column("from", right=True),
            Column("for", right=True),
            Column("ended by"),
            Column("name"),
            Column("who"),
        )
        shown = [row for _, row in found[:_MESSAGES]]
        tables.append(Table(columns, shown, "Waits", len(found), "the first"))
    if messages:
        columns = (Column("name"), Column("kind"), Column("after", right=True), Column("from"))
        rows_ = [
            (name, kind, f"+{duration(max(at - start, 0))}", who)
            for at, kind, name, who in sorted(messages)[:_MESSAGES]
        ]
        title = "Signals and updates"
        tables.append(Table(columns, rows_, title, len(messages), "the first"))
    empty = "" if tables else "The run never stood still, and nobody sent it a message."
    return Section("waits", "Waits and messages", tables=tables, empty=empty)


def steps_section(
    facts: RunFacts, calls: Mapping[int, StepCalls], critical: CriticalPath
) -> Section:
    """The steps; of many those that failed, were tried again or took longest."""
    run = facts.run
    if not run.steps:
        return Section("steps", "Steps", empty="The workflow asked for nothing yet.")
    end = end_of(run) or 0
    worst = sorted(run.steps, key=lambda step: _weight(step, end), reverse=True)[:_STEPS]
    table = Table(
        (
            Column("step"),
            Column("#", right=True),
            Column("kind"),
            Column("outcome"),
            Column("attempts", right=True),
            Column("in queue", right=True),
            Column("took", right=True),
            Column("cost", right=True),
            Column("remark", is_long=True),
        ),
        [
            _step(facts, step, calls.get(step.seq), is_critical=step.seq in critical.steps)
            for step in sorted(worst, key=lambda step: step.seq)
        ],
        total=len(run.steps),
        which="those that failed, were tried again or took longest,",
    )
    return Section("steps", "Steps", tables=[table])


def _weight(step: Step, end: int) -> tuple[bool, bool, int]:
    failed = step.outcome in (Outcome.FAILED, Outcome.TIMED_OUT)
    return failed, step.attempt_count > 1, (step.closed_at or end) - step.scheduled_at


def _step(
    facts: RunFacts, step: Step, call: StepCalls | None, *, is_critical: bool
) -> Sequence[str]:
    attempts, is_watched = facts.attempts_of(step)
    tries = count(step.attempt_count) if step.attempt_count else ""
    first = attempts[0].started_at if attempts and attempts[0].number == 1 else None
    failures = [attempt.failure for attempt in attempts if attempt.failure is not None]
    failure = step.failure or (failures[-1] if failures else None)
    remark = step.summary if step.summary != step.name else ""
    if failure is not None:
        lead = "" if step.failure is not None else "retried after "
        remark = f"{lead}{failure.root.type or failure.root.kind}: {failure.root.message}"
    return (
        f"{'◆ ' if is_critical else ''}{step.name}",
        str(step.seq),
        step.kind.replace("_", " "),
        (step.outcome or "open").replace("_", " "),
        f"{tries} (watched)" if is_watched and step.attempt_count > 1 else tries,
        "" if first is None else duration(elapsed_ns(step.scheduled_at, first)),
        duration(step.duration_ns),
        "" if call is None else money(call.cost_usd),
        remark[:_REMARK],
    )
