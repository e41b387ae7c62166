"""The least that was left of each limit lately: one number for each workflow type and limit.

A gauge of the last value would show whichever run came last. The least of a window shows the run
that is in danger; two windows overlap, so that no reader sees one that has just begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

_WINDOW_SECONDS: Final = 60.0

type Labels = tuple[str, ...]
"""Values of the labels, in an order that its user knows."""


class Headrooms:
    """Remembers the most used of one to two windows. One thread notes, any may read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._most: dict[Labels, float] = {}
        self._before: dict[Labels, float] = {}

    def note(self, labels: Labels, used: float, maximum: float) -> None:
        """Take in how much something used of its limit."""
        elapsed = self._clock() - self._since
        if elapsed >= _WINDOW_SECONDS:
            self._before = self._most if elapsed < 2 * _WINDOW_SECONDS else {}
            self._most = {}
            self._since += elapsed
        share = used / maximum
        if share > self._most.get(labels, -1.0):
            self._most[labels] = share

    def least(self) -> Iterator[tuple[Labels, float]]:
        """What was left at least, by labels; nothing of what was long ago."""
        elapsed = self._clock() - self._since
        windows = [] if elapsed >= 2 * _WINDOW_SECONDS else [self._most.copy()]
        if elapsed < _WINDOW_SECONDS:
            windows.append(self._before)
        for labels in {label for window in windows for label in window}:
            share = max(window.get(labels, 0.0) for window in windows)
            yield labels, round(max(0.0, 1 - share), 4)
