"""Spans of workflow tasks that the server has not accepted yet, as far as the worker knows.

What a workflow task did counts only once the server took its answer: it refuses the answer when
new work has arrived, when it is too large or too late, or when something in it is wrong. Then the
task runs again and tells the same things again, often at other times and sometimes with another
end. So the spans of a task wait here until the next task of the run shows that it was accepted,
until an eviction shows that it was not, or for `grace_seconds`, which is longer than a server needs
to refuse. What is still wrong after that is a span sent twice under one id, never two spans.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.trace import Span

from tracer.spans import SpanRecord

GRACE_SECONDS: Final = 1.0
_MAX_ABANDONED: Final = 1_000
_MAX_HELD: Final = 10_000
"""Runs."""


@dataclass(frozen=True, slots=True)
class OverdueSpan:
    """A span that lived while something ran, is over, and is still to be ended."""

    span: Span
    record: SpanRecord
    """What it says; with the time of its end."""


type Item = SpanRecord | OverdueSpan


@dataclass(slots=True)
class _Held:
    task_id: int | None
    """`None` while the task is under way."""
    due: float
    items: list[Item] = field(default_factory=list)


class Outbox:
    """Holds the spans of each run's last workflow task."""

    def __init__(self, emit: Callable[[Item], None], grace_seconds: float = GRACE_SECONDS) -> None:
        self._emit = emit
        self._grace_seconds = grace_seconds
        # In the order in which they fall due: all wait equally long.
        self._held: dict[str, _Held] = {}
        self._abandoned: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, run_id: str, task_id: int, items: Iterable[Item]) -> None:
        """Keep what a task did; what the run's task before it did goes out."""
        with self._lock:
            self._abandoned.pop(run_id, None)
            held = self._held.pop(run_id, None)
            mine, before = [*items], held
            if held is not None and held.task_id in (None, task_id):
                mine, before = held.items + mine, None
            self._held[run_id] = _Held(task_id, self._due(), mine)
            # Only if nobody takes out what is due: a processor of the user's hangs.
            oldest = next(iter(self._held)) if len(self._held) > _MAX_HELD else None
            overdue = self._held.pop(oldest) if oldest is not None else None
        self._send(before)
        self._send(overdue)

    def add(self, run_id: str, item: Item) -> None:
        """Keep what happened within the run's task that is under way."""
        with self._lock:
            if run_id in self._abandoned:
                return
            held = self._held.pop(run_id, None) or _Held(None, 0.0)
            held.items.append(item)
            held.due = self._due()
            self._held[run_id] = held

    def held_task(self, run_id: str) -> int | None:
        """The task of the run whose spans wait here."""
        held = self._held.get(run_id)
        return held.task_id if held else None

    def accepted(self, run_id: str) -> None:
        """The server took the task's answer: its spans go out."""
        with self._lock:
            held = self._held.pop(run_id, None)
        self._send(held)

    def rejected(self, run_id: str) -> list[Item]:
        """The server did not take it: the task will run again, and tell its spans then.

        Returns:
            What is let go.
        """
        with self._lock:
            held = self._held.pop(run_id, None)
        return held.items if held else []

    def abandoned(self, run_id: str) -> None:
        """The worker gave up on the task while parts of it still run."""
        with self._lock:
            self._held.pop(run_id, None)
            self._abandoned[run_id] = None
            if len(self._abandoned) > _MAX_ABANDONED:
                self._abandoned.popitem(last=False)

    def release_due(self) -> None:
        """Let go what waited long enough."""
        now = time.monotonic()
        while True:
            with self._lock:
                run_id = next(iter(self._held), None)
                if run_id is None or self._held[run_id].due > now:
                    return
                held = self._held.pop(run_id)
            self._send(held)

    def release_all(self) -> None:
        """Let go everything, at the end of a worker's life."""
        with self._lock:
            waiting = list(self._held.values())
            self._held.clear()
        for held in waiting:
            self._send(held)

    def _due(self) -> float:
        return time.monotonic() + self._grace_seconds

    def _send(self, held: _Held | None) -> None:
        for item in held.items if held else ():
            self._emit(item)
