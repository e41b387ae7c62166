"""The model of a run: one state machine, and the words for what it finds.

`run_from_events` reads a history. The worker's own view, activation by activation, goes through
the same machine, so that live spans, imported tables and replays cannot disagree.
"""

from tracer.model.events import EventReader, run_from_events, time_of
from tracer.model.failures import failure_from, fingerprint, masked
from tracer.model.garbage import is_held_back, uncollected
from tracer.model.machine import RunMachine
from tracer.model.words import (
    Attempt,
    AttemptSource,
    Failure,
    Marker,
    Outcome,
    Patch,
    RetryPolicy,
    Run,
    RunRef,
    RunStatus,
    Signal,
    Step,
    StepKind,
    TaskFailureKind,
    UnknownEvent,
    Update,
    Wait,
    WokenBy,
    WorkflowTask,
    elapsed_ns,
)

__all__ = [
    "Attempt",
    "AttemptSource",
    "EventReader",
    "Failure",
    "Marker",
    "Outcome",
    "Patch",
    "RetryPolicy",
    "Run",
    "RunMachine",
    "RunRef",
    "RunStatus",
    "Signal",
    "Step",
    "StepKind",
    "TaskFailureKind",
    "UnknownEvent",
    "Update",
    "Wait",
    "WokenBy",
    "WorkflowTask",
    "elapsed_ns",
    "failure_from",
    "fingerprint",
    "is_held_back",
    "masked",
    "run_from_events",
    "time_of",
    "uncollected",
]
