"""What keeps the event loop answering: short turns of threads, and garbage collected in between.

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

from tracer.model import is_held_back, uncollected

_TURN_SECONDS: Final = 0.0005
"""The loop waits this long for the interpreter each time it has slept; by default ten times that,
and a first paint sleeps dozens of times."""

TIDY_EVERY: Final = 0.1
"""Seconds between two looks for garbage."""
_MUCH_GARBAGE: Final = 2_000
"""Objects made and not freed since; a key press leaves as many. Drawn lines refer to themselves."""
_YOUNG_PER_OLD: Final = 5
"""Collections of young objects for one of all that are not frozen."""


@contextmanager
def short_pauses() -> Iterator[None]:
    """Let threads take turns more often, and leave the collecting of garbage to `tidy`."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    gc.freeze()  # What was imported stays.
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.enable()
        gc.unfreeze()  # What is frozen to the end, DuckDB reports as leaked.


def tidy() -> None:
    """Collect garbage, if there is much; between key presses, and not while a screen is drawn."""
    made, _, of_young = gc.get_count()
    if made >= _MUCH_GARBAGE and not is_held_back():
        gc.collect(2 if of_young >= _YOUNG_PER_OLD else 1)


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
