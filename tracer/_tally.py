"""Counts that are added up before they are counted.

Whatever a counter is told costs as much as a span, and of thousands of spans most count in the same
few series. So they are added up here and told a few times a second, which no reader of a counter
can notice; the exemplar is that of the last one.
"""

from __future__ import annotations

import threading

from opentelemetry.context import Context
from opentelemetry.metrics import Counter

from tracer.spans import Value

type Labels = tuple[Value | None, ...]
"""A value for each key of the counter, `None` where it has none."""


class Tally:
    """What one counter is still to be told. May be used from several threads."""

    def __init__(self, counter: Counter, keys: tuple[str, ...]) -> None:
        self.keys = keys
        """What its series are told apart by."""
        self._counter = counter
        self._waiting: dict[Labels, tuple[int, Context]] = {}
        self._lock = threading.Lock()

    def add(self, labels: Labels, context: Context) -> None:
        """Count one."""
        with self._lock:
            known = self._waiting.get(labels)
            self._waiting[labels] = (known[0] + 1 if known else 1), context

    def flush(self) -> None:
        """Tell the counter."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for values, (count, context) in waiting.items():
            labels = zip(self.keys, values, strict=True)
            told = {key: value for key, value in labels if value is not None}
            self._counter.add(count, told, context=context)
