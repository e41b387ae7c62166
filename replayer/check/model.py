"""What a check says: verdicts, explanations, and the commands that they speak of.

Everything here is plain data that can be pickled: verdicts are made in child processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tracer.identity import RunKey

__all__ = [
    "ChangeKind",
    "Command",
    "CommandKind",
    "Explanation",
    "Finding",
    "FindingKind",
    "Frame",
    "Verdict",
    "VerdictStatus",
    "innermost",
]


class CommandKind(StrEnum):
    """What workflow code can ask for, as it reads in a sentence."""

    ACTIVITY = "activity"
    LOCAL_ACTIVITY = "local activity"
    TIMER = "timer"
    CHILD = "child workflow"
    NEXUS = "Nexus operation"
    PATCH = "patch"
    SIGNAL_EXTERNAL = "signal to another workflow"
    CANCEL_EXTERNAL = "cancel request to another workflow"
    CANCEL_ACTIVITY = "cancel request to an activity"
    CANCEL_TIMER = "cancelled timer"
    CANCEL_NEXUS = "cancel request to a Nexus operation"
    SEARCH_ATTRIBUTES = "search attributes"
    MEMO = "memo"
    UPDATE_ACCEPTED = "update accepted"
    UPDATE_COMPLETED = "update completed"
    MARKER = "marker"
    COMPLETE = "workflow completed"
    FAIL = "workflow failed"
    CANCEL = "workflow cancelled"
    CONTINUE_AS_NEW = "continued as new"

    @property
    def closes(self) -> bool:
        """Whether it ends the run."""
        return self in _CLOSING


_CLOSING = frozenset(
    {
        CommandKind.COMPLETE,
        CommandKind.FAIL,
        CommandKind.CANCEL,
        CommandKind.CONTINUE_AS_NEW,
    }
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One place in Python code."""

    file: str
    line: int
    function: str
    text: str = ""
    """The source line, stripped; empty when the file cannot be read."""
    is_workflow_code: bool = True
    """False for libraries."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a workflow asked for: as history recorded it, or as code asks for it now."""

    kind: CommandKind
    name: str = ""
    """Activity type, workflow type, patch id, signal name, `service/operation`."""
    id: str = ""
    """Activity id, child workflow id, timer id, update id."""
    note: str = ""
    """What helps a reader to recognize it: a summary, a duration."""
    event_id: int | None = None
    """The event that recorded it; `None` for what code asks for now."""
    is_deprecated: bool = False
    """Of a patch: the code said `deprecate_patch`."""
    stack: tuple[Frame, ...] = field(default=(), compare=False)
    """Where the code asked for it, outermost first; only libraries and workflow code."""

    @property
    def text(self) -> str:
        """It in a few words: `activity charge (2, "first try")`."""
        words = f"{self.kind.value} {self.name}".rstrip()
        extra = ", ".join(part for part in (self.id, f'"{self.note}"' if self.note else "") if part)
        return f"{words} ({extra})" if extra else words

    @property
    def place(self) -> Frame | None:
        """The line of workflow code that asked for it."""
        return innermost(self.stack)


def innermost(stack: tuple[Frame, ...]) -> Frame | None:
    """The deepest frame of workflow code, or of anything when there is none."""
    own = [frame for frame in stack if frame.is_workflow_code]
    shown = own or list(stack)
    return shown[-1] if shown else None


class ChangeKind(StrEnum):
    """Why code and history part."""

    ADDED = "added"
    """The code asks for something that the history does not have."""
    REMOVED = "removed"
    """The code no longer asks for something."""
    REORDERED = "reordered"
    """The code asks for the same in another order."""
    RENAMED = "renamed"
    """The same kind of command under another name."""
    CHANGED_TYPE = "changed type"
    """Another kind of command in the same place, such as a local activity for an activity."""
    CHANGED_ID = "changed id"
    """The same command under another id of its own."""
    MISSING_PATCH = "missing patch"
    """The run took a patch that the code does not ask for any more."""
    WAITING = "waits"
    """The code waits where the history goes on."""
    SANDBOX = "sandbox"
    """Temporal's sandbox refuses what the code does."""
    DEADLOCK = "deadlock"
    """The code runs for seconds without yielding."""
    UNREGISTERED = "unregistered"
    """None of the given workflows has the run's type."""
    PAYLOAD = "payload"
    """Recorded data does not fit the code, or cannot be decoded."""
    EXCEPTION = "exception"
    """The code raises, which fails the workflow task."""
    HANGS = "hangs"
    """The replay did not come to an end."""
    CRASHES = "crashes"
    """The code takes the process down."""
    OTHER = "other"
    """The SDK refuses, and only it knows why."""


class FindingKind(StrEnum):
    """What the SDK's Replayer does not notice."""

    ARGUMENTS = "arguments"
    TIMEOUTS = "timeouts"
    RETRY_POLICY = "retry policy"
    TASK_QUEUE = "task queue"
    RESULT = "result"
    FAILURE = "failure"
    OPTIONS = "options"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Finding:
    """A command that replays, but is not the one that was recorded."""

    kind: FindingKind
    command: Command
    """As the code asks for it now; its event is the recorded one's."""
    field: str
    """What differs, such as `start_to_close_timeout`."""
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a run does not replay."""

    kind: ChangeKind
    summary: str
    """One sentence."""
    event_id: int | None = None
    """The first event that the code does not lead to."""
    expected: Command | None = None
    """What the history has there."""
    produced: Command | None = None
    """What the code asks for instead; `None` when it asks for nothing."""
    stack: tuple[Frame, ...] = ()
    """Where the code is, outermost first."""
    matched: tuple[Command, ...] = ()
    """The last commands that agree, in the order of the history."""
    suggestion: str = ""
    """What to do."""
    sdk: str = ""
    """What the SDK says, shortened to its message."""

    @property
    def place(self) -> Frame | None:
        """The line of workflow code to look at."""
        return innermost(self.stack)


class VerdictStatus(StrEnum):
    """The outcome of one check."""

    OK = "ok"
    """The code would go on with the run."""
    STUCK = "stuck"
    """It replays, up to a workflow task that fails now as it failed when it was recorded."""
    FAILED = "failed"
    """It would not."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of one run found."""

    key: RunKey
    uri: str
    """Where its history came from."""
    workflow_type: str
    status: VerdictStatus
    events: int
    """In the history."""
    commands: int = 0
    """That the code asked for, and history agreed with."""
    seconds: float = 0.0
    """Of the replay."""
    explanation: Explanation | None = None
    """When it is not OK."""
    findings: tuple[Finding, ...] = ()
    """Of a strict check."""

    @property
    def is_problem(self) -> bool:
        """Whether somebody should look at it."""
        return self.status is VerdictStatus.FAILED or bool(self.findings)
