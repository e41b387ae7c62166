"""What a decision is: the data that branch capture hands over, and nothing that captures.

A decision has a place (`BranchPoint`), and was taken once or many times (`Branch`). Both are facts
without behaviour, so that spans, tables and screens can be made from them.

Ids must come out the same on every worker that has or replays the run. So nothing here depends on
the machine: files are named from their package on, times are the workflow's, and `occurrence`
counts what a replay comes past as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class BranchKind(StrEnum):
    """What the author wrote to decide."""

    IF = "if"
    ELIF = "elif"
    WHILE = "while"
    """A loop's condition. Emitted when the loop is entered and when it ends; in between counted."""
    FOR = "for"
    """`for` and `async for`: rounds are counted, nothing is emitted."""
    MATCH = "match"
    """One `case` of a `match`, with its guard."""
    BOOLEAN = "boolean"
    """What stands before an `and` or `or` whose value is used: `limit or 100`."""
    TERNARY = "ternary"
    """`a if condition else b`"""
    FILTER = "filter"
    """The `if` of a comprehension."""
    EXCEPT = "except"
    """One `except` clause that looked at an exception."""
    ASSERT = "assert"
    DECISION = "decision"
    """What the workflow named with `tracer.decision`; its name stands for the condition."""


LOOP_KINDS = frozenset({BranchKind.WHILE, BranchKind.FOR})
"""Kinds whose rounds are counted."""


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """A place in workflow code where a decision is taken."""

    qualname: str
    """The function, such as `Refund.run` or `Refund.run.<locals>.<lambda>`."""
    file: str
    """Path from the folder that holds the top-level package on: `shop/refunds.py`."""
    line: int
    """First line of the condition, from 1."""
    end_line: int
    column: int
    """Where the condition starts in its line, in UTF-8 bytes from 0."""
    end_column: int
    kind: BranchKind
    condition: str
    """The condition's source text, at most 200 characters."""

    def __hash__(self) -> int:
        # All fields would cost as much as watching the decision.
        return hash((self.qualname, self.line, self.column))

    @property
    def id(self) -> str:
        """The same on every machine that runs this code: names the place within a run."""
        return f"{self.file}:{self.qualname}:{self.line}:{self.column}:{self.kind}"


@dataclass(frozen=True, slots=True)
class Branch:
    """One decision taken."""

    point: BranchPoint
    outcome: bool | str | int | float
    """Whether the condition held, as it is written: for `if not done`, true if it was not done. Of
    a named decision, what it came to."""
    occurrence: int
    """1 for the first evaluation of this point in this run, replays counted."""
    at: int | None = None
    """The workflow's time, in nanoseconds since the epoch: that of the activation."""
    because: str = ""
    """What settled a condition that is made of several: `not amount > 100`, where the author wrote
    `amount > 100 and is_new` and the amount was small. Empty for a condition of one part."""
    values: tuple[tuple[str, str], ...] = ()
    """Names that the condition reads with what they stood for; empty unless allowed. Of a named
    decision, its reasons as JSON."""
    rounds: int | None = None
    """For a `while` that ended: how many rounds it made."""


@dataclass(slots=True)
class ActivationBranches:
    """What one activation decided."""

    branches: list[Branch] = field(default_factory=list)
    """In the order in which the decisions were taken."""
    marks: list[int] = field(default_factory=list)
    """For each of `branches` the number that `RunBranches` was given a `mark` for; else empty."""
    loops: dict[BranchPoint, int] = field(default_factory=dict)
    """Rounds begun in this activation. The first round of a `while True` or of an `async for`
    leaves no mark, so these count the rounds that came after another."""
    dropped: int = 0
    """Decisions that were seen and counted, but are not among `branches`: a cap was reached."""
    muted: set[BranchPoint] = field(default_factory=set)
    """Points that are no longer looked at in this run, because they are evaluated so often that
    watching would cost too much. Their counts are lower bounds."""


@dataclass(frozen=True, slots=True)
class BranchSettings:
    """How much to look at. The limits bound the cost of an activation, whatever it does."""

    per_activation: int = 100
    """Most branches handed over for one activation. Each becomes a span, which costs more than the
    watching."""
    per_outcome: int = 20
    """Most branches handed over for one activation, point and outcome, so that a loop's body does
    not crowd out what comes after the loop."""
    evaluations: int = 2000
    """After so many evaluations in one activation, points are muted as they come."""
    evaluations_per_point: int = 1000
    """After so many evaluations in one activation, a point is muted."""
    capture_values: bool = False
    """Note what the names in a condition stood for. Off, because conditions read personal data."""
