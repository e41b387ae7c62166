"""The words of a run: what the state machine makes of activations or events.

These classes hold facts and nothing else. They know neither OpenTelemetry nor a database, so that
spans, tables, tapes and screens can all be made from them and cannot disagree. The machine owns
them and fills them in as a run goes on; everybody else reads.

Times are integer nanoseconds since the Unix epoch, UTC, as the history records them. `None` means
that it did not happen, or that the source does not say; the field's docstring tells which.
Payloads are kept as they came, encoded, in Temporal's own `Payload` message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tracer.identity import RunKey

type Payload = Any
"""A `temporalio.api.common.v1.Payload`; `Any` keeps this module free of temporalio."""

NO_PAYLOADS: Sequence[Payload] = ()
"""The input or result of something that has none."""


def elapsed_ns(start: int | None, end: int | None) -> int | None:
    """Nanoseconds between two times, `None` where one is missing.

    Never negative: the clocks of two machines may differ by more than a short step took.
    """
    return None if start is None or end is None else max(end - start, 0)


class RunStatus(StrEnum):
    """How a run stands, in the words of Temporal's own workflow execution status."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    TIMED_OUT = "TIMED_OUT"


class StepKind(StrEnum):
    """What a workflow can ask for."""

    ACTIVITY = "activity"
    LOCAL_ACTIVITY = "local_activity"
    CHILD_WORKFLOW = "child_workflow"
    NEXUS_OPERATION = "nexus_operation"
    TIMER = "timer"
    SIGNAL_EXTERNAL = "signal_external"
    CANCEL_EXTERNAL = "cancel_external"


class Outcome(StrEnum):
    """How a step, attempt, update or workflow task ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    REJECTED = "rejected"


class AttemptSource(StrEnum):
    """Where the knowledge of an attempt comes from."""

    SPAN = "span"
    """Exact: the worker watched it."""
    HISTORY = "history"
    """A history tells of the last attempt, and of the one before only its failure."""


class WokenBy(StrEnum):
    """What ended a wait."""

    SIGNAL = "signal"
    UPDATE = "update"
    TIMER = "timer"
    CANCEL_REQUEST = "cancel_request"
    RUN_CLOSED = "run_closed"
    UNKNOWN = "unknown"


class TaskFailureKind(StrEnum):
    """Why a workflow task failed, in the classes that need different remedies."""

    NONDETERMINISM = "nondeterminism"
    DEADLOCK = "deadlock"
    PAYLOAD_SIZE = "payload_size"
    SANDBOX = "sandbox"
    UNREGISTERED = "unregistered"
    USER_EXCEPTION = "user_exception"
    RESET = "reset"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Failure:
    """One link of a chain of failures, as Temporal's `Failure` message records it."""

    kind: str
    """`application`, `timeout`, `canceled`, `terminated`, `server`, `activity`, `child_workflow`,
    `nexus_operation`, `nexus_handler`, `reset`, or `unknown`. Where a server records a cause
    instead of a failure: `child_start`, `external`."""
    type: str
    """The exception's class for an application failure, the timeout's type for a timeout, the
    server's cause."""
    message: str
    stack_trace: str = ""
    source: str = ""
    """The SDK that reported it, such as `PythonSDK`."""
    non_retryable: bool = False
    benign: bool = False
    """An expected failure that its author asked not to be reported as an error."""
    encoded: bool = False
    """Message and stack trace are encrypted in `encoded_attributes`; the message is a stand-in."""
    activity_type: str = ""
    """Set on the `activity` link of a chain."""
    retry_state: str = ""
    cause: Failure | None = None

    @property
    def root(self) -> Failure:
        """The innermost cause: what went wrong, without the layers that passed it on."""
        failure = self
        while failure.cause is not None:
            failure = failure.cause
        return failure

    @property
    def chain(self) -> tuple[Failure, ...]:
        """This failure, its cause, and so on to the root."""
        links = [self]
        while (cause := links[-1].cause) is not None:
            links.append(cause)
        return tuple(links)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When Temporal tries a step again. Durations in seconds."""

    initial_interval: float | None
    backoff_coefficient: float
    maximum_interval: float | None
    maximum_attempts: int
    """0 means without limit."""
    non_retryable_error_types: tuple[str, ...] = ()


@dataclass(slots=True)
class Attempt:
    """One try of a step."""

    number: int
    """1 for the first."""
    source: AttemptSource
    started_at: int | None
    """`None` where only the failure is known."""
    ended_at: int | None = None
    outcome: Outcome | None = None
    """`None` while it runs."""
    failure: Failure | None = None
    identity: str = ""
    """The worker that ran it."""


@dataclass(slots=True)
class Step:
    """One thing that the workflow asked for."""

    kind: StepKind
    name: str
    """Activity type, child workflow type, `service/operation`, signal name; a timer's summary, or
    its id where it has none."""
    id: str
    """The id that worker and history share: activity id, timer id, child workflow id."""
    occurrence: int
    """1, and more where the run uses kind and id again."""
    seq: int
    """Its place among the steps of the run, from 1, in the order in which they were asked for."""
    scheduled_at: int
    scheduled_event_id: int | None = None
    """`None` where no history was read."""
    started_at: int | None = None
    closed_at: int | None = None
    closed_event_id: int | None = None
    outcome: Outcome | None = None
    """`None` while it is open, and for ever if the run ended first."""
    failure: Failure | None = None
    retry_state: str = ""
    """Why it was not tried again, in Temporal's words without prefix, such as `TIMEOUT`."""
    attempts: list[Attempt] = field(default_factory=list)
    """Those that the source tells of; `attempt_count` may be larger."""
    attempt_count: int = 0
    """Tries begun, 0 until the first is known."""
    input: Sequence[Payload] = NO_PAYLOADS
    """In a worker empty, or an excerpt if the user asked to see contents."""
    result: Sequence[Payload] = NO_PAYLOADS
    """In a worker empty, or an excerpt if the user asked to see contents."""
    input_bytes: int = 0
    result_bytes: int = 0
    headers: Mapping[str, Payload] = field(default_factory=dict)
    task_queue: str = ""
    summary: str = ""
    """What the workflow's author wrote for people (`summary=`); empty if encoded or absent."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """Seconds by name: `schedule_to_close`, `schedule_to_start`, `start_to_close`, `heartbeat`,
    `start_to_fire` (timers), `execution`, `run`, `task` (children)."""
    retry_policy: RetryPolicy | None = None
    child_run_id: str = ""
    child_namespace: str = ""
    operation_token: str = ""
    """Of an asynchronous Nexus operation."""
    cancel_requested_at: int | None = None
    caused_by_event_id: int | None = None
    """The signal or update event whose handler asked for it, where the server recorded that."""
    caused_by_signal: tuple[str, int] | None = None
    """That signal's name and occurrence."""
    caused_by_update_id: str = ""
    is_inherited: bool = False
    """It ended in the run that this one was reset from; the history of this run repeats it."""

    @property
    def duration_ns(self) -> int | None:
        """How long it took from when it was asked for, `None` while it is open."""
        return elapsed_ns(self.scheduled_at, self.closed_at)

    @property
    def is_open(self) -> bool:
        """Whether an answer is still to come."""
        return self.outcome is None


