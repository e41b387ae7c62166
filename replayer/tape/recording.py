"""Making a tape: a replay of a recorded run in which every line is noted.

`record` does it in a child process with a time and a memory limit, as replays of other people's
code must be; what a child had written when it was ended is still a tape. `record_here` does it in
this process.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from temporalio.api.enums.v1 import EventType

from replayer.history import RunHistory
from replayer.history.errors import one_line
from replayer.replaying import (
    DEFAULT_LIMITS,
    PLAIN,
    ChildError,
    ChildOutOfMemory,
    ChildTimedOut,
    Limits,
    LoadError,
    PackedHistory,
    ReplayOutcome,
    ReplayProfile,
    ReplayStatus,
    load_profile,
    load_workflows,
    replay,
    run_in_child,
)
from replayer.tape._blocks import is_tape
from replayer.tape._chunks import Tables
from replayer.tape._events import EventMap
from replayer.tape._monitor import Monitor, MonitorTaken
from replayer.tape._patience import patience
from replayer.tape._recorder import MOST_POSITIONS, Recorder
from replayer.tape._session import Session
from replayer.tape._stops import stop_of
from replayer.tape._writer import TapeWriter, add_stop
from replayer.tape.errors import TapeError
from replayer.tape.words import Stop, StopKind, TapeHead
from tracer.branches import WorkflowFiles, process_watch
from tracer.model import run_from_events

__all__ = ["record", "record_here"]

_PATIENCE_SECONDS: Final = 20.0
"""For workflow code to yield: ten times what it has live."""
_QUIET_SECONDS: Final = 30.0
_TASK_FAILURES: Final = frozenset({
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
})  # fmt: skip
_TASK_EVENTS: Final = _TASK_FAILURES | {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
}
_STARTED: Final = 16
"""Bytes after which a tape has begun."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What a child is told to do."""

    history: PackedHistory
    workflows: tuple[str, ...]
    profile: str | None
    path: str
    most_positions: int


def record(
    history: RunHistory,
    workflows: Sequence[str],
    path: str | os.PathLike[str],
    *,
    profile: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    most_positions: int = MOST_POSITIONS,
) -> Stop:
    """Record a run on a tape, in a child process.

    Args:
        history: The run; may be open or truncated.
        workflows: Its code, as `module:Class`, `path/to/file.py:Class`, or a module; of several
            the one of the run's workflow type is taken.
        path: The tape; replaced if it exists.
        profile: Name of the replay profile, or `module:function`.
        limits: What the child may take.
        most_positions: Where the tape is full.

    Returns:
        Why the tape ends where it ends.

    Raises:
        LoadError: The workflow or the profile cannot be loaded, or none is of the run's type.
        TapeError: The tape cannot be written, or something else is in its place.
        ChildError: The child ended before the tape had begun.
    """
    part = f"{os.fspath(path)}.part"
    _check_replaceable(path)
    order = _Order(PackedHistory.of(history), tuple(workflows), profile, part, most_positions)
    try:
        stop = _recorded(order, limits)
        Path(part).replace(path)
        return stop
    finally:
        Path(part).unlink(missing_ok=True)


def record_here(
    history: RunHistory,
    workflows: Sequence[type],
    path: str | os.PathLike[str],
    *,
    profile: ReplayProfile = PLAIN,
    most_positions: int = MOST_POSITIONS,
) -> Stop:
    """Record a run on a tape, in this process: nothing limits its time and memory.

    Args:
        history: The run; may be open or truncated.
        workflows: Classes, one of which is of the run's workflow type.
        path: The tape; replaced if it exists.
        profile: What its worker was made with.
        most_positions: Where the tape is full.

    Returns:
        Why the tape ends where it ends.

    Raises:
        LoadError: None of the classes is of the run's workflow type.
        TapeError: The tape cannot be written, or another tool has the interpreter's events.
    """
    run = run_from_events(history.key, history.events)
    workflow = _of_type(run.workflow_type, profile.with_own(workflows))
    files = WorkflowFiles()
    files.add(workflow)
    watch = process_watch()
    watch.include(workflow)
    tables = Tables(files)
    writer = TapeWriter(path, _head(history, workflow, run.workflow_type), tables)
    recorder = Recorder(tables, writer.write, workflow, most_positions)
    monitor = Monitor(files)
    session = Session(recorder, monitor, watch, EventMap(run, history.events), writer, files)
    try:
        outcome = _replayed(history, workflow, profile, session, monitor)
        problem = session.problem or monitor.problem
        if problem is not None:
            raise TapeError(writer.path, f"is incomplete, a defect in Retrospan: {problem!r}")
        if outcome.status is not ReplayStatus.STUCK:
            # Code that did not come back may be within a record.
            recorder.flush()
        stop = stop_of(run, outcome, session.failure, tables.activations)
        if recorder.is_full:
            stop = Stop(StopKind.FULL, f"the tape is full after {most_positions} positions")
        writer.close(stop)
        return stop
    finally:
        writer.abandon()


