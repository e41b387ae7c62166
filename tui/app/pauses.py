"""What keeps the event loop answering while threads of the same process read a history.

Python runs one thread at a time, so a thread that computes takes the interpreter from the loop.
Two things decide for how long: how often threads take turns, and the garbage collector, which
stops them all. Both are set here for as long as the app runs, and given back after it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tracer.model import uncollected

_TURN_SECONDS: Final = 0.0005
"""The loop waits this long for the interpreter each time it has slept; by default ten times that,
and a first paint sleeps dozens of times."""

_YOUNG_PER_OLD: Final = 2
"""Collections of young objects for one of all; by default ten. Drawn lines refer to themselves,
and those of a hundred key presses would be freed during one."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Let threads take turns more often, and the garbage collector do little at a time."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_TURN_SECONDS)
    gc.freeze()  # What was imported stays.
    gc.set_threshold(*thresholds[:2], _YOUNG_PER_OLD)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()  # What is frozen to the end, DuckDB reports as leaked.


@contextmanager
def long_lived() -> Iterator[None]:
    """Keep the garbage collector from what a thread makes inside, now and later.

    A collection over the objects of 50,000 events stops every key press for 100 ms or more. They
    live long and form no cycles, so reference counts free them all the same. What does form cycles
    in here, such as a client's tasks, is kept until the app ends: this is not for what is done
    every second.
    """
    with uncollected():
        try:
            yield
        finally:
            gc.freeze()
            # The collector waits until a quarter of what it saw last is new: it saw all of this.
            gc.collect()
