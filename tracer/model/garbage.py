"""Building a large model without looking for garbage in it again and again.

Python's cycle collector runs by the number of objects that were made. Whoever makes a million that
all stay, as the model of a long history does, has each of them looked at several times for nothing:
a fifth of the time of a comparison of two runs of 50,000 events (`benchmarks/diff.py`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected(objects: int = 0) -> Iterator[None]:
    """Hold the cycle collector back while something large is built; memory is freed as ever.

    Args:
        objects: It looks all the same after so many that were made and not freed; 0 for never.
            What takes long, and runs code of others, should not do without.
    """
    before = gc.get_threshold()
    gc.set_threshold(objects, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
