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
def uncollected() -> Iterator[None]:
    """Hold the cycle collector back while something large is built; memory is freed as ever.

    A caller that switched it off finds it off afterwards.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
