"""Building a large model without looking for garbage in it again and again.

Python's cycle collector runs by the number of objects that were made. Whoever makes a million that
all stay, as the model of a long history does, has each of them looked at several times for nothing:
a fifth of the time of a comparison of two runs of 50,000 events (`benchmarks/diff.py`).
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_held_back", "uncollected"]

_lock = threading.Lock()
_limits: list[int] = []
"""Of everybody who is inside, in whichever thread."""
_usual = gc.get_threshold()
"""The thresholds while nobody is."""


@contextmanager
def uncollected(objects: int = 0) -> Iterator[None]:
    """Hold the cycle collector back while something large is built; memory is freed as ever.

    The collector serves all threads: it works as before when the last of them has left.

    Args:
        objects: It looks all the same after so many that were made and not freed; 0 for never.
            What takes long, and runs code of others, should not do without.
    """
    global _usual
    with _lock:
        if not _limits:
            _usual = gc.get_threshold()
        _limits.append(objects)
        _hold_back()
    try:
        yield
    finally:
        with _lock:
            _limits.remove(objects)
            _hold_back()


def is_held_back() -> bool:
    """Whether somebody builds something large just now, in whichever thread."""
    return bool(_limits)


def _hold_back() -> None:
    limit = _usual[0]
    if _limits:
        limit = 0 if 0 in _limits else max(_limits)
    gc.set_threshold(limit, *_usual[1:])
