"""What the jumps of a code object mean.

A plan is made once for each piece of code and shared by all its copies: the sandbox imports a
workflow's modules anew for every run, so that equal code exists many times.

Polarity is read from the instruction itself, so that it does not depend on how the compiler laid
out the blocks: `POP_JUMP_IF_FALSE` taken says that the part before it was false. Only a `case`
needs a look at where the jumps lead, because its pattern is checked in several steps.
"""

from __future__ import annotations

import ast
import dis
from dataclasses import dataclass, field
from types import CodeType
from typing import Final

from tracer.branches._source import Case, Leaf, Loop, Range, SourceIndex, Test, contains
from tracer.branches.points import BranchPoint

_COMPARISONS: Final = frozenset({"COMPARE_OP", "IS_OP", "CONTAINS_OP"})
_UNCONDITIONAL: Final = frozenset({"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_ENDINGS: Final = frozenset(
    {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "INTERPRETER_EXIT"}
)
_NOWHERE: Final = -1
_NO_RANGE: Final = (0, 0, 0, 0)
_CODE_UNIT: Final = 2
"""Bytes; positions are listed by unit."""


@dataclass(frozen=True, slots=True)
class Way:
    """What it says that the interpreter went one way."""

    point: int
    """Index into `Plan.points`."""
    outcome: bool
    because: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One conditional jump."""

    next_offset: int
    """Where the interpreter goes on if it does not jump."""
    fall: Way | None
    """`None` where that settles nothing."""
    jump: Way | None


@dataclass(frozen=True, slots=True, eq=False)
class PlannedPoint:
    """A point, with what only capture needs to know of it."""

    point: BranchPoint
    names: tuple[str, ...]
    """What its condition reads."""
    has_condition: bool
    """False for loops that go on until something else ends them: `for`, `while True`."""


@dataclass(slots=True)
class Plan:
    """The decisions of a code object, by the byte offset of their jumps."""

    points: list[PlannedPoint] = field(default_factory=list)
    sites: dict[int, Site] = field(default_factory=dict)
    has_rounds: bool = False
    """There are loops without a condition: their unconditional jumps back are sites as well."""


def plan_of(code: CodeType, index: SourceIndex, file: str) -> Plan:
    """Read a code object with its source at hand.

    Args:
        code: The code; instrumented or not makes no difference.
        index: The decisions of the file it was compiled from.
        file: The name to show for that file.
    """
    return _Planner(code, index, file).plan


class _Planner:
    def __init__(self, code: CodeType, index: SourceIndex, file: str) -> None:
        self.plan = Plan()
        self._index = index
        self._qualname = code.co_qualname
        self._file = file
        self._numbers: dict[Test, int] = {}
        self._code: list[dis.Instruction] = []
        self._starts: list[int] = []
        """Where each instruction is jumped to: at the first of the prefixes of its argument."""
        self._positions: list[Range | None] = []
        self._at_offset: dict[int, int] = {}
        self._read(code)
        for number, instruction in enumerate(self._code):
            if site := self._site(number, instruction):
                self.plan.sites[instruction.offset] = site
        self._add_rounds()

    def _read(self, code: CodeType) -> None:
        start: int | None = None
        positions = [_complete(*where) for where in code.co_positions()]
        for instruction in dis.get_instructions(code):
            start = instruction.offset if start is None else start
            if instruction.opname == "EXTENDED_ARG":
                continue
            self._at_offset[start] = len(self._code)
            self._code.append(instruction)
            self._starts.append(start)
            self._positions.append(positions[instruction.offset // _CODE_UNIT])
            start = None

    def _site(self, number: int, instruction: dis.Instruction) -> Site | None:
        name = instruction.opname
        if name == "FOR_ITER":
            return self._for(number)
        if not name.startswith("POP_JUMP_IF_"):
            return None
        return (
            self._handler(number)
            or self._operand(number)
            or self._condition(number)
            or self._pattern(number)
        )

    def _for(self, number: int) -> Site | None:
        test = self._index.fors.get(self._position(number) or _NO_RANGE)
        if test is None:
            return None
        return Site(self._next_offset(number), self._way(test, True), None)

    def _handler(self, number: int) -> Site | None:
        """`except X`, and `except* X`, which takes a part of a group and leaves None if none."""
        is_plain = self._name(number - 1) == "CHECK_EXC_MATCH"
        is_group = self._name(number - 2) == "CHECK_EG_MATCH" and self._name(number - 1) == "COPY"
        test = self._index.handlers.get(self._position(number) or _NO_RANGE)
        if test is None or not (is_plain or is_group):
            return None
        return Site(self._next_offset(number), self._way(test, True), self._way(test, False))

    def _operand(self, number: int) -> Site | None:
        """An operand of an `and` or `or` whose value is used: a copy is tested, then kept."""
        before = number - 1
        if self._name(before) == "TO_BOOL":
            before -= 1
        operands = self._index.operands.get(self._position(number) or _NO_RANGE)
        if not operands or self._name(before) != "COPY":
            return None
        value = self._position(before - 1)
        # A load that was fused with the one before it carries that one's position. Between
        # operands stands a POP_TOP, so it can only be the first.
        leaf = next((leaf for where, leaf in operands if value and contains(where, value)), None)
        return self._leaf_site(number, leaf or operands[0][1])

    def _condition(self, number: int) -> Site | None:
        if self._name(number).endswith("NONE"):
            leaf = self._none_leaf(number)
        else:
            # First the instruction before: where a conditional jump back was turned round, it
            # carries the position of what follows it.
            leaf = self._leaf_at(number - 1) or self._leaf_at(number)
        return self._leaf_site(number, leaf) if leaf else None

    def _none_leaf(self, number: int) -> Leaf | None:
        leaf = self._index.none_operands.get(self._position(number - 1) or _NO_RANGE)
        leaf = leaf or self._leaf_at(number)
        return leaf if leaf and leaf.operator in (ast.Is, ast.IsNot) else None

    def _leaf_at(self, number: int) -> Leaf | None:
        return self._index.leaves.get(self._position(number) or _NO_RANGE)

    def _leaf_site(self, number: int, leaf: Leaf) -> Site:
        if leaf.is_chain and self._is_inner_link(number):
            return Site(self._next_offset(number), None, self._leaf_way(leaf, False))
        truth = self._truth_if_jumped(number, leaf)
        return Site(
            self._next_offset(number),
            self._leaf_way(leaf, not truth),
            self._leaf_way(leaf, truth),
        )

    def _truth_if_jumped(self, number: int, leaf: Leaf) -> bool:
        name = self._name(number)
        if name.endswith("NONE"):
            is_none = name == "POP_JUMP_IF_NONE"
            return is_none == (leaf.operator is ast.Is)
        truth = name == "POP_JUMP_IF_TRUE"
        before = self._code[number - 1]
        if not leaf.is_chain and before.opname in ("IS_OP", "CONTAINS_OP") and leaf.operator:
            # The compiler turns `not a in b` into `a not in b`, at the position of `a in b`.
            is_written_negated = leaf.operator in (ast.IsNot, ast.NotIn)
            if bool(before.arg) != is_written_negated:
                truth = not truth
        return truth

    def _is_inner_link(self, number: int) -> bool:
        """Whether this is `a < b` of `a < b < c`: a copy of `b` is kept for what follows."""
        before = number - 1
        if self._name(before) == "TO_BOOL":
            before -= 1
        if self._name(before) not in _COMPARISONS:
            return False
        copy = self._code[before - 1]
        return copy.opname == "COPY" and copy.arg == 2

    def _pattern(self, number: int) -> Site | None:
        case = self._index.cases.get(self._position(number) or _NO_RANGE)
        if case is None:
            return None
        fall = self._next_offset(number)
        return Site(
            fall,
            self._case_way(case, fall),
            self._case_way(case, self._code[number].argval),
        )

    def _case_way(self, case: Case, offset: int) -> Way | None:
        """Where a step of a pattern leads: into the body, on to the next step, or away."""
        number = self._at_offset[offset]
        for _ in self._code:
            position = self._position(number)
            name = self._name(number)
            if position is not None and position not in case.pattern:
                if case.guard and contains(case.guard, position):
                    return None
                return self._way(case.test, contains(case.body, position))
            if name.startswith("POP_JUMP_IF_"):
                return None
            if name in _ENDINGS:
                break
            number = (
                self._at_offset[self._code[number].argval] if name in _UNCONDITIONAL else number + 1
            )
        return self._way(case.test, False)

    def _add_rounds(self) -> None:
        """Make sites of the jumps back of `while True` and `async for`."""
        headers: dict[Range, Loop] = {}
        lines = [where[0] for where in self._positions if where]
        for loop in self._index.endless:
            # Its end jumps to its body; `continue` may jump to where the condition would be.
            is_near = bool(lines) and min(lines) <= loop.body[1] and loop.body[0] <= max(lines)
            first = self._first_position_in(loop.body) if is_near else None
            if first:
                headers[first] = headers[loop.test.where] = loop
        for number, instruction in enumerate(self._code):
            if instruction.opname != "JUMP_BACKWARD":
                continue
            target = self._at_offset[int(instruction.argval)]
            back_to = self._endless_loop(target, headers)
            position = self._position(number)
            # A jump from outside enters the loop: handlers of exceptions stand behind all else.
            if back_to and position and contains(back_to.where, position):
                site = Site(_NOWHERE, None, self._way(back_to.test, True))
                self.plan.sites[instruction.offset] = site
                self.plan.has_rounds = True

    def _endless_loop(self, target: int, headers: dict[Range, Loop]) -> Loop | None:
        position = self._position(target) or _NO_RANGE
        if self._name(target) == "GET_ANEXT":
            return self._index.async_fors.get(position)
        # Code behind the body may lie before the jump that ends it, and jump to that.
        is_header = self._name(target) != "FOR_ITER" and self._name(target) not in _UNCONDITIONAL
        return headers.get(position) if is_header else None

    def _first_position_in(self, body: Range) -> Range | None:
        return next((where for where in self._positions if where and contains(body, where)), None)

    def _leaf_way(self, leaf: Leaf, truth: bool) -> Way | None:
        outcome = leaf.if_true if truth else leaf.if_false
        if outcome is None:
            return None
        because = leaf.text if truth else leaf.negated
        return self._way(leaf.test, outcome, because if leaf.test.is_compound else "")

    def _way(self, test: Test, outcome: bool, because: str = "") -> Way:
        number = self._numbers.get(test)
        if number is None:
            number = self._numbers[test] = len(self.plan.points)
            point = BranchPoint(
                self._qualname,
                self._file,
                line=test.where[0],
                end_line=test.where[1],
                column=test.where[2],
                end_column=test.where[3],
                kind=test.kind,
                condition=test.text,
            )
            self.plan.points.append(PlannedPoint(point, test.names, test.has_condition))
        return Way(number, outcome, because)

    def _name(self, number: int) -> str:
        return self._code[number].opname if number >= 0 else ""

    def _next_offset(self, number: int) -> int:
        following = number + 1
        # 3.14 marks the way that goes on with an instruction of its own, and reports what is
        # behind it.
        if self._name(following) == "NOT_TAKEN":
            following += 1
        return self._starts[following]

    def _position(self, number: int) -> Range | None:
        return self._positions[number] if number >= 0 else None


def _complete(
    line: int | None, end_line: int | None, column: int | None, end_column: int | None
) -> Range | None:
    if line is None or end_line is None or column is None or end_column is None:
        return None
    return line, end_line, column, end_column
