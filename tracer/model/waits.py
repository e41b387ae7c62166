"""When a run stood still, and what woke it.

A run stands still from the end of a workflow task until something happens, if no step is at work
meanwhile. Worker and history have to find the same waits, and a worker knows less: it sees neither
the times of messages nor the tasks that changed nothing. So a wait is named after the task that it
followed, its length is judged by the starts of tasks, which both know to the nanosecond, and a
signal counts as what woke the run before a timer that fired in the same pause, because a worker
gets signals first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tracer.model.words import Step, StepKind, Wait, WokenBy, WorkflowTask

_PASSIVE: Final = frozenset({StepKind.TIMER})
"""Open steps that do not keep a run busy: it stands still while only these are open."""

SHORTEST_NS: Final = 100_000_000
"""Start to start; what follows sooner came while the code of the task before it still ran."""


class Waker(NamedTuple):
    """What ended a wait."""

    by: WokenBy
    name: str
    identity: str = ""
    label: str = ""
    """What the run waited for, where the waker tells."""
    is_human: bool = False


class _Pause(NamedTuple):
    """The time since a task completed, in which the run may stand still."""

    opened_at: int
    opened_event_id: int | None
    task_event_id: int
    task_started_at: int
    began_without_news: bool
    """The code had nothing to do when the task started."""


class Waits:
    """Finds the waits of one run."""

    def __init__(self, found: list[Wait], open_steps: Mapping[int, Step]) -> None:
        """Start with a run that has not done anything.

        Args:
            found: Where waits go, in order.
            open_steps: The steps that were not answered yet, kept up to date by their owner, which
                must not be asked for them: two that know each other are garbage in a circle, and
                hold a whole history until that is looked for.
        """
        self._found = found
        self._open_steps = open_steps
        self._count = 0
        self._pause: _Pause | None = None
        self._has_news = False
        """Whether the next task starts with something that the code hears of."""
        self._wait_since = 0
        """Start of the task that the present wait follows."""
        self._limit = ""
        """The label of the present wait as it opened."""
        self._unexplained: Wait | None = None
        """Ended by a task whose reason is not known yet."""
        self._ended: Wait | None = None
        """Ended since the last task completed."""
        self._is_early = False
        """Whether what ended the last wait came before the task before that had completed."""
        self._ended_early: Wait | None = None
        """Ended so by what the last completed task dealt with."""
        self._is_short = False
        self._ended_pause: _Pause | None = None
        """The last one that ended."""
        self._perhaps_busy: Wait | None = None
        """Ended by a task that followed at once."""

    def task_completed(self, task: WorkflowTask, at: int, event_id: int | None) -> None:
        """The code ran: a pause begins, if the commands of the task start nothing."""
        started_at = task.started_at or task.scheduled_at
        wait, self._ended = self._ended, None
        self._ended_early = wait if self._is_early else None
        if wait is not None:
            self._is_short = started_at - self._wait_since < SHORTEST_NS
            if wait is not self._unexplained:
                self._drop_if_short(wait)
        has_news, self._has_news = self._has_news, False
        self._pause = _Pause(at, event_id, task.started_event_id or 0, started_at, not has_news)

    def task_scheduled(self, task: WorkflowTask, *, goes_on: bool = False) -> None:
        """The server has work for the code: why may show later."""
        # A worker asks for the next task at once if a local activity is still at work, of which a
        # history tells nothing else.
        at_once = self._pause is not None and task.scheduled_at <= self._pause.opened_at
        if goes_on or at_once:
            self._pause = None
            return
        self._stir(task.scheduled_at, task.scheduled_event_id)

    def task_followed_at_once(self, task: WorkflowTask) -> None:
        """The completion of the task before asked for this one, and had it in the answer.

        For an update that came meanwhile, or because a local activity is at work: the completion
        of this one tells which, and a run may end before.
        """
        wait, pause = self._unexplained, self._ended_pause
        # One that was open before goes on to that completion.
        if wait is not None and pause is not None and wait.opened_at == pause.opened_at:
            self._perhaps_busy = wait if wait.closed_event_id == task.scheduled_event_id else None

    def worker_was_busy(self, since: int, until: int) -> None:
        """The task that completed tells of a local activity, asked for and answered at these times.

        Nothing but its answer tells of one, and until then the worker asks for task after task.
        """
        pause = self._pause
        if pause is not None and pause.began_without_news and since < pause.task_started_at < until:
            # To a worker, whose code first ran at the answer, that is when the task started.
            self._pause = pause._replace(task_started_at=until, began_without_news=False)
        wait, early = self._unexplained, self._ended_early
        if wait is None and early is not None and since < early.opened_at:
            wait = early
        if wait is not None and wait in self._found:
            self._found.remove(wait)
            self._count -= 1
            self._unexplained = None

    def step_asked(self) -> None:
        """The code asked for something: a task without a known reason had one."""
        wait, self._unexplained = self._unexplained, None
        if wait is not None:
            self._drop_if_short(wait)

    def stirred(self, at: int, event_id: int | None) -> None:
        """Something happened that ends a wait without telling why."""
        self._has_news = True
        self._stir(at, event_id)

    def _stir(self, at: int, event_id: int | None) -> None:
        wait = self._end(at, event_id)
        if wait is not None:
            self._unexplained = wait

    def woken(self, at: int, event_id: int | None, waker: Waker) -> None:
        """Something happened that ends a wait and explains it."""
        self._has_news = True
        # What comes between the scheduling of a task and its start may explain that task.
        wait = self._end(at, event_id) or self._unexplained or self._outranked(waker)
        if wait is None:
            return
        self._unexplained = None
        self._explain(wait, waker)

    def explained(self, waker: Waker) -> None:
        """The task under way turns out to be there for an update."""
        wait, self._unexplained = self._unexplained, None
        if wait is not None:
            self._explain(wait, waker)
            self._drop_if_short(wait)

    def open_since(self) -> int | None:
        """When the wait began that goes on now, in nanoseconds; `None` if there is none."""
        pause, unexplained = self._pause, self._unexplained
        if pause is None or not self._stands_still():
            return None
        return unexplained.opened_at if unexplained else pause.opened_at

    def run_closed(self) -> None:
        """Nothing wakes the run any more."""
        self._pause = None

    def finish(self) -> None:
        """No more facts will come: an open run that stands still is waiting."""
        ended = self._ended
        if ended is not None and ended.closed_at == ended.opened_at:
            # No task followed that could tell: the message came while the code ran.
            self._found.remove(ended)
        elif self._perhaps_busy is not None and self._perhaps_busy is self._unexplained:
            self._found.remove(self._perhaps_busy)
        if self._pause is not None and self._stands_still():
            self._open(self._pause)

    def _end(self, at: int, event_id: int | None) -> Wait | None:
        pause, self._pause = self._pause, None
        if pause is None or not self._stands_still():
            return None
        self._ended_pause, self._is_early = pause, at < pause.opened_at
        wait = self._ended = self._open(pause)
        # A message that came while the code ran carries an earlier time than the pause.
        wait.closed_at, wait.closed_event_id = max(at, wait.opened_at), event_id
        wait.woken_by = WokenBy.UNKNOWN
        return wait

    def _open(self, pause: _Pause) -> Wait:
        wait, self._unexplained = self._unexplained, None
        if wait is not None:
            # Nothing that a history shows came of the task that ended it: the wait goes on.
            wait.closed_at = wait.closed_event_id = wait.woken_by = None
        else:
            self._count += 1
            wait = Wait(self._count, pause.opened_at, pause.opened_event_id, pause.task_event_id)
            self._wait_since = pause.task_started_at
            self._found.append(wait)
        wait.label = self._limit = self._limit_label()
        return wait

    def _stands_still(self) -> bool:
        """Whether only timers and messages could move the run."""
        return all(step.kind in _PASSIVE for step in self._open_steps.values())

    def _limit_label(self) -> str:
        """The summary of an open timer, empty if none has one."""
        steps = self._open_steps.values()
        return next((s.summary for s in steps if s.kind in _PASSIVE and s.summary), "")

    def _outranked(self, waker: Waker) -> Wait | None:
        ended = self._ended
        if ended is None or waker.by is not WokenBy.SIGNAL:
            return None
        return None if ended.woken_by is WokenBy.SIGNAL else ended

    def _explain(self, wait: Wait, waker: Waker) -> None:
        wait.woken_by, wait.woken_by_name = waker.by, waker.name
        wait.woken_by_identity, wait.is_human = waker.identity, waker.is_human
        wait.label = waker.label or self._limit or waker.name

    def _drop_if_short(self, wait: Wait) -> None:
        if self._is_short and wait in self._found:
            self._found.remove(wait)
