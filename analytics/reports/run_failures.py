"""What failed in a run, each fault once, with its cause and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from analytics.figures import counted, duration
from analytics.reports.run_facts import RunFacts
from analytics.reports.words import Block, Column, Section, Table
from tracer.model import Failure, Outcome, fingerprint

__all__ = ["failures_section"]

_GROUPS: Final = 50
_BLOCKS: Final = 12
_MESSAGE: Final = 400
_STACK: Final = 8_000


@dataclass(slots=True)
class _Group:
    """Failures of one fingerprint."""

    name: str
    example: Failure
    where: list[str] = field(default_factory=list)
    count: int = 0
    first_at: int | None = None


def failures_section(facts: RunFacts) -> Section:
    """The failures of a run by fingerprint, with the chains that led to them."""
    groups: dict[str, _Group] = {}
    for where, at, failure in _all(facts):
        name = fingerprint(failure)
        group = groups.setdefault(name, _Group(name, failure, first_at=at))
        group.count += 1
        if where not in group.where:
            group.where.append(where)
        # The longest chain tells most.
        if len(failure.chain) > len(group.example.chain) or not group.example.root.stack_trace:
            group.example = failure if failure.root.stack_trace else group.example
    if not groups:
        return Section("failures", "Failures", empty="Nothing failed.")
    found = sorted(groups.values(), key=lambda group: -group.count)
    start = facts.run.started_at or 0
    table = Table(
        (
            Column("failure"),
            Column("message", is_long=True),
            Column("where", is_long=True),
            Column("times", right=True),
            Column("first after", right=True),
            Column("fingerprint", is_code=True),
        ),
        [_row(group, start) for group in found[:_GROUPS]],
        total=len(found),
        which="the most frequent",
    )
    blocks = [
        Block(f"{_name(group.example)}: chain and stack traces", _chain(group.example))
        for group in found[:_BLOCKS]
    ]
    lead = (
        f"{counted(sum(group.count for group in found), 'failure')} of "
        f"{counted(len(found), 'kind')}. Failures that differ in ids and numbers only are one kind."
    )
    return Section("failures", "Failures", lead, tables=[table], blocks=blocks)


def _row(group: _Group, start: int) -> tuple[str, ...]:
    root = group.example.root
    more = f" and {len(group.where) - 3} more" if len(group.where) > 3 else ""
    return (
        _name(group.example),
        root.message[:_MESSAGE],
        ", ".join(group.where[:3]) + more,
        f"{group.count:,}",
        "" if group.first_at is None else f"+{duration(max(group.first_at - start, 0))}",
        group.name,
    )


def _name(failure: Failure) -> str:
    return failure.root.type or failure.root.kind


def _all(facts: RunFacts) -> Iterator[tuple[str, int | None, Failure]]:
    """Each failure where it began: not again where a step or the run only passed it on."""
    run = facts.run
    seen: set[str] = set()
    for step in run.steps:
        attempts, _ = facts.attempts_of(step)
        found = [each for each in attempts if each.failure is not None]
        if step.outcome in (Outcome.FAILED, Outcome.TIMED_OUT) and step.failure is not None:
            # The step's own account of its last attempt has the stack trace and the chain.
            found = [each for each in found if each.outcome is None or each is not attempts[-1]]
            seen.add(fingerprint(step.failure))
            yield step.name, step.closed_at, step.failure
        for attempt in found:
            if attempt.failure is not None:
                seen.add(fingerprint(attempt.failure))
                yield step.name, attempt.ended_at or step.started_at, attempt.failure
    for task in run.tasks:
        if task.failure is not None:
            seen.add(fingerprint(task.failure))
            yield "workflow task", task.closed_at, task.failure
    if run.failure is not None and fingerprint(run.failure) not in seen:
        yield "the run", run.closed_at, run.failure


def _chain(failure: Failure) -> str:
    lines = []
    for depth, link in enumerate(failure.chain):
        lead = "caused by " if depth else ""
        lines.append(f"{lead}{link.type or link.kind}: {link.message[:_STACK]}")
        facts = [link.kind] if link.type else []
        facts += ["not retryable"] if link.non_retryable else []
        facts += ["encrypted"] if link.encoded else []
        facts += [f"retry state {link.retry_state}"] if link.retry_state else []
        if facts:
            lines.append("  " + " · ".join(facts))
        if link.stack_trace:
            lines.append(link.stack_trace[:_STACK].rstrip("\n"))
            if len(link.stack_trace) > _STACK:
                lines.append(f"… {len(link.stack_trace) - _STACK:,} more characters")
    return "\n".join(lines)
