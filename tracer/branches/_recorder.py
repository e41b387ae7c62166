"""The decisions of one run, noted while its activations run.

`note` is called for every conditional jump of workflow code, on the workflow's thread, so it does
next to nothing: it counts. A cell is one way that one jump can go. It says at which count it wants
attention (`wake`); only then `_attend` decides whether the decision is handed over, only counted,
or whether its point has become too expensive to watch.

Counts are exact for as long as a point is watched, because ids are made from them. A point that
was not watched for a while must never be counted again in the same run: its numbers would name
other decisions than they did on another worker. `Trail` keeps that.
"""

from __future__ import annotations

import sys
from asyncio import current_task
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import count
from types import CodeType, FrameType
from typing import Any, Final

from tracer.branches._plan import Plan, PlannedPoint, Way
from tracer.branches._values import values_of
from tracer.branches.points import (
    LOOP_KINDS,
    ActivationBranches,
    Branch,
    BranchPoint,
    BranchSettings,
)

_NEVER: Final = sys.maxsize
_LARGEST_GRANT: Final = 100
"""Evaluations that a cell counts by itself before it asks again."""
_SMALLEST_GRANT: Final = 8
_UNTOUCHED: Final = -1
_MANY: Final = -1

_FRAMES_TO_WORKFLOW: Final = 3
"""Above `_take`: `attend`, the callback, and the code that decided."""

clock = count(1)
"""Orders births of runs and gaps in watching."""


class Verdict(Enum):
    """What becomes of a jump after a look at it."""

    WATCH = 1
    SWITCH_OFF = 2
    """Its point is muted for the only run that uses it."""
    MUTE = 3
    """Its point costs too much."""


class Trail:
    """What the process knows of one code object, whoever runs it."""

    __slots__ = ("asleep", "blind_since", "gaps", "owner", "plan", "strays")

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.owner = 0
        """The birth of the run that uses it; `_MANY` where several do."""
        self.strays = 0
        """Events outside of activations since it was armed."""
        self.asleep = False
        """No events come from it."""
        self.blind_since = 0
        """When events of the whole code began, or stopped, being missed."""
        self.gaps: dict[int, int] = {}
        """The same for single points, by index into `Plan.points`."""

    def start_gap(self, point: int) -> None:
        """Note that events of a point will be missed from now on."""
        self.gaps[point] = next(clock)

    def fall_asleep(self) -> None:
        """Note that all events will be missed from now on."""
        self.asleep, self.blind_since = True, next(clock)

    def end_gaps(self) -> None:
        """Note that events come again: runs that are born from now on see all of them."""
        now = next(clock)
        if self.asleep:
            self.asleep, self.blind_since = False, now
        for point in self.gaps:
            self.gaps[point] = now
        self.strays = 0

    def is_unknown_to(self, birth: int, point: int) -> bool:
        """Whether a run that was born then may have missed events of a point."""
        return birth < self.blind_since or birth < self.gaps.get(point, 0)


_NO_TRAIL: Final = Trail()


class _Spot:
    """A point within one run: the cells whose counts add up to its occurrences."""

    __slots__ = (
        "cells",
        "has_condition",
        "is_in_loop",
        "is_loop",
        "is_while",
        "last_rounds",
        "names",
        "point",
        "rounds_before",
    )

    def __init__(self, planned: PlannedPoint) -> None:
        self.point = planned.point
        self.names = planned.names
        self.has_condition = planned.has_condition
        self.cells: list[Cell] = []
        self.is_loop = planned.point.kind in LOOP_KINDS
        self.is_while = self.is_loop and planned.has_condition
        self.is_in_loop = False
        """For a `while`: its last evaluation held."""
        self.rounds_before = 0
        """For a `while`: its rounds in this run until it last ended."""
        self.last_rounds = 0
        """For a `while`: the rounds that it made before it last ended."""

    @property
    def rounds(self) -> int:
        """For a loop: its rounds in this run."""
        return sum(cell.count for cell in self.cells if cell.way.outcome)


class Cell:
    """One way that one jump can go, within one run."""

    __slots__ = ("base", "count", "emitted", "looked_at", "spot", "trail", "wake", "way")

    def __init__(self, spot: _Spot, trail: Trail, way: Way) -> None:
        self.count = 0
        self.wake = 0
        self.base = _UNTOUCHED
        """The count before this activation."""
        self.looked_at = 0
        """The count when it last woke."""
        self.emitted = 0
        self.spot = spot
        self.trail = trail
        self.way = way


class _Nothing(Cell):
    """A way that settles nothing: it never wakes, so nobody looks at what it has not."""

    __slots__ = ()

    def __init__(self) -> None:
        self.count = 0
        self.wake = _NEVER


