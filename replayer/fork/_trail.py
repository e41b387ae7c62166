"""What happened to a fork, for its report and for its stored history."""

from __future__ import annotations

from dataclasses import dataclass, field

from temporalio.api.history.v1 import HistoryEvent

from replayer.fork._plans import Plan
from replayer.fork.report import AnswerSource, StopReason
from replayer.fork.script import Item


@dataclass(slots=True)
class Told:
    """A message that the fork was sent."""

    kind: str
    name: str
    at: int
    source: AnswerSource
    recorded: HistoryEvent | None = None


@dataclass(slots=True)
class Lived:
    """One activation of the fork."""

    started_at: int
    completed_at: int
    task_ends: int
    """Workflow tasks that had ended by then."""


@dataclass(slots=True)
class Trail:
    """What happened, for the report and for the stored history."""

    plans: list[Plan] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    lived: list[Lived] = field(default_factory=list)
    child_started_at: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    parted_at: str = ""
    parted_after: int | None = None
    """The time until which the fork did what was recorded; None where it always did."""
    stopped: StopReason = StopReason.CLOSED
    reason: str = ""
    undelivered: list[Item] = field(default_factory=list)

    def is_on_track_at(self, moment: int) -> bool:
        """Whether the fork still did what was recorded."""
        return self.parted_after is None or moment < self.parted_after
