"""What the code asked for during a replay, activation by activation, with the places in the code.

The hook copies what it sees and judges nothing. It is also where the replay is looked at before
the SDK takes the run down: that is the last moment at which the code can be asked to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_activation import RemoveFromCache
from temporalio.converter import DataConverter

from replayer.check.commands import command_asked
from replayer.check.issuing import IssueWatch, Place, readable, waiting_stacks
from replayer.check.model import Command
from replayer.replaying import ReplayHook

__all__ = ["Activation", "Asked", "CheckHook"]


@dataclass(slots=True)
class Asked:
    """A command of the code."""

    command: Command
    proto: Any
    """`WorkflowCommand`, before the payload codec."""
    stack: tuple[Place, ...]

    @property
    def variant(self) -> str:
        """The kind of the protobuf command."""
        return str(self.proto.WhichOneof("variant"))

    @property
    def seq(self) -> int | None:
        """Its number among those of its kind; `None` for commands without one."""
        seq = getattr(getattr(self.proto, self.variant), "seq", None)
        return seq if isinstance(seq, int) else None

    def shown(self) -> Command:
        """The command with its stack, source lines included."""
        command = self.command
        return Command(
            command.kind,
            command.name,
            command.id,
            command.note,
            command.event_id,
            command.is_deprecated,
            readable(self.stack),
        )


@dataclass(slots=True)
class Activation:
    """One activation and its answer."""

    history_length: int
    """The id of the `WorkflowTaskStarted` that it replays; the last event's in the last one."""
    is_replaying: bool
    flags: Sequence[int] = ()
    """The SDK's own, which the history recorded."""
    asked: list[Asked] = field(default_factory=list)
    failure: Any = None
    """`Failure`, when the workflow task fails."""


class CheckHook(ReplayHook):
    """Collects the activations of one replay."""

    def __init__(self, before_end: Callable[[CheckHook, str], None] | None = None) -> None:
        """Collect.

        Args:
            before_end: Called in the workflow's thread, with what the SDK says, before it takes
                down a run whose code does not fit.
        """
        self.activations: list[Activation] = []
        self.waiting: list[tuple[Place, ...]] = []
        """Where the code waited in the end, the longest stack first."""
        self.watch = IssueWatch()
        self.data_converter: DataConverter = DataConverter.default
        """What the replay converts with, plugins considered."""
        self.instance: Any = None
        """The workflow instance, as the SDK activates it."""
        self.definition: Any = None
        """Of the workflow."""
        self._before_end = before_end

    def configured(self, arguments: Mapping[str, Any]) -> None:
        """Know the converter."""
        self.data_converter = arguments["data_converter"]

    def created(self, details: Any, instance: Any) -> None:
        """Know the instance."""
        self.instance, self.definition = instance, details.defn

    def activating(self, activation: Any) -> None:
        """Prepare for the commands to come; look around when it is the end."""
        self.watch.begin()
        if not any(job.HasField("remove_from_cache") for job in activation.jobs):
            self.activations.append(
                Activation(
                    activation.history_length,
                    activation.is_replaying,
                    list(activation.available_internal_flags),
                )
            )
            return
        if self.watch.instance is not None and not self.waiting:
            self.waiting = waiting_stacks(self.watch.instance)
            eviction = activation.jobs[0].remove_from_cache
            if self._before_end is not None and eviction.reason == RemoveFromCache.NONDETERMINISM:
                self._before_end(self, eviction.message)

    def activated(self, activation: Any, completion: Any) -> None:
        """Take in the answer."""
        self.watch.finish()
        if not any(job.HasField("remove_from_cache") for job in activation.jobs):
            self.answered(self.activations[-1], completion)

    def broken(self, activation: Any, error: BaseException) -> None:
        """Leave the thread as it was."""
        self.watch.finish()

    def answered(self, activation: Activation, completion: Any) -> None:
        """Add a completion to an activation."""
        if completion.HasField("failed"):
            activation.failure = completion.failed.failure
        for index, proto in enumerate(completion.successful.commands):
            command = command_asked(proto)
            if command is not None:
                # A copy: the payload codec changes the completion in place afterwards.
                kept = type(proto)()
                kept.CopyFrom(proto)
                activation.asked.append(Asked(command, kept, self.watch.stack_of(index)))