def _replayed(
    history: RunHistory,
    workflow: type,
    profile: ReplayProfile,
    session: Session,
    monitor: Monitor,
) -> ReplayOutcome:
    try:
        monitor.open()
        with patience(_PATIENCE_SECONDS):
            return replay(
                _to_the_failure(history),
                [workflow],
                profile,
                hook=session,
                quiet_seconds=_QUIET_SECONDS,
            )
    except MonitorTaken as error:
        raise TapeError(session.path, f"cannot be recorded: {error}") from None
    finally:
        monitor.close()


def _recorded(order: _Order, limits: Limits) -> Stop:
    try:
        return run_in_child(_record_as_ordered, order, limits=limits)
    except ChildError as error:
        if not _has_begun(order.path):
            raise
        stop = _cut_off(error)
        add_stop(order.path, stop)
        return stop


def _check_replaceable(path: str | os.PathLike[str]) -> None:
    """Refuse to write over what is no tape, and where nothing can be written."""
    if not Path(path).parent.is_dir():
        reason = f"cannot be written: there is no folder {Path(path).parent}"
        raise TapeError(os.fspath(path), reason)
    if Path(path).exists() and not is_tape(path):
        raise TapeError(os.fspath(path), "exists and is no tape; name another file")


def _record_as_ordered(order: _Order) -> Stop:
    return record_here(
        order.history.unpacked(),
        load_workflows(order.workflows),
        order.path,
        profile=load_profile(order.profile),
        most_positions=order.most_positions,
    )


def _of_type(name: str, workflows: Sequence[type]) -> type:
    """The class of a workflow type; one that is dynamic serves every type."""
    names = {_type_of(workflow): workflow for workflow in workflows}
    found = names.get(name) or names.get(None)
    if found is None:
        known = ", ".join(sorted(map(str, names))) or "none"
        raise LoadError(f"the run is of workflow type {name!r}; the code given has {known}")
    return found


def _type_of(workflow: type) -> str | None:
    definition = workflow.__dict__.get("__temporal_workflow_definition")
    name: str | None = getattr(definition, "name", workflow.__name__)
    return name


def _to_the_failure(history: RunHistory) -> RunHistory:
    """The history without the failure of its last workflow task, if that is where it ends.

    The SDK passes over failed tasks: only without it does the code run once more that failed.
    """
    events = history.events
    end = len(events)
    for number in range(len(events) - 1, -1, -1):
        kind = events[number].event_type
        if kind not in _TASK_EVENTS:
            break
        if kind in _TASK_FAILURES:
            end = number
        if kind == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED and end == number + 1:
            return replace(history, events=events[:end])
    return history


def _cut_off(error: ChildError) -> Stop:
    text = one_line(f"the recording {error}")
    if isinstance(error, ChildTimedOut | ChildOutOfMemory):
        return Stop(StopKind.STUCK, text)
    return Stop(StopKind.INTERRUPTED, one_line(f"the recording ended early: {error}"))


def _has_begun(path: str) -> bool:
    try:
        return Path(path).stat().st_size > _STARTED
    except OSError:
        return False


def _head(history: RunHistory, workflow: type, workflow_type: str) -> TapeHead:
    return TapeHead(
        namespace=history.key.namespace,
        workflow_id=history.key.workflow_id,
        run_id=history.key.run_id,
        workflow_type=workflow_type,
        workflow=f"{workflow.__module__}:{workflow.__qualname__}",
        history_sha256=history.origin.sha256,
        event_count=len(history.events),
        python=platform.python_version(),
        sdk=_version("temporalio"),
        retrospan=_version("retrospan"),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
