"""Never harm: errors of the tracer stay in the tracer.

Every call that Temporal makes into the tracer goes through `shielded`. An error is counted, logged
once for each place, and forgotten: the workflow goes on as if no tracer were there. Our own tests
turn such errors into failures by reading `Guard.errors`.
"""

from __future__ import annotations

import logging
import threading
from contextlib import AbstractContextManager
from types import TracebackType

_logger = logging.getLogger("retrospan.tracer")


class Guard:
    """Counts the tracer's own errors."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, BaseException]] = []
        """The first error of each place."""
        self.count = 0
        self._lock = threading.Lock()
        self._shields: dict[str, _Shield] = {}

    def shielded(self, place: str) -> AbstractContextManager[None, bool]:
        """A context that swallows what goes wrong inside, but lets pass what stops the process."""
        # A shield has no state of its own: one serves all threads.
        shield = self._shields.get(place)
        if shield is None:
            shield = self._shields[place] = _Shield(self, place)
        return shield

    def note(self, place: str, error: Exception) -> None:
        """Count an error of the tracer; log it if it is the first of its place."""
        with self._lock:
            self.count += 1
            is_first = all(known != place for known, _ in self.errors)
            if is_first:
                self.errors.append((place, error))
        if is_first:
            _logger.error(
                "retrospan: the tracer failed in %s and goes on without; workflows are unaffected",
                place,
                exc_info=error,
            )


class _Shield(AbstractContextManager[None, bool]):
    def __init__(self, guard: Guard, place: str) -> None:
        self._guard = guard
        self._place = place

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._guard.note(self._place, error)
        return True
