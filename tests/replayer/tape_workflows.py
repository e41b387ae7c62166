"""Workflows that do everything a tape has to tell, in the sandbox and without it."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, NoReturn

from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, ApplicationError

QUEUE = "taped"
TIMEOUT = timedelta(seconds=20)
LIMITS = {"small": 10, "large": 100}


class Colour(Enum):
    RED = 1


@dataclass
class Part:
    name: str
    weight: float
    tags: list[str] = field(default_factory=list)


@dataclass
class Board:
    parts: dict[str, Part]
    heaviest: float
    log: list[str]
    closed: bool


@activity.defn
async def weigh(name: str) -> float:
    if name == "broken":
        raise ApplicationError("no scale", type="NoScale", non_retryable=True)
    return float(len(name))


class Building:
    """What both workflows do."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.heaviest = 0.0
        self.log: list[str] = []
        self.closed = False

    async def build(self, names: list[str]) -> float:
        weights = await asyncio.gather(*(self.add(name) for name in names))
        total = 0.0
        for weight in weights:
            total += weight
        await self.fail()
        await workflow.wait_condition(lambda: self.closed)
        self.note(f"built {len(self.parts)}")
        return total

    async def add(self, name: str) -> float:
        weight = await workflow.execute_activity(weigh, name, start_to_close_timeout=TIMEOUT)
        part = Part(name, weight)
        self.parts[name] = part
        part.tags.append("weighed")
        if weight > self.heaviest:
            self.heaviest = weight
        return weight

    async def fail(self) -> None:
        try:
            await workflow.execute_activity(weigh, "broken", start_to_close_timeout=TIMEOUT)
        except ActivityError as error:
            reason = type(error.cause).__name__
            self.note(f"failed: {reason}")

    def note(self, text: str) -> None:
        alias = self.log
        alias.append(text)

    def board(self) -> Board:
        return Board(self.parts, self.heaviest, self.log, self.closed)


@workflow.defn
class TapedSandboxed(Building):
    @workflow.run
    async def run(self, names: list[str]) -> float:
        return await self.build(names)

    @workflow.signal
    async def rename(self, old: str, new: str) -> None:
        await workflow.wait_condition(lambda: old in self.parts)
        self.parts[old].name = new
        self.note(f"renamed {old}")

    @workflow.update
    async def close(self, why: str) -> int:
        self.note(why)
        self.closed = True
        return len(self.log)

    @workflow.query
    def show(self) -> Board:
        return self.board()


@workflow.defn(sandboxed=False)
class TapedUnsandboxed(Building):
    @workflow.run
    async def run(self, names: list[str]) -> float:
        return await self.build(names)

    @workflow.signal
    async def rename(self, old: str, new: str) -> None:
        await workflow.wait_condition(lambda: old in self.parts)
        self.parts[old].name = new
        self.note(f"renamed {old}")

    @workflow.update
    async def close(self, why: str) -> int:
        self.note(why)
        self.closed = True
        return len(self.log)

    @workflow.query
    def show(self) -> Board:
        return self.board()


BUILDERS = [TapedSandboxed, TapedUnsandboxed]

touched: list[str] = []
"""What hostile objects were made to run by being looked at."""


class Grenade:
    """Does something on every occasion."""

    def __init__(self) -> None:
        self.pin = "in"

    def _bang(self, what: str) -> NoReturn:
        touched.append(what)
        raise RuntimeError(f"you called {what}")

    def __repr__(self) -> str:
        self._bang("repr")

    def __eq__(self, other: object) -> bool:
        self._bang("eq")

    def __hash__(self) -> int:
        self._bang("hash")

    def __bool__(self) -> bool:
        self._bang("bool")

    def __len__(self) -> int:
        self._bang("len")

    def __getattr__(self, name: str) -> Any:
        self._bang(f"getattr {name}")

    @property
    def price(self) -> float:
        self._bang("price")


class Meta(type):
    def __eq__(cls, other: object) -> bool:
        touched.append("meta eq")
        raise RuntimeError

    def __hash__(cls) -> int:
        touched.append("meta hash")
        raise RuntimeError

    def __repr__(cls) -> str:
        touched.append("meta repr")
        raise RuntimeError


class OfMeta(metaclass=Meta):
    pass


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self) -> None:
        self.left = 1


class LoudDict(dict[str, int]):
    def items(self) -> NoReturn:
        touched.append("items")
        raise RuntimeError

    def __iter__(self) -> NoReturn:
        touched.append("iter")
        raise RuntimeError


@workflow.defn(sandboxed=False)
class TapedHostile:
    """Has values that nobody should touch."""

    def __init__(self) -> None:
        self.grenade = Grenade()
        self.of_meta = OfMeta()
        self.loop: list[Any] = []
        self.loop.append(self.loop)
        self.deep: Any = None
        for _ in range(50):
            self.deep = [self.deep]
        self.huge = list(range(100_000))
        self.text = "x" * 1_000_000
        self.number = 10**5000
        self.surrogate = "lone \ud800"
        self.nan = float("nan")
        self.slotted = Slotted()
        self.loud = LoudDict(a=1)
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.queue = deque([1, 2])
        self.kinds: Any = (Colour.RED, b"\x00\xff", True, None, {3, 1, 2}, int, frozenset())

    @workflow.run
    async def run(self) -> str:
        grenade = self.grenade
        of_meta = self.of_meta
        local = [grenade, of_meta]
        self.counts["a"] += 1
        for _ in range(3):
            self.queue.append(len(local))
            self.huge.append(-1)
        kept = self.loop, self.deep, self.text, self.number, self.surrogate, self.nan
        rest = self.slotted, self.loud, self.kinds
        return f"{len(kept)} {len(rest)}"


@workflow.defn(sandboxed=False)
class TapedPaths:
    """Generators, deletions, nested calls, and exceptions that pass."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    @workflow.run
    async def run(self) -> int:
        for number in self.count(2):
            self.seen.append(number)
        async for number in self.slowly(2):
            self.seen.append(number)
        doomed = 1
        del doomed
        try:
            self.outer(3)
        except ValueError as error:
            message = str(error)
        squares = [each * each for each in self.seen]
        return len(message) + sum(squares)

    def count(self, end: int) -> Iterator[int]:
        number = 0
        while number < end:
            yield number
            number += 1

    async def slowly(self, end: int) -> AsyncIterator[int]:
        for number in range(end):
            await workflow.sleep(0.01)
            yield number

    def outer(self, depth: int) -> None:
        if depth:
            self.outer(depth - 1)
        else:
            raise ValueError("bottom")


@workflow.defn(sandboxed=False)
class TapedWaiting:
    """Waits for everything that there is to wait for."""

    @workflow.run
    async def run(self, what: str) -> None:
        if what == "timer":
            await workflow.sleep(timedelta(days=1), summary="the day after")
        elif what == "activity":
            await workflow.execute_activity(
                weigh, "nobody", task_queue="nobody-polls", start_to_close_timeout=TIMEOUT
            )
        elif what == "error":
            raise RuntimeError("this code is wrong")
        else:
            await workflow.wait_condition(lambda: False)


WORKFLOWS = [*BUILDERS, TapedHostile, TapedPaths, TapedWaiting]
