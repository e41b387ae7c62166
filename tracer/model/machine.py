"""The one state machine: facts go in, one `Run` comes out.

Two adapters feed it: `events` (a recorded history) and `activations` (a worker, live). It decides
everything that both must agree on: the order of steps, their occurrences, what an attempt is, when
the run stood still and what woke it. It never looks at a clock, and never fails on a sequence that
a server would not produce: what does not fit is recorded as far as it goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tracer.identity import RunKey
from tracer.model.failures import task_failure_kind
from tracer.model.payloads import size_of_all
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
    Wait,
    WokenBy,
    WorkflowTask,
)

_PASSIVE = frozenset({StepKind.TIMER})
"""Open steps that do not keep a run busy: it stands still while only these are open."""


class RunMachine:
    """Builds the model of one run. Feed it facts in the order in which they happened."""

    def __init__(self, key: RunKey) -> None:
        self.run = Run(key)
        self._open: dict[tuple[StepKind, str], Step] = {}
        self._occurrences: Counter[tuple[str, str]] = Counter()
        self._updates: dict[str, Update] = {}
        self._step_count = 0
        self._idle_since: tuple[int, int | None] | None = None
        self._unexplained: Wait | None = None

    # -- steps ---------------------------------------------------------------------------------

    def step_scheduled(self, step: Step) -> Step:
        """The workflow asked for something. Sets the step's `seq` and `occurrence`."""
        self._step_count += 1
        step.seq = self._step_count
        step.occurrence = self._occurrence(step.kind, step.id)
        self._unexplained = None
        self.run.steps.append(step)
        self._open[step.kind, step.id] = step
        return step

    def step_withdrawn(self, step: Step) -> None:
        """The workflow changed its mind before anybody heard of the step."""
        self._open.pop((step.kind, step.id), None)

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
        """The step was answered. A second answer to the same step is ignored.

        `in_task` says that the answer came in a workflow task, from the workflow itself (a timer
        that it cancelled) or its worker (a local activity): nothing woke the run.
        """
        if step.outcome is not None:
            return
        if not in_task:
            self._end_wait_by_answer(step, at, event_id)
        step.outcome = outcome
        step.closed_at = at
        step.closed_event_id = event_id
        step.failure = failure
        step.result = result
        step.result_bytes = size_of_all(result)
        step.retry_state = retry_state
        self._open.pop((step.kind, step.id), None)
        # A step can time out between two tries: the last known try then failed long before.
        if step.attempts and step.attempts[-1].outcome is None:
            last = step.attempts[-1]
            last.ended_at, last.outcome, last.failure = at, outcome, failure

    def _end_wait_by_answer(self, step: Step, at: int, event_id: int | None) -> None:
        if step.kind is StepKind.TIMER:
            self._wake(at, event_id, WokenBy.TIMER, step.name, label=step.summary)
        else:
            self._stir(at, event_id)

    # -- messages ------------------------------------------------------------------------------

    def signal_received(self, signal: Signal) -> Signal:
        """A signal arrived. Sets its `occurrence`."""
        signal.occurrence = self._occurrence("signal", signal.name)
        self.run.signals.append(signal)
        self._wake(
            signal.at,
            signal.event_id,
            WokenBy.SIGNAL,
            signal.name,
            identity=signal.identity,
            is_human=not signal.from_workflow_id,
        )
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
        self._wake(at, event_id, WokenBy.UPDATE, update.name, update.identity, is_human=True)

    def update_accepted(self, update: Update, at: int, event_id: int | None = None) -> None:
        """A validator let the update pass and its handler began."""
        update.accepted_at = at
        update.accepted_event_id = event_id
        if self._unexplained is not None:
            # Most updates reach a run with no event of their own: the scheduling of a workflow
            # task ended the wait, and only now is it known why.
            _explain(self._unexplained, WokenBy.UPDATE, update.name, update.identity, is_human=True)
            self._unexplained = None

    def update_completed(
        self,
        update: Update,
        at: int,
        outcome: Outcome,
        *,
        failure: Failure | None = None,
        result: Sequence[Payload] = (),
    ) -> None:
        """The update's handler ended, or its validator refused it."""
        update.completed_at = at
        update.outcome = outcome
        update.failure = failure
        update.result = result

    def cancel_requested(self, at: int, event_id: int | None = None, identity: str = "") -> None:
        """Somebody asked the run to cancel itself."""
        self.run.cancel_requested_at = at
        self._wake(at, event_id, WokenBy.CANCEL_REQUEST, "cancel", identity)

    def patch_taken(self, patch: Patch) -> None:
        """The code took a `patched()` branch."""
        self.run.patches.append(patch)

    # -- workflow tasks ------------------------------------------------------------------------

    def task_scheduled(self, task: WorkflowTask) -> WorkflowTask:
        """The server has work for the workflow code."""
        self.run.tasks.append(task)
        self._stir(task.scheduled_at, task.scheduled_event_id)
        return task

    def task_completed(self, task: WorkflowTask, at: int, event_id: int | None = None) -> None:
        """The code ran and issued its commands."""
        task.closed_at, task.closed_event_id, task.outcome = at, event_id, Outcome.COMPLETED
        # Whether the run stands still from here on shows when the commands of this task are in.
        self._idle_since = (at, event_id)

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
            self._wake(at, event_id, WokenBy.RUN_CLOSED, status.value, identity)
        self._idle_since = None
        run.status, run.closed_at, run.failure = status, at, failure
        run.result, run.result_bytes = result, size_of_all(result)
        run.close_reason, run.close_identity = reason, identity

    def finish(self) -> Run:
        """The last call: no more facts will come. An open run that stands still is waiting."""
        if self._idle_since is not None and self._stands_still():
            self._open_wait()
        return self.run

    # -- waits ---------------------------------------------------------------------------------

    def _stands_still(self) -> bool:
        return not any(step.kind not in _PASSIVE for step in self._open.values())

    def _open_wait(self) -> Wait:
        assert self._idle_since is not None
        wait = self._unexplained
        if wait is not None:
            # Nothing that a history shows came of the task that ended it: the wait goes on.
            wait.closed_at = wait.closed_event_id = wait.woken_by = None
        else:
            wait = Wait(self._occurrence("wait", ""), *self._idle_since)
            self.run.waits.append(wait)
        wait.label = self._limit_label()
        self._idle_since = self._unexplained = None
        return wait

    def _limit_label(self) -> str:
        labels = (s.summary for s in self._open.values() if s.kind in _PASSIVE and s.summary)
        return next(labels, "")

    def _end_wait(self, at: int, event_id: int | None) -> Wait | None:
        if self._idle_since is None:
            return None
        # A message that came while the code ran carries a time before the task's completion: the
        # run did not stand still for it.
        if at <= self._idle_since[0] or not self._stands_still():
            self._idle_since = None
            return None
        wait = self._open_wait()
        # A wait that goes on may have begun after a message of an earlier time.
        wait.closed_at = max(at, wait.opened_at)
        wait.closed_event_id, wait.woken_by = event_id, WokenBy.UNKNOWN
        return wait

    def _stir(self, at: int, event_id: int | None) -> None:
        """Something happened that ends a wait without telling why."""
        wait = self._end_wait(at, event_id)
        if wait is not None:
            self._unexplained = wait

    def _wake(
        self,
        at: int,
        event_id: int | None,
        by: WokenBy,
        name: str,
        identity: str = "",
        *,
        label: str = "",
        is_human: bool = False,
    ) -> None:
        """Something happened that ends a wait and explains it."""
        wait = self._end_wait(at, event_id)
        if wait is None:
            return
        self._unexplained = None
        _explain(wait, by, name, identity, is_human=is_human)
        wait.label = label or wait.label

    def _occurrence(self, kind: str, id_in_history: str) -> int:
        self._occurrences[kind, id_in_history] += 1
        return self._occurrences[kind, id_in_history]


def _explain(wait: Wait, by: WokenBy, name: str, identity: str, *, is_human: bool = False) -> None:
    wait.woken_by, wait.woken_by_name, wait.woken_by_identity = by, name, identity
    wait.is_human = is_human
    wait.label = wait.label or name


def _outcome_of(failure: Failure) -> Outcome:
    match failure.kind:
        case "timeout":
            return Outcome.TIMED_OUT
        case "canceled":
            return Outcome.CANCELED
        case _:
            return Outcome.FAILED
