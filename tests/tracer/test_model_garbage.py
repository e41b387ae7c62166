"""Whoever holds the cycle collector back gives it back, whatever others do meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.model import uncollected


@pytest.fixture(autouse=True, scope="module")
def usual() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 100_000, 200_000]))))
def test_the_last_to_leave_gives_it_back(turns: list[tuple[int, int]]) -> None:
    usual = gc.get_threshold()
    inside: dict[int, tuple[int, AbstractContextManager[None]]] = {}
    for who, limit in turns:
        if who in inside:
            inside.pop(who)[1].__exit__(None, None, None)
        else:
            held: AbstractContextManager[None] = uncollected(limit)
            held.__enter__()
            inside[who] = limit, held
        limits = [limit for limit, _ in inside.values()]
        expected = usual[0] if not limits else 0 if 0 in limits else max(limits)
        assert gc.get_threshold() == (expected, *usual[1:])
    for _, held in inside.values():
        held.__exit__(None, None, None)
    assert gc.get_threshold() == usual