@dataclass(slots=True)
class Signal:
    """A signal that the run received."""

    name: str
    occurrence: int
    """1 for the first of this name."""
    at: int
    event_id: int | None = None
    identity: str = ""
    input: Sequence[Payload] = NO_PAYLOADS
    input_bytes: int = 0
    headers: Mapping[str, Payload] = field(default_factory=dict)
    from_workflow_id: str = ""
    """Set when another workflow sent it."""
    is_inherited: bool = False
    """The run that this one was reset from has handled it."""


@dataclass(slots=True)
class Update:
    """An update that the run admitted, accepted or rejected."""

    id: str
    name: str
    admitted_at: int | None = None
    accepted_at: int | None = None
    completed_at: int | None = None
    accepted_event_id: int | None = None
    completed_event_id: int | None = None
    outcome: Outcome | None = None
    """`None` while its handler runs. Servers do not record rejections, so histories seldom show
    `rejected`."""
    failure: Failure | None = None
    identity: str = ""
    input: Sequence[Payload] = NO_PAYLOADS
    result: Sequence[Payload] = NO_PAYLOADS
    headers: Mapping[str, Payload] = field(default_factory=dict)
    is_inherited: bool = False
    """It ended in the run that this one was reset from."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question that the run's worker answered. Histories have none."""

    id: str
    """What the worker tells its queries of one moment apart by."""
    name: str
    asked_at: int
    answered_at: int
    outcome: Outcome
    failure: Failure | None = None
    headers: Mapping[str, Payload] = field(default_factory=dict)


@dataclass(slots=True)
class Wait:
    """Time in which the run stood still: no step at work, only timers or messages could wake it."""

    occurrence: int
    """1 for the run's first wait."""
    opened_at: int
    opened_event_id: int | None = None
    """The `WORKFLOW_TASK_COMPLETED` after which nothing was left to do."""
    task_event_id: int = 0
    """The `WORKFLOW_TASK_STARTED` of that task, which its worker knows too; 0 if there is none."""
    closed_at: int | None = None
    closed_event_id: int | None = None
    woken_by: WokenBy | None = None
    """`None` while it lasts."""
    woken_by_name: str = ""
    """The signal's, update's or timer's name."""
    woken_by_identity: str = ""
    label: str = ""
    """What it waited for: the summary of the timer that limits it, else what woke it."""
    is_human: bool = False
    """A client's signal or update ended it: a person's answer as far as a history can tell."""
    is_inherited: bool = False
    """It ended in the run that this one was reset from."""

    @property
    def duration_ns(self) -> int | None:
        """How long it lasted, `None` while it does."""
        return elapsed_ns(self.opened_at, self.closed_at)


