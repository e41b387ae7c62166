"""The one state machine: facts go in, one `Run` comes out.

Two adapters feed it: `events` (a recorded history) and `activations` (a worker, live). It decides
everything that both must agree on: the order of steps, their occurrences, what an attempt is, when
the run stood still and what woke it. It never looks at a clock, and never fails on a sequence that
a server would not produce: what does not fit is recorded as far as it goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tracer.identity import RunKey
from tracer.model.failures import task_failure_kind
from tracer.model.payloads import size_of_all
from tracer.model.waits import Waits, Waker
from tracer.model.words import (
    Attempt,
    AttemptSource,
    Failure,
    Outcome,
    Patch,
    Payload,
    Run,
    RunStatus,
    Signal,
    Step,
    StepKind,
    Update,
    WokenBy,
    WorkflowTask,
)

_COUNTED_AS = {StepKind.CANCEL_EXTERNAL: StepKind.SIGNAL_EXTERNAL}
"""Steps that spans of one kind stand for share their occurrences, or they would share ids."""


class RunMachine:
    """Builds the model of one run. Feed it facts in the order in which they happened."""

    def __init__(self, key: RunKey) -> None:
        self.run = Run(key)
        self.backing_off: dict[tuple[str, int], Step] = {}
        """Local activities that wait for a timer and their next try, by type and first time."""
        self._open: dict[int, Step] = {}
        """By their place among the steps: ids may be in use twice at a time."""
        self._occurrences: Counter[tuple[str, str]] = Counter()
        self._updates: dict[str, Update] = {}
        self._signals: dict[int, tuple[str, int]] = {}
        """Name and occurrence by event, for the steps that their handlers ask for."""
        self._step_count = 0
        self._waits = Waits(self.run.waits, self._open)
        self._told_until = 0
        """The last event that a completed task has seen or made."""

    # -- steps ---------------------------------------------------------------------------------

    def step_scheduled(self, step: Step) -> Step:
        """The workflow asked for something. Sets the step's `seq` and `occurrence`."""
        self._step_count += 1
        step.seq = self._step_count
        step.occurrence = self._occurrence(_COUNTED_AS.get(step.kind, step.kind), step.id)
        if step.caused_by_event_id is not None:
            step.caused_by_signal = self._signals.get(step.caused_by_event_id)
        self._waits.step_asked()
        self.run.steps.append(step)
        self._open[step.seq] = step
        return step

    def worker_was_busy(self, since: int, until: int) -> None:
        """A local activity was at work between these times, until the last completed task."""
        self._waits.worker_was_busy(since, until)

    def step_withdrawn(self, step: Step) -> None:
        """The workflow changed its mind before anybody heard of the step: it never was."""
        self._open.pop(step.seq, None)
        key = _COUNTED_AS.get(step.kind, step.kind), step.id
        if self._occurrences[key] == step.occurrence:
            self._occurrences[key] -= 1

    def step_started(
        self,
        step: Step,
        at: int,
        *,
        attempt: int = 1,
        identity: str = "",
        last_failure: Failure | None = None,
    ) -> None:
        """A try of the step began; `last_failure` is why the try before it failed."""
        step.started_at = at
        step.attempt_count = max(step.attempt_count, attempt)
        if last_failure is not None and attempt > 1:
            step.attempts.append(
                Attempt(
                    attempt - 1,
                    AttemptSource.HISTORY,
                    started_at=None,
                    outcome=_outcome_of(last_failure),
                    failure=last_failure,
                )
            )
        step.attempts.append(
            Attempt(attempt, AttemptSource.HISTORY, started_at=at, identity=identity)
        )

    def step_closed(
        self,
        step: Step,
        at: int,
        outcome: Outcome,
        *,
        event_id: int | None = None,
        failure: Failure | None = None,
        result: Sequence[Payload] = (),
        retry_state: str = "",
        in_task: bool = False,
    ) -> None:
        """The step was answered. A second answer changes what is known of its last attempt only.

        `in_task` says that the answer came in a workflow task, from the workflow itself (a timer
        that it cancelled) or its worker (a local activity): nothing woke the run.
        """
        # A step can time out between two tries: the last known try then failed long before.
        if step.attempts and step.attempts[-1].outcome is None and not in_task:
            last = step.attempts[-1]
            last.ended_at, last.outcome, last.failure = at, outcome, failure
        if step.outcome is not None:
            return
        if in_task:
            self._told_until = max(self._told_until, event_id or 0)
        else:
            self._end_wait_by_answer(step, at, event_id)
        step.outcome = outcome
        step.closed_at = at
        step.closed_event_id = event_id
        step.failure = failure
        step.result = result
        step.result_bytes = size_of_all(result)
        step.retry_state = retry_state
        self._open.pop(step.seq, None)

    def _end_wait_by_answer(self, step: Step, at: int, event_id: int | None) -> None:
        if step.kind is StepKind.TIMER:
            waker = Waker(WokenBy.TIMER, step.name, label=step.summary)
            self._waits.woken(at, event_id, waker)
        else:
            self._waits.stirred(at, event_id)

    # -- messages ------------------------------------------------------------------------------

    def signal_received(self, signal: Signal) -> Signal:
        """A signal arrived. Sets its `occurrence`."""
        signal.occurrence = self._occurrence("signal", signal.name)
        self.run.signals.append(signal)
        if signal.event_id is not None:
            self._signals[signal.event_id] = signal.name, signal.occurrence
        is_human = not signal.from_workflow_id
        waker = Waker(WokenBy.SIGNAL, signal.name, signal.identity, is_human=is_human)
        self._waits.woken(signal.at, signal.event_id, waker)
        return signal

    def update(self, update_id: str, name: str = "") -> Update:
        """The update with this id, made on first sight."""
        known = self._updates.get(update_id)
        if known is None:
            known = self._updates[update_id] = Update(update_id, name)
            self.run.updates.append(known)
        if name:
            known.name = name
        return known

    def update_admitted(self, update: Update, at: int, event_id: int | None = None) -> None:
        """The update reached the run; its validator has not judged it yet."""
        update.admitted_at = at
        self._waits.woken(at, event_id, _update_waker(update))

    def update_accepted(self, update: Update, at: int, event_id: int | None = None) -> None:
        """A validator let the update pass and its handler began."""
        update.accepted_at = at
        update.accepted_event_id = event_id
        self._told_until = max(self._told_until, event_id or 0)
        # Most updates reach a run with no event of their own: the scheduling of a workflow task
        # ended the wait, and only now is it known why.
        self._waits.explained(_update_waker(update))

    def update_completed(
        self,
        update: Update,
        at: int,
        outcome: Outcome,
        *,
        event_id: int | None = None,
        failure: Failure | None = None,
        result: Sequence[Payload] = (),
    ) -> None:
        """The update's handler ended, or its validator refused it."""
        update.completed_at = at
        update.completed_event_id = event_id
        self._told_until = max(self._told_until, event_id or 0)
        update.outcome = outcome
        update.failure = failure
        update.result = result

    def cancel_requested(self, at: int, event_id: int | None = None, identity: str = "") -> None:
        """Somebody asked the run to cancel itself."""
        self.run.cancel_requested_at = at
        self._waits.woken(at, event_id, Waker(WokenBy.CANCEL_REQUEST, "cancel", identity))

    def patch_taken(self, patch: Patch) -> None:
        """The code took a `patched()` branch."""
        self.run.patches.append(patch)

    # -- workflow tasks ------------------------------------------------------------------------

    def task_scheduled(self, task: WorkflowTask, *, goes_on: bool = False) -> WorkflowTask:
        """The server has work for the workflow code.

        `goes_on` says that this is a further piece of the task before: workers see one in several.
        """
        self.run.tasks.append(task)
        self._waits.task_scheduled(task, goes_on=goes_on)
        return task

    def task_followed_at_once(self, task: WorkflowTask) -> None:
        """The completion of the task before asked for this one, and had it in the answer."""
        self._waits.task_followed_at_once(task)

    def task_completed(self, task: WorkflowTask, at: int, event_id: int | None = None) -> None:
        """The code ran and issued its commands."""
        task.closed_at, task.closed_event_id, task.outcome = at, event_id, Outcome.COMPLETED
        self._told_until = max(self._told_until, event_id or 0)
        self._waits.task_completed(task, at, event_id)

    def task_failed(
        self,
        task: WorkflowTask,
        at: int,
        outcome: Outcome,
        *,
        event_id: int | None = None,
        cause: str = "",
        failure: Failure | None = None,
    ) -> None:
        """The code, or its worker, failed; the server will schedule the task again."""
        task.closed_at, task.closed_event_id, task.outcome = at, event_id, outcome
        task.cause, task.failure = cause, failure
        if outcome is Outcome.FAILED:
            task.failure_kind = task_failure_kind(cause, failure)

    def reset_here(self) -> None:
        """Everything that tasks have dealt with so far happened in the run before the reset."""
        run, until = self.run, self._told_until
        for step in run.steps:
            step.is_inherited = _is_before(step.closed_event_id, until)
        for wait in run.waits:
            wait.is_inherited = _is_before(wait.closed_event_id, until)
        for signal in run.signals:
            signal.is_inherited = _is_before(signal.event_id, until)
        for update in run.updates:
            update.is_inherited = _is_before(update.completed_event_id, until)
        for task in run.tasks:
            task.is_inherited = True

    # -- the end -------------------------------------------------------------------------------

    def closed(
        self,
        status: RunStatus,
        at: int,
        *,
        failure: Failure | None = None,
        result: Sequence[Payload] = (),
        reason: str = "",
        identity: str = "",
        event_id: int | None = None,
    ) -> None:
        """The run ended. Steps that are still open stay without outcome: nobody answered them."""
        run = self.run
        if status in (RunStatus.TERMINATED, RunStatus.TIMED_OUT):
            self._waits.woken(at, event_id, Waker(WokenBy.RUN_CLOSED, status.value, identity))
        self._waits.run_closed()
        run.status, run.closed_at, run.failure = status, at, failure
        run.result, run.result_bytes = result, size_of_all(result)
        run.close_reason, run.close_identity = reason, identity

    def finish(self) -> Run:
        """The last call: no more facts will come. An open run that stands still is waiting."""
        self._waits.finish()
        return self.run

    # -- waits ---------------------------------------------------------------------------------

    def waiting_since(self) -> int | None:
        """Since when the run stands still, in nanoseconds; `None` if it does not.

        Raises:
            RuntimeError: Asked from another thread while the run was at work.
        """
        return self._waits.open_since()

    def _occurrence(self, kind: str, id_in_history: str) -> int:
        key = kind, id_in_history
        self._occurrences[key] = occurrence = self._occurrences.get(key, 0) + 1
        return occurrence


def note_cause(step: Step, source: Any) -> None:
    """Take down whose handler asked for a step, from the markers of its command or event."""
    # SDKs before 1.33 do not know the field. Most steps have none: asking is cheaper than a loop.
    markers = getattr(source, "event_group_markers", None)
    if not markers:
        return
    for marker in markers:
        cause = marker.inbound_event.inbound_event_id
        step.caused_by_event_id = cause or step.caused_by_event_id
        update = marker.inbound_update.inbound_update_id
        step.caused_by_update_id = update or step.caused_by_update_id


def _update_waker(update: Update) -> Waker:
    return Waker(WokenBy.UPDATE, update.name, update.identity, is_human=True)


def _is_before(event_id: int | None, until: int) -> bool:
    return event_id is not None and event_id <= until


def _outcome_of(failure: Failure) -> Outcome:
    match failure.kind:
        case "timeout":
            return Outcome.TIMED_OUT
        case "canceled":
            return Outcome.CANCELED
        case _:
            return Outcome.FAILED
