"""The report on one run: where its time and money went, what failed and why, what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from analytics.critical_path import CriticalPath, critical_path
from analytics.figures import UNKNOWN, count, counted, duration, moment, money, size
from analytics.reports.run_cost import cost_section
from analytics.reports.run_facts import RunFacts, step_calls
from analytics.reports.run_failures import failures_section
from analytics.reports.run_tables import decisions_section, steps_section, waits_section
from analytics.reports.run_time import path_section, time_section
from analytics.reports.run_waiting import notes_of
from analytics.reports.waterfall import waterfall
from analytics.reports.words import Fact, Page, Section, Tone
from replayer.alignment import StepCalls
from tracer.limits import DEFAULT_LIMITS
from tracer.model import Outcome, Run, RunStatus

__all__ = ["run_report"]

_TONES: Final = {
    RunStatus.COMPLETED: Tone.GOOD,
    RunStatus.RUNNING: Tone.PLAIN,
    RunStatus.CONTINUED_AS_NEW: Tone.PLAIN,
    RunStatus.CANCELED: Tone.WARN,
}


def run_report(facts: RunFacts) -> Page:
    """The report on one run."""
    run = facts.run
    critical = critical_path(run)
    calls = {step.seq: call for step in run.steps if (call := step_calls(facts, step)) is not None}
    sections = [
        _timeline(facts, critical),
        path_section(run, critical),
        time_section(facts),
        cost_section(run, calls),
        failures_section(facts),
        decisions_section(facts),
        waits_section(run),
        steps_section(facts, calls, critical),
    ]
    stuck = " · stuck" if run.is_stuck else ""
    return Page(
        kind="run",
        title=run.workflow_type or "(no type)",
        subtitle=str(run.key),
        status=f"{run.status.value.replace('_', ' ').lower()}{stuck}",
        status_tone=Tone.BAD if run.is_stuck else _TONES.get(run.status, Tone.BAD),
        facts=list(_heading(facts)),
        figures=list(_figures(facts, calls)),
        notes=list(notes_of(facts)),
        sections=[section for section in sections if section is not None],
        counts={"runs": 1, "steps": len(run.steps), "events": run.event_count},
    )


def _heading(facts: RunFacts) -> Iterator[Fact]:
    run = facts.run
    told = {
        "started": moment(run.started_at),
        "ended": moment(run.closed_at) if run.closed_at else "",
        "last event": "" if run.is_closed else moment(run.last_event_at),
        "task queue": run.task_queue,
        "build": run.build_id,
        "sdk": f"{run.sdk_name} {run.sdk_version}".strip(),
        "ended by": run.close_identity,
        "reason": run.close_reason,
        "continues": run.continued_from_run_id,
        "continued by": run.continued_to_run_id,
        "reset from": run.reset_from_run_id,
        "read from": "" if facts.origin == str(run.key) else facts.origin,
    }
    return (Fact(name, value) for name, value in told.items() if value)


def _figures(facts: RunFacts, calls: Mapping[int, StepCalls]) -> Iterator[Fact]:
    run = facts.run
    yield Fact("Duration", duration(run.duration_ns), "" if run.is_closed else "so far")
    failed = sum(step.outcome in (Outcome.FAILED, Outcome.TIMED_OUT) for step in run.steps)
    open_ones = sum(step.is_open for step in run.steps) if not run.is_closed else 0
    about = [f"{failed:,} failed"] * bool(failed) + [f"{open_ones:,} open"] * bool(open_ones)
    yield Fact("Steps", count(len(run.steps)), ", ".join(about), Tone.BAD if failed else Tone.PLAIN)
    tries = sum(step.attempt_count for step in run.steps)
    again = sum(max(step.attempt_count - 1, 0) for step in run.steps)
    yield Fact(
        "Attempts",
        count(tries),
        f"{again:,} of them retries" if again else "no retries",
        Tone.WARN if again else Tone.PLAIN,
    )
    yield _cost_fact(calls)
    people = [wait for wait in run.waits if wait.is_human]
    waited = sum(wait.duration_ns or 0 for wait in people)
    if people:
        yield Fact("Waited for people", duration(waited), counted(len(people), "time"))
    yield _history(run)


def _cost_fact(calls: Mapping[int, StepCalls]) -> Fact:
    if not calls:
        return Fact("Model cost", UNKNOWN, "no model call is known")
    priced = [call.cost_usd for call in calls.values() if call.cost_usd is not None]
    total = sum(priced) if priced else None
    coverage = f"{len(priced):,} of {counted(len(calls), 'calling step')} priced"
    tone = Tone.PLAIN if len(priced) == len(calls) else Tone.WARN
    return Fact("Model cost", money(total), coverage, tone)


def _history(run: Run) -> Fact:
    events = max(run.event_count, run.history_length or 0)
    uses = list(DEFAULT_LIMITS.of_history(events, run.history_size_bytes))
    fullest = max((use.used / use.maximum for use in uses), default=0.0)
    written = f", {size(run.history_size_bytes)}" if run.history_size_bytes else ""
    tone = Tone.WARN if any(DEFAULT_LIMITS.is_near(use) for use in uses) else Tone.PLAIN
    return Fact("History", f"{events:,} events", f"{fullest:.1%} of its limit{written}", tone)


def _timeline(facts: RunFacts, critical: CriticalPath) -> Section:
    drawn = waterfall(facts, critical)
    lead = (
        "Each lane is a step or a wait; bars are attempts, hatched where nothing was at work. "
        "◆ marks what the duration hangs on."
    )
    if drawn is None:
        empty = "Nothing happened yet: the history has no step and no time."
        return Section("timeline", "Timeline", empty=empty, on_card=True)
    return Section(
        "timeline", "Timeline", lead, [drawn.chart], left_out=drawn.left_out, on_card=True
    )
