"""Many jobs in a few children that are used again: starting one costs half a second.

A child that hangs or crashes costs its own job and nothing else; the next job gets a new one.
Outcomes come as they are ready. Leaving the pool, by whatever exception, ends every child.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Queue
from types import TracebackType
from typing import Self

from replayer.replaying.child import DEFAULT_LIMITS, Child, Limits

__all__ = ["ChildPool", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome[A, R]:
    """What became of one job."""

    index: int
    """Of its argument, from 0."""
    argument: A
    value: R | None
    """What the job returned."""
    error: BaseException | None
    """A `ChildError`, or what the job raised; `None` when it returned."""

    def result(self) -> R:
        """The value.

        Raises:
            BaseException: The error, when there is one.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None is then what the job returned


class ChildPool:
    """A number of children, and threads that keep them busy."""

    def __init__(
        self, jobs: int = 1, *, limits: Limits = DEFAULT_LIMITS, jobs_per_child: int = 500
    ) -> None:
        """Start nothing yet: a child starts with its first job.

        Args:
            jobs: Children at the same time.
            limits: For each job.
            jobs_per_child: After so many a child is replaced, as user code may keep memory.
        """
        self._children = [Child(limits) for _ in range(jobs)]
        self._jobs_per_child = jobs_per_child
        self._is_closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def prepare[A, R](self, job: Callable[[A], R], argument: A) -> None:
        """Do a job in every child at once, before others: what it loads stays loaded there.

        Raises:
            ChildError: A child gave no answer.
            BaseException: What the job raised.
        """
        errors: list[BaseException] = []

        def prepare(child: Child) -> None:
            try:
                child.do(job, argument)
            except BaseException as error:  # noqa: BLE001 - raised below, in the caller's thread
                errors.append(error)

        threads = [
            threading.Thread(target=prepare, args=(child,), daemon=True) for child in self._children
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def map[A, R](self, job: Callable[[A], R], arguments: Iterable[A]) -> Iterator[Outcome[A, R]]:
        """Do a job for each argument, and yield what became of them as they are done.

        Arguments are taken one by one as children get free, so that an endless iterable works. An
        exception that the iterable raises is raised here, after the jobs that were under way.
        """
        feed = _Feed(arguments)
        outcomes: Queue[Outcome[A, R] | None] = Queue()
        for child in self._children:
            thread = threading.Thread(
                target=self._work, args=(child, job, feed, outcomes), daemon=True
            )
            self._threads.append(thread)
            thread.start()
        for _ in self._children:
            while (outcome := outcomes.get()) is not None:
                yield outcome
        if feed.error is not None:
            raise feed.error

    def close(self) -> None:
        """End every child now."""
        self._is_closing.set()
        for child in self._children:
            child.close()

    def _work[A, R](
        self,
        child: Child,
        job: Callable[[A], R],
        feed: _Feed[A],
        outcomes: Queue[Outcome[A, R] | None],
    ) -> None:
        done = 0
        while not self._is_closing.is_set() and (item := feed.next()) is not None:
            index, argument = item
            try:
                outcome = Outcome[A, R](index, argument, child.do(job, argument), None)
            except BaseException as error:  # noqa: BLE001 - it is the outcome
                outcome = Outcome[A, R](index, argument, None, error)
            outcomes.put(outcome)
            done += 1
            if done % self._jobs_per_child == 0:
                child.end()
        outcomes.put(None)


class _Feed[A]:
    """Arguments, numbered, for several threads."""

    def __init__(self, arguments: Iterable[A]) -> None:
        self._arguments = enumerate(arguments)
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def next(self) -> tuple[int, A] | None:
        """The next argument, `None` after the last."""
        with self._lock:
            if self.error is not None:
                return None
            try:
                return next(self._arguments, None)
            except BaseException as error:  # noqa: BLE001 - raised where the outcomes are read
                self.error = error
                return None
