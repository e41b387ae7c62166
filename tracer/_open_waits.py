"""Which runs stand still now: counted when somebody asks, not while workflow code runs.

A wait is measured when it ends, so an approval that nobody gives shows nowhere until it expires.
The runs in a worker's cache know that they wait; asking them once per export costs activations
nothing. A run that the cache let go is not counted: its worker cannot know when it moves again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary


class Standing(NamedTuple):
    """A run that stands still."""

    run: tuple[str, str]
    """Namespace and workflow type."""
    since: int
    """In nanoseconds of the wall clock."""


class OpenWaits:
    """The cached runs of one emitter."""

    def __init__(self) -> None:
        self._cached: WeakKeyDictionary[Any, Callable[[Any], Standing | None]] = WeakKeyDictionary()
        # Runs begin on threads of workers while an exporter's thread looks at all of them.
        self._lock = threading.Lock()

    def add[R](self, run: R, standing: Callable[[R], Standing | None]) -> None:
        """Ask this run from now on, as long as it lives.

        Args:
            run: In the worker's cache.
            standing: Tells since when it stands still; `None` while it does not.
        """
        with self._lock:
            self._cached[run] = standing

    def counts(self) -> Iterator[tuple[tuple[str, str], int]]:
        """How many runs stand still, by namespace and workflow type."""
        for run, ages in self._ages().items():
            yield run, len(ages)

    def oldest(self) -> Iterator[tuple[tuple[str, str], float]]:
        """How many seconds the longest of them does, by the same."""
        for run, ages in self._ages().items():
            yield run, max(ages)

    def _ages(self) -> dict[tuple[str, str], list[float]]:
        now = time.time_ns()
        found: dict[tuple[str, str], list[float]] = {}
        with self._lock:
            every = list(self._cached.items())
        for cached, ask in every:
            standing = _asked(cached, ask)
            if standing is not None:
                age = max(0, now - standing.since) / 1e9
                found.setdefault(standing.run, []).append(age)
        return found


def _asked[R](run: R, standing: Callable[[R], Standing | None]) -> Standing | None:
    try:
        return standing(run)
    except RuntimeError:
        # Its steps changed while they were looked at: it is at work.
        return None
