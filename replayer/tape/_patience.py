"""More time for workflow code while it is recorded.

The SDK fails a workflow task whose code does not yield for two seconds. Recording makes code
slower, so that an activation which took a second live would fail on the tape.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from temporalio.worker import _workflow

__all__ = ["patience"]

_LIMIT: Final = "_deadlock_timeout_seconds"
"""The SDK keeps its limit here; one that keeps it elsewhere is left as it is."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Give workflow code so many seconds in workers that are made until the context ends."""
    worker: Any = _workflow._WorkflowWorker
    made = worker.__init__

    def make(self: Any, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        if getattr(self, _LIMIT, None) is not None:
            setattr(self, _LIMIT, seconds)

    worker.__init__ = make
    try:
        yield
    finally:
        worker.__init__ = made
