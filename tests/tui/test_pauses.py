"""What the app sets for its whole process, and gives back."""

from __future__ import annotations

import gc
import sys

from tracer.model import is_held_back, uncollected
from tui.app.pauses import long_lived, short_pauses, tidy


class Knot:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def knots() -> int:
    return sum(isinstance(each, Knot) for each in gc.get_objects())


def test_garbage_is_collected_when_tidying_and_not_before() -> None:
    with short_pauses():
        for _ in range(10_000):
            Knot()
        assert knots() == 10_000
        tidy()
        assert knots() == 0


def test_little_garbage_waits() -> None:
    with short_pauses():
        gc.collect()
        Knot()
        tidy()
        assert knots() == 1
    gc.collect()


def test_nothing_is_collected_while_something_large_is_built() -> None:
    with short_pauses():
        with uncollected():
            assert is_held_back()
            for _ in range(10_000):
                Knot()
            tidy()
            assert knots() == 10_000
        assert not is_held_back()
        tidy()
        assert knots() == 0


def test_all_is_given_back() -> None:
    before = sys.getswitchinterval(), gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()
    with short_pauses(), long_lived():
        assert not gc.isenabled()
    after = sys.getswitchinterval(), gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()
    assert after == before
