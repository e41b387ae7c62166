"""How long activations take, and where: measured on their threads, sampled by one that watches.

An activation pays for two readings of two clocks. Only one that already takes long is looked at: a
thread of our own then notes, a hundred times a second, which line of workflow code it is in.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Final, NamedTuple

from tracer._guard import Guard

_PATIENCE_SECONDS: Final = 0.25
"""At most, between looks for activations that take long."""
_SAMPLE_SECONDS: Final = 0.01
_IDLE_SECONDS: Final = 10.0
"""After so long without activations the thread ends; the next activation starts another."""
_SLOW_SHARE: Final = 0.5
"""Of the time from which on an activation is told: by then it has to have been looked at."""
_HOTTEST: Final = 5

type _Key = tuple[int, int]
"""Thread, and when its activation began."""


class Took(NamedTuple):
    """What an activation took."""

    seconds: float
    """By the clock on the wall: what the deadlock limit is about."""
    cpu_seconds: float
    """Of its thread."""
    samples: Counter[str] | None = None
    """How often it was found in which line."""

    @property
    def hot_lines(self) -> tuple[str, ...]:
        """The lines that it was found in most often, with their share."""
        if not self.samples:
            return ()
        total = self.samples.total()
        return tuple(
            f"{line}: {round(100 * count / total)} %"
            for line, count in self.samples.most_common(_HOTTEST)
        )


class ActivationClock:
    """Times the activations of one plugin's workers."""

    def __init__(
        self,
        slow_seconds: float,
        is_workflow_code: Callable[[str], bool],
        shown: Callable[[str], str],
        guard: Guard,
    ) -> None:
        """Create it; the watching thread starts with the first activation.

        Args:
            slow_seconds: From when on an activation's hottest lines are wanted.
            is_workflow_code: Whether a file is of a workflow's own package.
            shown: The name to show for a file.
            guard: Where errors go.
        """
        after = slow_seconds * _SLOW_SHARE
        self._after_ns = int(after * 1e9)
        # Two looks or more in the time that is left until it counts as slow.
        self._patience = max(_SAMPLE_SECONDS, min(_PATIENCE_SECONDS, after / 2))
        self._is_workflow_code = is_workflow_code
        self._shown = shown
        self._guard = guard
        self._running: dict[int, int] = {}
        self._samples: dict[_Key, Counter[str]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self) -> tuple[int, int]:
        """An activation begins on this thread; what it returns is for `end`."""
        began = time.monotonic_ns()
        self._running[threading.get_ident()] = began
        if self._thread is None or not self._thread.is_alive():
            self._start()
        return began, time.thread_time_ns()

    def end(self, began: tuple[int, int]) -> Took:
        """It is over."""
        cpu = time.thread_time_ns() - began[1]
        ident = threading.get_ident()
        self._running.pop(ident, None)
        samples = self._samples.pop((ident, began[0]), None) if self._samples else None
        return Took((time.monotonic_ns() - began[0]) / 1e9, cpu / 1e9, samples)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._watch, name="retrospan-activations", daemon=True
                )
                self._thread.start()

    def _watch(self) -> None:
        idle_since = time.monotonic()
        while True:
            is_slow = False
            with self._guard.shielded("sampling activations"):
                is_slow = self._look()
            if self._running:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > _IDLE_SECONDS and self._is_leaving():
                return
            time.sleep(_SAMPLE_SECONDS if is_slow else self._patience)

    def _is_leaving(self) -> bool:
        """Whether nobody needs this thread; an activation that begins now sees that it is gone."""
        with self._lock:
            me, self._thread = self._thread, None
            if self._running:
                self._thread = me
        return self._thread is None

    def _look(self) -> bool:
        """Note where activations are that take long; whether there are any."""
        if not self._running:
            return False
        limit = time.monotonic_ns() - self._after_ns
        slow = [key for key in list(self._running.items()) if key[1] < limit]
        if slow:
            frames = sys._current_frames()
            for key in slow:
                self._note(key, frames.get(key[0]))
        for key in [key for key in list(self._samples) if self._running.get(key[0]) != key[1]]:
            self._samples.pop(key, None)
        return bool(slow)

    def _note(self, key: _Key, frame: FrameType | None) -> None:
        innermost = frame
        while frame is not None and not self._is_workflow_code(frame.f_code.co_filename):
            frame = frame.f_back
        frame = frame or innermost
        if frame is not None:
            code = frame.f_code
            line = f"{self._shown(code.co_filename)}:{frame.f_lineno} {code.co_qualname}"
            self._samples.setdefault(key, Counter())[line] += 1
