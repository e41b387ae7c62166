"""The entries of one side, in the order of the workflow's logic.

That order is the history's: what was asked for or arrived first comes first, whenever it was
answered. A decision comes before whatever the same activation went on to ask for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache, partial

from replayer.alignment.words import Decision, Entry, EntryKind, Side
from replayer.model_calls import StepModelCall, model_call_of
from tracer.model import (
    Failure,
    RetryPolicy,
    Run,
    RunStatus,
    Signal,
    Step,
    StepKind,
    Update,
    Wait,
    elapsed_ns,
)

__all__ = ["entries_of", "runs_of"]

_UNTIMED = frozenset({StepKind.SIGNAL_EXTERNAL, StepKind.CANCEL_EXTERNAL})
"""Asked for and done: how long the server took says nothing."""

_LAST = float("inf")
_KINDS = {kind: EntryKind(kind.value) for kind in StepKind}


def runs_of(side: Side) -> list[Side]:
    """The runs of a chain, first to last."""
    chain = [side]
    while (following := chain[-1].next) is not None:
        chain.append(following)
    return chain


def entries_of(side: Side) -> list[Entry]:
    """What happened on one side."""
    entries: list[Entry] = []
    chain = runs_of(side)
    for index, each in enumerate(chain):
        found = sorted(_placed(each), key=lambda placed: placed[0])
        is_continued = index + 1 < len(chain)
        for _, entry in found:
            entry.run = index
            # In a chain, one entry stands for the end of a run and the start of the next.
            if not (is_continued and entry.kind is EntryKind.END) and not (
                index and entry.kind is EntryKind.START
            ):
                entries.append(entry)
        if is_continued:
            entries.append(_continuation(each.run, chain[index + 1].run, index))
    _number(entries)
    return entries


def _number(entries: list[Entry]) -> None:
    turn = 0
    for position, entry in enumerate(entries):
        turn += entry.is_model_call
        entry.position, entry.turn = position, turn


def _placed(side: Side) -> Iterator[tuple[tuple[float, int], Entry]]:
    """Entries with their place: an event id, and a number for those that share it."""
    run = side.run
    yield (0, 0), _start(run)
    for step in run.steps:
        yield (step.scheduled_event_id or _LAST, step.seq), _step(side, step)
    for signal in run.signals:
        yield (signal.event_id or _LAST, 0), _signal(signal)
    for update in run.updates:
        yield (_update_event(run, update), 0), _update(update)
    unnamed = {step.name for step in run.steps if step.kind is StepKind.TIMER and not step.summary}
    for wait in run.waits:
        # Behind the timer that limits it, which has a higher id than the task that opened it.
        yield ((wait.closed_event_id or _LAST) - 0.5, 0), _wait(wait, unnamed)
    yield from _decisions(side)
    yield (_LAST, 1), _end(run)


def _decisions(side: Side) -> Iterator[tuple[tuple[float, int], Entry]]:
    tasks = [task for task in side.run.tasks if task.started_at is not None and task.closed_at]
    starts = [task.started_at or 0 for task in tasks]
    for number, decision in enumerate(side.decisions):
        index = min(bisect_left(starts, decision.at), len(tasks) - 1)
        event_id = tasks[index].closed_event_id if tasks else None
        # What the activation asked for has higher ids than its completion.
        yield ((event_id or 0) + 0.5, number), _decision(decision, event_id)


def _decision(decision: Decision, event_id: int | None) -> Entry:
    return Entry(
        EntryKind.BRANCH,
        f"{decision.qualname}: {decision.condition}",
        0,
        event_id,
        decision.at,
        id=decision.place,
        outcome=str(decision.outcome).lower(),
        decision=decision,
    )


def _start(run: Run) -> Entry:
    return Entry(
        EntryKind.START,
        run.workflow_type,
        0,
        run.first_event_id,
        run.started_at,
        id=run.key.workflow_id,
        input=run.input,
        policy=_policy(run.timeouts, run.retry_policy, ""),
    )


def _end(run: Run) -> Entry:
    end = run.closed_at or run.last_event_at
    return Entry(
        EntryKind.END,
        run.workflow_type,
        0,
        run.last_event_id,
        end,
        id=run.key.workflow_id,
        answer_event_id=run.last_event_id,
        outcome=_status(run),
        failure=run.failure or _stuck_failure(run),
        output=run.result,
        attempts=run.attempt,
        duration_ns=run.duration_ns,
        summary=run.close_reason,
    )


def _status(run: Run) -> str:
    if run.is_stuck:
        return "stuck"
    return "open" if run.status is RunStatus.RUNNING else run.status.lower()


def _stuck_failure(run: Run) -> Failure | None:
    """Why the workflow task of a stuck run fails."""
    if not run.is_stuck:
        return None
    failures = (task.failure for task in reversed(run.tasks) if task.failure is not None)
    return next(failures, None)


def _continuation(run: Run, following: Run, index: int) -> Entry:
    return Entry(
        EntryKind.CONTINUE,
        following.workflow_type,
        0,
        run.last_event_id,
        run.closed_at,
        id=following.key.run_id,
        outcome=run.status.lower(),
        failure=run.failure,
        input=following.input,
        run=index,
    )


def _step(side: Side, step: Step) -> Entry:
    run = side.run
    entry = Entry(
        _KINDS[step.kind],
        step.name,
        0,
        step.scheduled_event_id,
        step.scheduled_at,
        id=step.id,
        seq=step.seq,
        answer_event_id=step.closed_event_id,
        outcome=step.outcome.value if step.outcome is not None else "open",
        failure=step.failure,
        input=step.input,
        output=step.result,
        attempts=step.attempt_count,
        duration_ns=None if step.kind in _UNTIMED else step.duration_ns,
        summary=step.summary,
        policy=_policy(
            step.timeouts,
            step.retry_policy,
            "" if step.task_queue == run.task_queue else step.task_queue,
        ),
        child_run_id=step.child_run_id,
    )
    if step.kind is StepKind.TIMER:
        entry.name = step.summary
    known = side.calls.get((step.kind, step.id, step.occurrence)) if side.calls else None
    if known is not None:
        _add_call(entry, known.model, known.input_tokens, known.output_tokens)
        entry.price = partial(_same, known.cost_usd)
    elif (call := model_call_of(step)) is not None:
        _add_call(entry, call.model, call.usage.input_tokens, call.usage.output_tokens)
        entry.price = _Price(call)
    return entry


def _add_call(
    entry: Entry, model: str, input_tokens: int | None, output_tokens: int | None
) -> None:
    entry.is_model_call, entry.model = True, model
    entry.input_tokens, entry.output_tokens = input_tokens, output_tokens


def _same(usd: float | None) -> float | None:
    return usd


class _Price:
    """Works out what a call cost, once."""

    __slots__ = ("_call", "_is_known", "_usd")

    def __init__(self, call: StepModelCall) -> None:
        self._call, self._is_known = call, False
        self._usd: float | None = None

    def __call__(self) -> float | None:
        if not self._is_known:
            cost = self._call.cost()
            self._usd, self._is_known = None if cost is None else float(cost.total_usd), True
        return self._usd


def _signal(signal: Signal) -> Entry:
    return Entry(
        EntryKind.SIGNAL,
        signal.name,
        0,
        signal.event_id,
        signal.at,
        outcome="received",
        answer_event_id=signal.event_id,
        input=signal.input,
    )


def _update(update: Update) -> Entry:
    begun = update.admitted_at or update.accepted_at
    return Entry(
        EntryKind.UPDATE,
        update.name,
        0,
        update.accepted_event_id,
        begun,
        id=update.id,
        outcome=update.outcome.value if update.outcome is not None else "open",
        answer_event_id=update.accepted_event_id,
        failure=update.failure,
        input=update.input,
        output=update.result,
        duration_ns=elapsed_ns(begun, update.completed_at),
    )


def _update_event(run: Run, update: Update) -> float:
    """Where an update stands: an admitted one was never given an event of its own."""
    if update.accepted_event_id is not None:
        return update.accepted_event_id
    at = update.admitted_at or update.completed_at or 0
    after = (task.closed_event_id for task in run.tasks if (task.closed_at or 0) >= at)
    return next(filter(None, after), _LAST)


def _wait(wait: Wait, unnamed: set[str]) -> Entry:
    woken_by = wait.woken_by.value if wait.woken_by is not None else "open"
    return Entry(
        EntryKind.WAIT,
        "" if wait.label in unnamed else wait.label,  # A timer's id means nothing.
        0,
        wait.opened_event_id,
        wait.opened_at,
        answer_event_id=wait.closed_event_id,
        outcome=woken_by,
        duration_ns=wait.duration_ns,
        summary="a person answered" if wait.is_human else "",
    )


def _policy(
    timeouts: dict[str, float], retry: RetryPolicy | None, task_queue: str
) -> tuple[tuple[str, str], ...]:
    return _policy_of(tuple(timeouts.items()), retry, task_queue)


# The steps of a run share a few policies.
@lru_cache(maxsize=256)
def _policy_of(
    timeouts: tuple[tuple[str, float], ...], retry: RetryPolicy | None, task_queue: str
) -> tuple[tuple[str, str], ...]:
    told = {f"timeout {name.replace('_', ' ')}": f"{seconds:g}s" for name, seconds in timeouts}
    if retry is not None:
        told["retries"] = _retries(retry)
    if task_queue:
        told["task queue"] = task_queue
    return tuple(sorted(told.items()))


def _retries(retry: RetryPolicy) -> str:
    intervals = (retry.initial_interval, retry.maximum_interval)
    first, last = ("–" if each is None else f"{each:g}s" for each in intervals)
    limit = retry.maximum_attempts or "without limit"
    never = f", never {', '.join(retry.non_retryable_error_types)}"
    return (
        f"{limit}, {first} × {retry.backoff_coefficient:g} up to {last}"
        f"{never if retry.non_retryable_error_types else ''}"
    )
