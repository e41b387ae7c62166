"""Which command became which event: the SDK core's own procedure, so that both part where it does.

The core keeps what the code asks for in a queue, and each command event takes the first of it.
It compares the order, not the workflow task: something asked for too early waits in the queue.
What is cancelled before an event took it was never sent, and leaves the queue with its cancelling.
Local activities are found by their number, wherever their markers are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.child_workflow import ChildWorkflowCancellationType
from temporalio.bridge.proto.nexus import NexusOperationCancellationType
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType

from replayer.check.commands import Recorded, agrees, local_marker
from replayer.check.model import CommandKind
from replayer.check.watching import Activation, Asked

__all__ = ["Match", "Pair", "match"]

_ABANDON: dict[str, int] = {
    "schedule_activity": ActivityCancellationType.ABANDON,
    "start_child_workflow_execution": ChildWorkflowCancellationType.ABANDON,
    "schedule_nexus_operation": NexusOperationCancellationType.ABANDON,
}
_CANCELS = {
    "cancel_timer": ("start_timer", "seq"),
    "request_cancel_activity": ("schedule_activity", "seq"),
    "cancel_child_workflow_execution": ("start_child_workflow_execution", "child_workflow_seq"),
    "request_cancel_nexus_operation": ("schedule_nexus_operation", "seq"),
    "cancel_signal_workflow": ("signal_external_workflow_execution", "seq"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A recorded command and what the code asked for, which are the same."""

    recorded: Recorded
    asked: Asked


@dataclass(slots=True)
class Match:
    """How far code and history agree."""

    pairs: list[Pair] = field(default_factory=list)
    expected: list[Recorded] = field(default_factory=list)
    """From the first event on that found no fitting command; empty when all did."""
    produced: list[Asked] = field(default_factory=list)
    """What was left in the queue there."""

    @property
    def parts_at(self) -> int | None:
        """The first event that the code does not lead to."""
        return self.expected[0].event.event_id if self.expected else None


def match(
    recorded: Sequence[Recorded], activations: Sequence[Activation], *, with_ids: bool = False
) -> Match:
    """Let the events take what the code asked for.

    Args:
        recorded: The commands of the history.
        activations: Of the replay, in order.
        with_ids: Also compare the ids of activities and child workflows.
    """
    queue = _Queue(with_ids)
    events = deque(recorded)
    for index, activation in enumerate(activations):
        queue.ask(activation.asked)
        is_last = index + 1 == len(activations)
        limit = None if is_last else activations[index + 1].history_length
        if not queue.take(events, limit):
            queue.match.expected = list(events)
            break
    queue.match.produced = list(queue.waiting)
    return queue.match


class _Queue:
    def __init__(self, with_ids: bool) -> None:
        self.match = Match()
        self.waiting: deque[Asked] = deque()
        self._with_ids = with_ids
        self._local: dict[int, Asked] = {}
        self._sent: dict[tuple[str, int], Asked] = {}
        self._cancelled: set[tuple[str, int]] = set()

    def ask(self, asked: Iterable[Asked]) -> None:
        """Put what the code asks for in the queue."""
        for each in asked:
            if each.variant == "schedule_local_activity":
                self._local[each.seq or 0] = each
            elif each.variant in _CANCELS:
                self._cancel(each)
            else:
                self.waiting.append(each)

    def take(self, events: deque[Recorded], limit: int | None) -> bool:
        """Let events before `limit` take their commands; `False` where one finds none."""
        while events and (limit is None or events[0].event.event_id < limit):
            seq = local_marker(events[0])
            asked = self._next(events[0]) if seq is None else self._local.get(seq)
            if asked is None or not self._fits(events[0], asked):
                if seq is None and events[0].command.is_deprecated:
                    events.popleft()  # Code may drop a deprecated patch.
                    continue
                return False
            if seq is None:
                self._sent[asked.variant, asked.seq or 0] = self.waiting.popleft()
            self.match.pairs.append(Pair(events.popleft(), asked))
        return True

    def _next(self, event: Recorded) -> Asked | None:
        """The first in the queue; a deprecated patch that the history lacks is no command."""
        while self.waiting and self.waiting[0].command.is_deprecated:
            if agrees(event.command, self.waiting[0].command):
                break
            self.waiting.popleft()
        return self.waiting[0] if self.waiting else None

    def _fits(self, event: Recorded, asked: Asked) -> bool:
        if event.command.kind is CommandKind.LOCAL_ACTIVITY:
            return event.command.name == asked.command.name
        if not agrees(event.command, asked.command):
            return False
        if self._with_ids and event.command.kind in (CommandKind.ACTIVITY, CommandKind.CHILD):
            return event.command.id == asked.command.id
        return True

    def _cancel(self, asked: Asked) -> None:
        started, field = _CANCELS[asked.variant]
        seq = int(getattr(getattr(asked.proto, asked.variant), field))
        for each in self.waiting:
            if each.variant == started and each.seq == seq:
                self.waiting.remove(each)
                return
        what = self._sent.get((started, seq))
        if asked.variant == "cancel_signal_workflow" or (started, seq) in self._cancelled:
            return
        self._cancelled.add((started, seq))
        if what is not None and not _is_abandoned(what.proto, started):
            self.waiting.append(asked)


def _is_abandoned(proto: Any, variant: str) -> bool:
    """Whether cancelling is not sent on; such a command leaves no event."""
    kind = getattr(getattr(proto, variant), "cancellation_type", None)
    return variant in _ABANDON and kind == _ABANDON[variant]
