"""The words of a comparison: entries, aligned rows, and why two entries differ.

Facts without behaviour that costs: an entry points into the `Run` it was made from and copies
nothing, so that two runs of 50,000 events can be compared in the memory that holds them. What a
screen, a page or JSON shows of a row is made from these words, by whoever shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tracer.model import Failure, Run
from tracer.model.words import NO_PAYLOADS, Payload

__all__ = [
    "MESSAGES",
    "STEPS",
    "AlignedRow",
    "Decision",
    "Entry",
    "EntryKind",
    "Knowledge",
    "Reason",
    "Side",
    "StepCalls",
    "StepKey",
    "Verdict",
]


class EntryKind(StrEnum):
    """What an entry of a run is. Kinds of steps are named as in `tracer.model.StepKind`."""

    START = "start"
    """The run begins, with its input."""
    ACTIVITY = "activity"
    LOCAL_ACTIVITY = "local_activity"
    CHILD_WORKFLOW = "child_workflow"
    NEXUS_OPERATION = "nexus_operation"
    TIMER = "timer"
    SIGNAL_EXTERNAL = "signal_external"
    CANCEL_EXTERNAL = "cancel_external"
    SIGNAL = "signal"
    UPDATE = "update"
    WAIT = "wait"
    BRANCH = "branch"
    CONTINUE = "continue_as_new"
    """Where a run of a chain ends and the next begins; its input is the next run's."""
    END = "end"
    """How the run stands, with its result."""


STEPS: Final = frozenset(
    {
        EntryKind.ACTIVITY,
        EntryKind.LOCAL_ACTIVITY,
        EntryKind.CHILD_WORKFLOW,
        EntryKind.NEXUS_OPERATION,
        EntryKind.TIMER,
        EntryKind.SIGNAL_EXTERNAL,
        EntryKind.CANCEL_EXTERNAL,
    }
)
"""What the workflow asked for."""

MESSAGES: Final = frozenset({EntryKind.SIGNAL, EntryKind.UPDATE})
"""What others sent it, whenever they liked."""


class Verdict(StrEnum):
    """What became of an entry."""

    EQUAL = "equal"
    CHANGED = "changed"
    ONLY_LEFT = "only_left"
    ONLY_RIGHT = "only_right"
    MOVED = "moved"
    """On both sides, but at another place in the order that the code prescribes."""


class Reason(StrEnum):
    """In what two entries differ."""

    INPUT = "input"
    OUTPUT = "output"
    OUTCOME = "outcome"
    ATTEMPTS = "attempts"
    DURATION = "duration"
    MODEL = "model"
    TOKENS = "tokens"
    COST = "cost"
    BRANCH = "branch"
    """A decision that went the other way."""
    POLICY = "policy"
    """Timeouts, retry policy or task queue."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that workflow code took, from branch spans or from a tape."""

    place: str
    """Names the place within a run, as `tracer.branches.BranchPoint.id` does."""
    qualname: str
    """The function."""
    line: int
    condition: str
    """The condition's source text."""
    outcome: bool | str | int | float
    """Whether the condition held; of a named decision, what it came to."""
    occurrence: int
    """1 for the first evaluation of this place in the run."""
    at: int
    """The workflow's time, nanoseconds since the epoch: that of the activation."""
    file: str = ""
    values: tuple[tuple[str, str], ...] = ()
    """Names that the condition reads with what they stood for; empty where nobody captured them."""
    because: str = ""
    """What settled a condition that is made of several."""


type StepKey = tuple[str, str, int]
"""Kind, id and occurrence of a step, as `tracer.model.Step` has them."""


@dataclass(frozen=True, slots=True)
class StepCalls:
    """The model calls that a step made, all attempts together, where spans told of them."""

    model: str
    """The models, where there were several."""
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    """`None` unless the price of each billable call is known."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of a run beside its history."""

    decisions: Sequence[Decision] = ()
    """In the order in which they were taken; empty if nobody watched."""
    calls: Mapping[StepKey, StepCalls] = field(default_factory=dict)
    """Of steps whose calls are known better than from their results."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a run, and what else is known of it."""

    run: Run
    decisions: Sequence[Decision] = ()
    """In the order in which they were taken; empty if nobody watched."""
    next: Side | None = None
    """The run that continued this one, where the chain is followed."""
    children: Mapping[str, Side] = field(default_factory=dict)
    """Runs of child workflows by run id, where they are followed."""
    calls: Mapping[StepKey, StepCalls] = field(default_factory=dict)
    """Model calls that are known better than from the results of steps."""


@dataclass(slots=True)
class Entry:
    """One thing of a run, at its place in the order of the workflow's logic."""

    kind: EntryKind
    name: str
    """What `tracer.model` calls it; empty for a timer without a summary, whose id means nothing."""
    position: int
    """Its place among the entries of its side, from 0."""
    event_id: int | None
    """The event that asked for it or brought it."""
    at: int | None
    """Nanoseconds since the epoch."""
    id: str = ""
    """The id in the history; never compared, because servers and libraries draw it at random."""
    seq: int | None = None
    """`Step.seq`, for steps."""
    answer_event_id: int | None = None
    """The event that answered it."""
    outcome: str = ""
    """In Temporal's words; `open` while there is none; what woke it for a wait."""
    failure: Failure | None = None
    input: Sequence[Payload] = NO_PAYLOADS
    output: Sequence[Payload] = NO_PAYLOADS
    attempts: int = 0
    """Tries begun; 0 for what is not tried."""
    duration_ns: int | None = None
    """From asked for to answered, `None` while it is open or where nothing takes time."""
    summary: str = ""
    policy: tuple[tuple[str, str], ...] = ()
    """Timeouts, retry policy and task queue, by name."""
    model: str = ""
    """The model that answered; empty for what is no model call."""
    is_model_call: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    price: Callable[[], float | None] | None = None
    """Works out the cost: that takes longer than all else about an entry, and few are looked at."""
    turn: int = 0
    """The number of the last model call so far: 1 for the first; 0 before it."""
    decision: Decision | None = None
    """Set for a branch."""
    child_run_id: str = ""
    run: int = 0
    """Index of its run in the chain."""

    @property
    def cost_usd(self) -> float | None:
        """`None` for a call whose price is not known, and for what is no call."""
        return None if self.price is None else self.price()

    @property
    def tokens(self) -> int | None:
        """Input and output tokens, `None` where neither is reported."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One line of a comparison: an entry of each side, or of one."""

    verdict: Verdict
    left: Entry | None
    right: Entry | None
    reasons: tuple[Reason, ...] = ()
    """In what they differ; empty when equal, and for what is on one side only."""
    volatile: tuple[Reason, ...] = ()
    """In what they differ only by ids, times or addresses that no two runs share."""
    path: tuple[str, ...] = ()
    """Names of the child workflows that the row is in, outermost first."""
    left_run: Side | None = field(default=None, repr=False, compare=False)
    """The run of the left entry."""
    right_run: Side | None = field(default=None, repr=False, compare=False)
    """The run of the right entry."""

    @property
    def entry(self) -> Entry:
        """The left entry, or the right one where there is no left."""
        entry = self.left or self.right
        assert entry is not None, "a row has an entry"
        return entry

    @property
    def is_difference(self) -> bool:
        """Whether the runs differ here in more than the time that things took.

        Whether a run stood still at some moment depends on how fast its parallel steps were, so a
        wait on one side only is a matter of time too.
        """
        if self.verdict is Verdict.CHANGED:
            return set(self.reasons) != {Reason.DURATION}
        return self.verdict is not Verdict.EQUAL and self.entry.kind is not EntryKind.WAIT
