"""The least that was left of each limit lately: one number for each workflow type and limit.

A gauge of the last value would show whichever run came last. The least of a window shows the run
that is in danger; two windows overlap, so that no reader sees one that has just begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

_WINDOW_SECONDS: Final = 60.0

type Labels = tuple[tuple[str, str], ...]


class Headrooms:
    """Remembers the least of one to two windows. May be used from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._least: dict[Labels, float] = {}
        self._before: dict[Labels, float] = {}
        self._lock = threading.Lock()

    def note(self, labels: Labels, headroom: float) -> None:
        """Take in what something had left."""
        with self._lock:
            self._turn()
            if headroom < self._least.get(labels, 2.0):
                self._least[labels] = headroom

    def least(self) -> Iterator[tuple[Labels, float]]:
        """What was left at least, by labels."""
        with self._lock:
            self._turn()
            found = self._before | {
                labels: min(headroom, self._before.get(labels, headroom))
                for labels, headroom in self._least.items()
            }
        yield from found.items()

    def _turn(self) -> None:
        elapsed = self._clock() - self._since
        if elapsed < _WINDOW_SECONDS:
            return
        self._before = self._least if elapsed < 2 * _WINDOW_SECONDS else {}
        self._least = {}
        self._since += elapsed
