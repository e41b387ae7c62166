"""The report on one run: where its time and money went, what failed and why, what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from analytics.critical_path import CriticalPath, critical_path
from analytics.figures import UNKNOWN, count, counted, duration, moment, money, size
from analytics.reports.charts import DOLLARS, axis, lanes_axis, layout, rows, series_look
from analytics.reports.run_facts import RunFacts, step_calls
from analytics.reports.run_failures import failures_section
from analytics.reports.run_waiting import notes_of
from analytics.reports.waterfall import end_of, waterfall
from analytics.reports.words import Chart, Column, Fact, Page, Section, Table, Tone
from replayer.alignment import Decision, StepCalls
from tracer.limits import DEFAULT_LIMITS
from tracer.model import Outcome, Run, RunStatus, Step

__all__ = ["run_report"]

_STEPS: Final = 200
_DECISIONS: Final = 100
_MESSAGES: Final = 100
_BARS: Final = 20

_TONES: Final = {
    RunStatus.COMPLETED: Tone.GOOD,
    RunStatus.RUNNING: Tone.PLAIN,
    RunStatus.CONTINUED_AS_NEW: Tone.PLAIN,
    RunStatus.CANCELED: Tone.WARN,
}
_PARTS: Final = {
    "activity": "activities at work",
    "child": "child workflows",
    "failed_attempt": "failed attempts",
    "backoff": "backoff between attempts",
    "retry": "earlier attempts and backoff",
    "queue": "in queues",
    "workflow": "workflow code",
    "human_wait": "waiting for a person",
    "wait": "waiting for a message",
    "timer": "timers",
    "other": "not explained",
}


def run_report(facts: RunFacts) -> Page:
    """The report on one run."""
    run = facts.run
    critical = critical_path(run)
    calls = {step.seq: call for step in run.steps if (call := step_calls(facts, step)) is not None}
    sections = [
        _timeline(facts, critical),
        _path(run, critical),
        _time(facts),
        _cost(run, calls),
        failures_section(facts),
        _decisions(facts),
        _waits(run),
        _steps(facts, calls, critical),
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


def _figures(facts: RunFacts, calls: dict[int, StepCalls]) -> Iterator[Fact]:
    run = facts.run
    end = end_of(run)
    timed = run.started_at is not None and end is not None
    took = (end or 0) - (run.started_at or 0) if timed else None
    yield Fact("Duration", duration(took), "" if run.is_closed else "so far")
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


def _cost_fact(calls: dict[int, StepCalls]) -> Fact:
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


@dataclass(frozen=True, slots=True)
class _Stop:
    """Something on the critical path."""

    name: str
    start: int
    end: int
    gap: int
    what: str


def _path(run: Run, critical: CriticalPath) -> Section:
    stops = [
        _Stop(step.name, step.scheduled_at, step.closed_at or 0, critical.steps[step.seq], "step")
        for step in run.steps
        if step.seq in critical.steps
    ] + [
        _Stop(
            wait.label or "a message",
            wait.opened_at,
            wait.closed_at or 0,
            critical.waits[wait.occurrence],
            "wait",
        )
        for wait in run.waits
        if wait.occurrence in critical.waits
    ]
    end = end_of(run)
    if not stops or run.started_at is None or end is None:
        return Section("path", "Critical path", empty="No step ended yet, so there is no path.")
    total = max(end - run.started_at, 1)
    ordered = sorted(stops, key=lambda stop: stop.start)
    longest = sorted(ordered, key=lambda stop: stop.end - stop.start, reverse=True)[:_STEPS]
    shown = sorted(longest, key=lambda stop: stop.start)
    held = sum(stop.end - stop.start for stop in stops)
    lead = (
        f"To end sooner, the run needs these to be faster: {counted(len(stops), 'step or wait')} "
        f"that took {duration(held)} of its {duration(total)}. What ran beside them did not "
        "hold it up."
    ).replace("step or waits", "steps and waits")
    table = Table(
        (
            Column("held up by"),
            Column("is a"),
            Column("from", right=True),
            Column("for", right=True),
            Column("of the run", right=True),
            Column("gap before", right=True),
        ),
        [
            (
                stop.name,
                stop.what,
                f"+{duration(stop.start - run.started_at)}",
                duration(stop.end - stop.start),
                f"{(stop.end - stop.start) / total:.1%}",
                duration(stop.gap),
            )
            for stop in shown
        ],
        total=len(stops),
        which="the longest",
    )
    return Section("path", "Critical path", lead, tables=[table])


def _time(facts: RunFacts) -> Section | None:
    parts = [(name, value) for name, value in facts.time_parts.items() if value > 0]
    if not parts:
        return None
    total = sum(value for _, value in parts)
    names = [_PARTS.get(name, name.replace("_", " ")) for name, _ in parts]
    values = [value for _, value in parts]
    texts = [f"{duration(round(value * 1e9))} ({value / total:.0%})" for value in values]
    chart = Chart(
        "time",
        [rows(names, values, texts, series_look(0, "time"))],
        layout(
            meta={"outside": True},
            height=86 + 26 * len(parts),
            xaxis=axis("seconds", range=[0, 1.35 * max(values)]),
            yaxis=lanes_axis(names),
        ),
        f"Where the {duration(round(total * 1e9))} of the run went.",
    )
    table = Table(
        (Column("part"), Column("time", right=True), Column("share", right=True)),
        [
            (name, duration(round(value * 1e9)), f"{value / total:.1%}")
            for name, value in zip(names, values, strict=True)
        ],
    )
    lead = "The parts add up to the duration: each instant counts once."
    return Section("time", "Where the time went", lead, [chart], [table], is_paired=True)


def _cost(run: Run, calls: dict[int, StepCalls]) -> Section:
    title = "Cost by step"
    if not calls:
        empty = (
            "No model call is known. Calls are known from GenAI spans (`retrospan collect`), or "
            "from results that tell their usage."
        )
        return Section("cost", title, empty=empty)
    found = _by_step(run, calls)
    priced = [each for each in found if each.usd is not None][:_BARS]
    names, values = [each.name for each in priced], [each.usd for each in priced]
    chart = (
        Chart(
            "cost",
            [rows(names, values, [money(usd) for usd in values], series_look(0, "cost"))],
            layout(
                meta={"outside": True},
                height=86 + 26 * len(names),
                xaxis=axis(
                    "US dollars",
                    **DOLLARS,
                    range=[0, 1.25 * (max(usd or 0 for usd in values) or 1)],
                ),
                yaxis=lanes_axis(names),
            ),
            "Model cost by step.",
        )
        if priced
        else None
    )
    table = Table(
        (
            Column("step"),
            Column("model"),
            Column("calls", right=True),
            Column("input tokens", right=True),
            Column("output tokens", right=True),
            Column("cost", right=True),
            Column("priced", right=True),
        ),
        [
            (
                each.name,
                each.models,
                count(each.calls),
                count(each.read),
                count(each.written),
                money(each.usd),
                f"{each.priced:,} of {each.calls:,}",
            )
            for each in found[:_STEPS]
        ],
        total=len(found),
        which="the dearest",
    )
    lead = "All attempts of a step together. What has no price is not in the sum; it is not free."
    return Section("cost", title, lead, [chart] if chart else [], [table])


@dataclass(slots=True)
class _StepCost:
    name: str
    models: str = ""
    calls: int = 0
    priced: int = 0
    read: int | None = None
    written: int | None = None
    usd: float | None = None


def _by_step(run: Run, calls: dict[int, StepCalls]) -> list[_StepCost]:
    found: dict[str, _StepCost] = {}
    models: dict[str, set[str]] = {}
    for step in run.steps:
        call = calls.get(step.seq)
        if call is None:
            continue
        each = found.setdefault(step.name, _StepCost(step.name))
        models.setdefault(step.name, set()).add(call.model or UNKNOWN)
        each.calls += 1
        each.read = _sum(each.read, call.input_tokens)
        each.written = _sum(each.written, call.output_tokens)
        if call.cost_usd is not None:
            each.priced += 1
            each.usd = (each.usd or 0) + call.cost_usd
    for name, each in found.items():
        each.models = ", ".join(sorted(models[name]))
    return sorted(found.values(), key=lambda each: -(each.usd or 0))


def _sum(left: int | None, right: int | None) -> int | None:
    return left if right is None else (left or 0) + right


def _decisions(facts: RunFacts) -> Section:
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


def _waits(run: Run) -> Section:
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


def _steps(facts: RunFacts, calls: dict[int, StepCalls], critical: CriticalPath) -> Section:
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
        which="those that failed and the longest,",
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
    took = None if step.closed_at is None else step.closed_at - step.scheduled_at
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
        "" if first is None else duration(max(first - step.scheduled_at, 0)),
        duration(took),
        "" if call is None else money(call.cost_usd),
        remark[:400],
    )