class Gate:
    """One conditional jump, within one run."""

    __slots__ = ("fall", "jump", "next_offset")

    def __init__(self, next_offset: int, fall: Cell, jump: Cell) -> None:
        self.next_offset = next_offset
        self.fall = fall
        self.jump = jump


class RunBranches:
    """Counts the decisions of one workflow instance, from its first activation on.

    A cached instance keeps it for life; an instance made to replay the run starts with a new one,
    and comes to the same counts.
    """

    def __init__(
        self,
        settings: BranchSettings | None = None,
        on_error: Callable[[str, Exception], None] | None = None,
        mark: Callable[[], int] | None = None,
    ) -> None:
        """Create it together with the workflow instance.

        Args:
            settings: How much to look at.
            on_error: Told where and what went wrong in here, such as `Guard.note`. Nothing is ever
                raised into workflow code.
            mark: Asked for a number as each decision is taken, such as a position on a tape.
        """
        self.settings = settings or BranchSettings()
        self.birth = 0
        """When it was first watched; 0 before."""
        self.code: CodeType | None = None
        """The code that `gates` belongs to: events mostly come several from one place."""
        self.gates: dict[int, Gate] = {}
        self.task: Callable[[], Any] = current_task
        self._on_error = on_error
        self._mark = mark
        self._marks: list[int] = []
        self._nothing = _Nothing()
        self._trail = _NO_TRAIL
        """Of `code`."""
        self._known: dict[int, tuple[CodeType, dict[int, Gate], Trail]] = {}
        self._spots: dict[BranchPoint, _Spot] = {}
        self._touched: list[Cell] = []
        """Cells that counted in this activation."""
        self._silenced: list[Cell] = []
        """Cells that must not, in this run."""
        self._taken: list[tuple[Cell, int, tuple[tuple[str, str], ...], int | None]] = []
        self._muted: set[BranchPoint] = set()
        self._once_muted: set[BranchPoint] = set()
        self._is_recording = False
        self._is_first = True
        self._is_broken = False
        self._budget = 0
        self._dropped = 0

    def open(self, *, recording: bool, is_read_only: Callable[[], bool] | None) -> None:
        """Begin an activation."""
        self._is_recording = recording
        self._budget = self.settings.evaluations
        self._dropped = 0
        self._taken, self._marks, self._muted = [], [], set()
        if not self._is_broken:
            self.task = _writing_task(is_read_only) if is_read_only else current_task

    def close(self, into: ActivationBranches, at: int | None) -> None:
        """End an activation and tell what it decided."""
        into.branches += [
            Branch(
                cell.spot.point, cell.way.outcome, occurrence, at, cell.way.because, values, rounds
            )
            for cell, occurrence, values, rounds in self._taken
        ]
        into.marks += self._marks
        for cell in self._touched:
            self._settle(cell, into)
        for cell in self._silenced:
            cell.wake = 0
        into.dropped += self._dropped
        into.muted |= self._muted
        self._once_muted |= self._muted
        self._touched, self._silenced, self._taken, self._marks = [], [], [], []
        self._is_first = False

    @property
    def n_taken(self) -> int:
        """How many branches of this activation are to be handed over so far."""
        return len(self._taken)

    def loops(self) -> Iterator[tuple[BranchPoint, int, bool]]:
        """The loops of the run: place, rounds so far, and whether more may have been missed."""
        for point, spot in self._spots.items():
            if spot.is_loop:
                yield point, spot.rounds, point in self._once_muted

    def is_counting(self, frame: FrameType) -> bool:
        """Whether code outside of any task counts: a constructor does, a polled condition not.

        Conditions that a workflow waits for are asked as often as anything happens. How often that
        is differs from worker to worker, and asking is no decision.
        """
        return self._is_first and is_constructing(frame)

    def turn_to(self, code: CodeType) -> bool:
        """Make `gates` those of a code object; false if they must be made first."""
        known = self._known.get(id(code))
        if known is None:
            return False
        self.code, self.gates, self._trail = known
        return True

    def learn(self, code: CodeType, trail: Trail) -> None:
        """Take notice of a code object, and turn to it."""
        if trail.owner != self.birth:
            trail.owner = _MANY if trail.owner else self.birth
        # The code is kept with its gates: its id means nothing once it is gone.
        self._known[id(code)] = code, {}, trail
        self.turn_to(code)

    def meet(self, offset: int) -> Gate | None:
        """Make the gate of a jump that comes for the first time; `None` if it decides nothing."""
        plan = self._trail.plan
        site = plan.sites.get(offset) if plan else None
        if plan is None or site is None:
            return None
        gate = Gate(site.next_offset, self._cell(plan, site.fall), self._cell(plan, site.jump))
        self.gates[offset] = gate
        return gate

    def attend(self, cell: Cell) -> Verdict:
        """Look at a cell that has reached its `wake`, and say what becomes of its jump."""
        spot, trail = cell.spot, cell.trail
        if trail.is_unknown_to(self.birth, cell.way.point):
            return self._silence(cell)
        if cell.base == _UNTOUCHED:
            cell.base = cell.looked_at = cell.count - 1
            self._touched.append(cell)
        self._budget -= cell.count - cell.looked_at
        cell.looked_at = cell.count
        if self._is_too_much(cell):
            self._muted.add(spot.point)
            return Verdict.MUTE
        if self._is_wanted(cell, spot):
            self._take(cell, spot)
        elif cell.way.outcome or not spot.is_while:
            # A loop's end is always looked at: the next round that begins is another loop's.
            self._grant(cell)
        return Verdict.WATCH

    def fail(self, error: Exception) -> None:
        """Report an error of our own, and give the run up: its counts are no longer sure."""
        self._is_broken = True
        self._is_first = False
        self.task = _no_task
        if self._on_error:
            self._on_error("watching branches", error)

    def _spot(self, planned: PlannedPoint) -> _Spot:
        spot = self._spots.get(planned.point)
        if spot is None:
            spot = self._spots[planned.point] = _Spot(planned)
        return spot

    def _cell(self, plan: Plan, way: Way | None) -> Cell:
        if way is None:
            return self._nothing
        spot = self._spot(plan.points[way.point])
        cell = Cell(spot, self._trail, way)
        spot.cells.append(cell)
        return cell

    def _silence(self, cell: Cell) -> Verdict:
        cell.wake = _NEVER
        self._silenced.append(cell)
        self._muted.add(cell.spot.point)
        is_private = cell.trail.owner == self.birth
        return Verdict.SWITCH_OFF if is_private else Verdict.WATCH

    def _is_too_much(self, cell: Cell) -> bool:
        is_hot = cell.count - cell.base > self.settings.evaluations_per_point
        return is_hot or self._budget < 0

    def _grant(self, cell: Cell) -> None:
        """Let a cell count by itself for a while, but not beyond what the limits allow."""
        share = self._budget // len(self._touched)
        grant = max(_SMALLEST_GRANT, min(_LARGEST_GRANT, share))
        limit = cell.base + self.settings.evaluations_per_point + 1
        cell.wake = min(cell.count + grant, limit)

    def _is_wanted(self, cell: Cell, spot: _Spot) -> bool:
        if spot.is_loop and not self._is_turn_of_loop(cell, spot):
            return False
        if not self._is_recording:
            return False
        has_room = len(self._taken) < self.settings.per_activation
        if has_room and cell.emitted < self.settings.per_outcome:
            return True
        self._dropped += spot.is_loop
        return False

    def _is_turn_of_loop(self, cell: Cell, spot: _Spot) -> bool:
        """Whether a loop begins or ends here."""
        if not spot.has_condition:
            return False
        was_in_loop, spot.is_in_loop = spot.is_in_loop, cell.way.outcome
        if cell.way.outcome:
            return not was_in_loop
        for other in spot.cells:
            if other.way.outcome:
                other.wake = 0
        rounds = spot.rounds
        spot.last_rounds, spot.rounds_before = rounds - spot.rounds_before, rounds
        return True

    def _take(self, cell: Cell, spot: _Spot) -> None:
        cell.emitted += 1
        occurrence = 0
        for other in spot.cells:
            occurrence += other.count
        values: tuple[tuple[str, str], ...] = ()
        if self.settings.capture_values:
            values = values_of(spot.names, sys._getframe(_FRAMES_TO_WORKFLOW))
        rounds = None
        if spot.is_while and not cell.way.outcome:
            rounds = spot.last_rounds
        self._taken.append((cell, occurrence, values, rounds))
        if self._mark is not None:
            self._marks.append(self._mark())

    def _settle(self, cell: Cell, into: ActivationBranches) -> None:
        """Count what a cell saw in this activation, and make it ready for the next."""
        spot, evaluated = cell.spot, cell.count - cell.base
        if not spot.is_loop:
            if self._is_recording:
                into.dropped += evaluated - cell.emitted
        elif cell.way.outcome:
            into.loops[spot.point] = into.loops.get(spot.point, 0) + evaluated
        cell.base, cell.emitted, cell.wake = _UNTOUCHED, 0, 0


def is_constructing(frame: FrameType) -> bool:
    """Whether a constructor is among a frame and its callers."""
    caller: FrameType | None = frame
    while caller:
        if caller.f_code.co_name == "__init__":
            return True
        caller = caller.f_back
    return False


def _no_task() -> None:
    return None


def _writing_task(is_read_only: Callable[[], bool]) -> Callable[[], Any]:
    def task() -> Any:
        # First the task: only a running loop can be asked whether it reads.
        found = current_task()
        return None if found is None or is_read_only() else found

    return task
