"""Values of a condition are told without running anybody's code."""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from tests.tracer.branching_lab import Lab
from tracer.branches._values import safe_repr, values_of


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    assert lab.errors == []
    lab.watch.close()


class Colour(Enum):
    RED = 1


class Trap:
    """Whoever touches it, says so."""

    __slots__ = ("inside",)

    def __init__(self) -> None:
        self.inside = 1

    def __repr__(self) -> str:
        raise AssertionError("repr")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("eq")

    def __hash__(self) -> int:
        raise AssertionError("hash")

    def __len__(self) -> int:
        raise AssertionError("len")

    def __bool__(self) -> bool:
        return True

    @property
    def computed(self) -> int:
        raise AssertionError("property")

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)


class SlyMeta(type):
    def __hash__(cls) -> int:
        raise AssertionError("hash")

    def __eq__(cls, other: object) -> bool:
        raise AssertionError("eq")

    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError(name)


class Sly(metaclass=SlyMeta):
    pass


def test_values_are_told_without_running_their_code() -> None:
    # No parameters: pytest would run the code of the values itself.
    for value, text in (
        (None, "None"),
        (True, "True"),
        (12, "12"),
        (10**5000, "int"),
        ("a" * 500, repr("a" * 100) + "…"),
        ([Trap()] * 3, "list[3]"),
        ({"a": 1}, "dict[1]"),
        (b"secret", "bytes[6]"),
        (Colour.RED, "Colour.RED"),
        (Trap(), "Trap"),
        (Sly(), "Sly"),
    ):
        assert safe_repr(value) == text


def test_values_of_a_condition_are_those_that_it_read(lab: Lab) -> None:
    module = lab.load("""
        LIMIT = 10
        class Order:
            def __init__(self, amount):
                self.amount = amount
            @property
            def is_big(self):
                return self.amount > LIMIT
        def decide(order, trap, missing=None):
            if order.amount < LIMIT and trap and order.is_big and len(order.name or ""):
                pass
    """)
    run = lab.new_run(capture_values=True)
    order = module.Order(5)
    trap = Trap()

    found = lab.activate(run, module.decide, order, trap)

    decided = found.branches[-1]
    assert decided.point.condition.startswith("order.amount < LIMIT")
    assert decided.values == (("order.amount", "5"), ("LIMIT", "10"), ("trap", "Trap"))


def test_names_that_cannot_be_told_are_left_out() -> None:
    def tell(trap: Trap) -> tuple[tuple[str, str], ...]:
        names = ("trap.inside", "trap.computed", "trap.gone", "nowhere", "pytest", "Trap")
        return values_of(names, sys._getframe())

    assert tell(Trap()) == (("trap.inside", "1"),)
