"""The words of a tape: what reading it gives. Facts without behaviour.

A *position* counts everything that was recorded, from 0: each line before it runs, and the calls,
returns, awaits and exceptions between lines. A *frame* is one call of a function; a *coroutine* is
one thing that the workflow does beside others: its run method, a handler, a gathered task.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from replayer.tape.values import Value, value_of
from tracer.branches import Branch

__all__ = [
    "Activation",
    "Change",
    "Command",
    "Coroutine",
    "CoroutineKind",
    "FrameState",
    "Job",
    "Kind",
    "Place",
    "Source",
    "SourceState",
    "Stop",
    "StopKind",
    "TapeBranch",
    "TapeHead",
    "Variable",
]


class Kind(IntEnum):
    """What a position is."""

    ACTIVATION = 0
    """An activation begins; no code has run in it yet."""
    CALL = 1
    """A function begins: its arguments are there."""
    LINE = 2
    """A line is about to run."""
    RETURN = 3
    """A function returns; the subject is what it returns."""
    AWAIT = 4
    """A coroutine stands still until what it awaits is there."""
    RESUME = 5
    """A coroutine or generator goes on."""
    YIELD = 6
    """A generator hands over a value, the subject, and stands still."""
    EXCEPTION = 7
    """An exception arrives in a frame: raised there, or by what it called. It is the subject."""
    UNWIND = 8
    """An exception ends a frame."""
    GONE = 9
    """A frame was dropped while it stood still."""
    COMMANDS = 10
    """An activation ends: its commands go out."""


class CoroutineKind(StrEnum):
    """What a coroutine is to the workflow."""

    MAIN = "main"
    """The run method."""
    SIGNAL = "signal"
    UPDATE = "update"
    TASK = "task"
    """Started by the workflow: gathered, or by `asyncio.create_task`."""
    INIT = "init"
    """The constructor."""
    CONDITION = "condition"
    """What a `wait_condition` waits for, asked by the SDK whenever anything happens."""
    SDK = "sdk"
    """Called by the SDK for something else, such as reading a payload into the workflow's types."""


class StopKind(StrEnum):
    """Why a tape ends where it ends."""

    CLOSED = "closed"
    """The run ended: the tape is whole."""
    WAITING = "waiting"
    """The history ends, or the run is open: it waits for what `Stop.text` says."""
    NONDETERMINISM = "nondeterminism"
    """The code asked for something else than the history has."""
    FAILED = "failed"
    """The workflow code or the replay of it raised."""
    STUCK = "stuck"
    """The code did not come back, or took more memory than it may."""
    FULL = "full"
    """The tape has as many positions as it may have."""
    INTERRUPTED = "interrupted"
    """The recording was cut off: the tape has what was written until then."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a tape ends where it ends."""

    kind: StopKind
    text: str
    """One line for people, such as `waits for activity charge (event 17)`."""


@dataclass(frozen=True, slots=True)
class TapeHead:
    """What was recorded, by what."""

    namespace: str
    workflow_id: str
    run_id: str
    workflow_type: str
    workflow: str
    """The class, as `module:Class`."""
    history_sha256: str
    """Of the history's bytes."""
    event_count: int
    python: str
    """Version of the interpreter that recorded."""
    sdk: str
    """Version of temporalio that recorded."""
    retrospan: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a position is."""

    position: int
    kind: Kind
    activation: int
    """Its number, from 0."""
    file: str = ""
    """From the folder that holds the top-level package on; empty at an activation's ends."""
    line: int = 0
    """From 1; 0 where there is no file."""
    function: str = ""
    """Qualified name."""
    frame: int | None = None
    coroutine: int | None = None


@dataclass(frozen=True, slots=True)
class Coroutine:
    """One thing that the workflow does beside others."""

    number: int
    """From 0, in the order in which they first ran."""
    kind: CoroutineKind
    name: str
    """The signal's or update's name; of a task the function that it runs."""
    first: int
    """The position at which it first ran."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that an activation brought to the workflow."""

    name: str
    """The SDK's name, such as `resolve_activity`."""
    about: str
    """What it is about: the name of a signal, of an activity, of a timer."""
    event_id: int | None
    """The event that it came from; None for what no event stands for."""
    position: int | None
    """The position at which it took effect; None if no workflow code ran for it."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that the workflow asked for in an activation."""

    name: str
    """The SDK's name, such as `schedule_activity`."""
    about: str
    event_id: int | None
    """The event that it became; None if the history has none, as at its end."""
    position: int
    """The line that asked for it."""


@dataclass(frozen=True, slots=True)
class Activation:
    """One workflow task as the SDK ran it: jobs in, commands out."""

    number: int
    first: int
    """Its first position."""
    last: int
    """Its last position."""
    at: int
    """The workflow's time, in nanoseconds since the epoch."""
    event_id: int
    """The `WORKFLOW_TASK_STARTED` up to which the workflow had seen the history."""
    is_replaying: bool
    """False for what the history does not confirm: its last activation, if the run is open."""
    jobs: tuple[Job, ...]
    commands: tuple[Command, ...]
    failure: str
    """Why the activation failed, on one line; empty if it did not."""
    loops: tuple[tuple[str, int], ...]
    """`BranchPoint.id` of loops, with the rounds that were begun."""


@dataclass(frozen=True, slots=True)
class TapeBranch:
    """A decision, with the position at which it was taken."""

    branch: Branch
    position: int
    activation: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A name with its value at a position."""

    name: str
    """`total`, or `self.total` for an attribute."""
    snapshot: Any = field(repr=False)
    """The value as the tape stores it."""
    changed_at: int
    """The position at which the value was first seen to be this one."""
    set_by: int | None
    """The position of the line that set it; None where nobody was seen to: the first sight of
    something, or a change through another name."""

    @property
    def value(self) -> Value:
        """The value, read anew each time."""
        return value_of(self.snapshot)


@dataclass(frozen=True, slots=True)
class FrameState:
    """One call of a function at a position."""

    frame: int
    function: str
    file: str
    line: int
    """Where it is: about to run, waiting for the function it called, or awaiting."""
    line_position: int
    """The position of that line."""
    coroutine: int
    variables: tuple[Variable, ...]
    """Locals in the order in which they were first seen, then attributes of `self`, then globals
    of the module: those that lines have touched."""

    def variable(self, name: str) -> Variable | None:
        """A name with its value; None if it has none here."""
        return next((found for found in self.variables if found.name == name), None)

    def value(self, name: str) -> Value | None:
        """The value of a name; None if it has none here."""
        found = self.variable(name)
        return None if found is None else found.value


@dataclass(frozen=True, slots=True)
class Change:
    """A name got a value."""

    name: str
    position: int
    """Where it was first seen."""
    set_by: int | None
    """The position of the line that set it, see `Variable.set_by`."""
    value: Value


class SourceState(StrEnum):
    """How a file on disk compares with what ran."""

    SAME = "same"
    DIFFERS = "differs"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Source:
    """A source file as it was when it ran."""

    file: str
    """As `Place.file`."""
    text: str
    sha256: str
    path: str
    """Where it was on the machine that recorded."""
