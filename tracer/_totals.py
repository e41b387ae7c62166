"""Sums by labels, for observable counters: what comes up in every step must cost next to nothing.

OpenTelemetry's synchronous instruments hash their labels and take several locks for each
measurement. A sum that is only read when it is exported needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator

type Key = tuple[str, ...]
"""Values of the labels, in an order that its user knows."""


class Totals:
    """Adds up on one thread; may be read on another."""

    def __init__(self) -> None:
        self._sums: dict[Key, float] = {}

    def add(self, key: Key, amount: float) -> None:
        """Add to a sum."""
        self._sums[key] = self._sums.get(key, 0) + amount

    def sums(self) -> Iterator[tuple[Key, float]]:
        """All sums."""
        # Copied in one go: the other thread may add a key meanwhile.
        yield from list(self._sums.items())