@dataclass(slots=True)
class WorkflowTask:
    """One turn of the workflow code on a worker."""

    scheduled_at: int
    scheduled_event_id: int | None = None
    started_at: int | None = None
    started_event_id: int | None = None
    """The length of the history that the worker got: how a worker knows the task."""
    closed_at: int | None = None
    closed_event_id: int | None = None
    attempt: int = 1
    outcome: Outcome | None = None
    """`None` while it runs or waits for a worker."""
    cause: str = ""
    """Temporal's cause of the failure without prefix, such as `NON_DETERMINISTIC_ERROR`."""
    failure: Failure | None = None
    failure_kind: TaskFailureKind | None = None
    identity: str = ""
    build_id: str = ""
    history_size_bytes: int | None = None
    suggest_continue_as_new: bool = False
    is_inherited: bool = False
    """It was a task of the run that this one was reset from."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A `workflow.patched()` that this run took."""

    id: str
    deprecated: bool
    at: int
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that an SDK noted for itself and that no step stands for, such as a side effect."""

    name: str
    at: int
    event_id: int | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event of a type that this version does not know; kept, so that nothing is lost."""

    event_id: int
    event_type: str
    at: int


@dataclass(frozen=True, slots=True)
class RunRef:
    """Another run that this one belongs to."""

    workflow_id: str
    run_id: str
    namespace: str = ""


@dataclass(slots=True)
class Run:
    """One workflow execution and everything that is known of it."""

    key: RunKey
    workflow_type: str = ""
    task_queue: str = ""
    status: RunStatus = RunStatus.RUNNING
    started_at: int | None = None
    closed_at: int | None = None
    input: Sequence[Payload] = NO_PAYLOADS
    result: Sequence[Payload] = NO_PAYLOADS
    input_bytes: int = 0
    result_bytes: int = 0
    headers: Mapping[str, Payload] = field(default_factory=dict)
    memo: dict[str, Payload] = field(default_factory=dict)
    search_attributes: dict[str, Payload] = field(default_factory=dict)
    failure: Failure | None = None
    close_reason: str = ""
    """Who or what ended it: the reason given with a termination, the retry state of a failure."""
    close_identity: str = ""
    attempt: int = 1
    identity: str = ""
    """The client that started it."""
    parent: RunRef | None = None
    root: RunRef | None = None
    first_run_id: str = ""
    original_run_id: str = ""
    """The run id that the first event carries: after a reset, that of the run it was reset from."""
    continued_from_run_id: str = ""
    continued_to_run_id: str = ""
    reset_from_run_id: str = ""
    cron_schedule: str = ""
    retry_policy: RetryPolicy | None = None
    timeouts: dict[str, float] = field(default_factory=dict)
    cancel_requested_at: int | None = None
    is_paused: bool = False
    sdk_name: str = ""
    sdk_version: str = ""
    build_id: str = ""
    deployment_name: str = ""
    history_size_bytes: int | None = None
    history_length: int | None = None
    """Events of the history as the last workflow task found it; so are its bytes."""
    suggest_continue_as_new: bool = False
    first_event_id: int | None = None
    last_event_id: int | None = None
    last_event_at: int | None = None
    event_count: int = 0
    steps: list[Step] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    tasks: list[WorkflowTask] = field(default_factory=list)
    patches: list[Patch] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    unknown_events: list[UnknownEvent] = field(default_factory=list)

    @property
    def duration_ns(self) -> int | None:
        """To its end, or to the last event of an open run; `None` without a start."""
        return elapsed_ns(self.started_at, self.closed_at or self.last_event_at)

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended, in whichever way."""
        return self.status is not RunStatus.RUNNING

    @property
    def failed_task_streak(self) -> int:
        """Workflow tasks that failed or timed out since the last one that completed."""
        streak = 0
        for task in reversed(self.tasks):
            if task.outcome is Outcome.COMPLETED:
                break
            if task.outcome is not None and task.failure_kind is not TaskFailureKind.RESET:
                streak += 1
        return streak

    @property
    def is_stuck(self) -> bool:
        """Whether the run is open and its last finished workflow task failed.

        Temporal retries such a task for ever: the run looks alive and never moves.
        """
        return not self.is_closed and self.failed_task_streak > 0
