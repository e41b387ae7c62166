"""What a fork did, step by step: which answers were recorded and which were not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["AnswerSource", "ForkReport", "ForkRow", "StopReason"]


class AnswerSource(StrEnum):
    """Where an answer came from."""

    RECORDED = "recorded"
    CHANGED = "changed"
    """Recorded, and changed by what the fork was asked for."""
    STUBBED = "stubbed"
    LIVE = "live"
    """A real activity ran."""
    CLOCK = "clock"
    """A timer: the clock was moved."""
    UNANSWERED = "unanswered"
    INJECTED = "injected"
    """A signal that the recording does not have."""


class StopReason(StrEnum):
    """Why a fork went no further."""

    CLOSED = "closed"
    """It came to its own end."""
    CONTINUED_AS_NEW = "continued_as_new"
    """The next run of the chain is not forked."""
    UNANSWERED = "unanswered"
    """A step has no recorded answer, and nobody said what to answer."""
    RECORDING_ENDS = "recording_ends"
    """The recorded run was still open there."""
    WAITING = "waiting"
    """It waits for a signal or update that the recording does not have."""
    TASK_FAILED = "task_failed"
    """The workflow code raised an exception that fails the workflow task."""


@dataclass(frozen=True, slots=True)
class ForkRow:
    """One step, signal or update of the fork."""

    kind: str
    """A step's kind, `signal`, `update` or `cancel_request`."""
    name: str
    id: str
    answer: AnswerSource
    outcome: str
    """One of `tracer.model.Outcome`, `open`, or empty for messages."""
    recorded_event_id: int | None = None
    """The recorded event that gave the answer."""
    input: str = ""
    """Of an unanswered step, as JSON text, cut."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ForkReport:
    """What was recorded and what was not, and how it ended."""

    point: str
    changes: str
    status: str
    """Of the fork, one of `tracer.model.RunStatus`."""
    stopped: StopReason
    reason: str
    """In words; empty where it came to its own end."""
    rows: tuple[ForkRow, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be kept as recorded."""
    parted_at: str = ""
    """The first thing that the fork's code did otherwise; empty where it never did."""

    @property
    def unanswered(self) -> tuple[ForkRow, ...]:
        """Steps without an answer."""
        return tuple(row for row in self.rows if row.answer is AnswerSource.UNANSWERED)

    @property
    def is_whole(self) -> bool:
        """Whether the fork went as far as it could go."""
        return self.stopped in (
            StopReason.CLOSED,
            StopReason.CONTINUED_AS_NEW,
            StopReason.RECORDING_ENDS,
        )

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
