"""The recording of one replay: activations in, a tape out.

It is a hook of `replayer.replaying`: it sees each activation and its completion on the thread that
runs the workflow code. Decisions are captured by `tracer.branches` and `tracer.collector`, the same
code that makes branch spans of a live run: both have the same ids, occurrences and outcomes.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from temporalio import workflow

from replayer.history.errors import one_line
from replayer.replaying import ReplayHook
from replayer.tape._chunks import Tables
from replayer.tape._events import AskedFor, Brought, EventMap
from replayer.tape._monitor import Monitor
from replayer.tape._recorder import Recorder
from replayer.tape._writer import TapeWriter
from replayer.tape.errors import TapeError
from replayer.tape.words import CoroutineKind
from tracer.branches import (
    ActivationBranches,
    Branch,
    BranchSettings,
    BranchWatch,
    RunBranches,
    WorkflowFiles,
)
from tracer.collector import Collector
from tracer.model.failures import failure_from
from tracer.redaction import Redactor

__all__ = ["Session"]

_EVERYTHING: Final = BranchSettings(
    per_activation=sys.maxsize,
    per_outcome=sys.maxsize,
    evaluations=sys.maxsize,
    evaluations_per_point=sys.maxsize,
)
_NOT_REPLAYED: Final = frozenset({"query_workflow", "remove_from_cache"})
_BEGINS: Final = {
    "initialize_workflow": CoroutineKind.MAIN,
    "signal_workflow": CoroutineKind.SIGNAL,
    "do_update": CoroutineKind.UPDATE,
}
"""Jobs that a coroutine begins with."""
_ONLY_STARTED: Final = frozenset({
    "resolve_child_workflow_execution_start",
    "resolve_nexus_operation_start",
})  # fmt: skip
"""Answers that another will follow."""
_MOST_TEXT: Final = 300


class Session(ReplayHook):
    """Records one replay."""

    def __init__(
        self,
        recorder: Recorder,
        monitor: Monitor,
        watch: BranchWatch,
        events: EventMap,
        writer: TapeWriter,
        files: WorkflowFiles,
    ) -> None:
        self.failure = ""
        """Why the last activation failed; empty if it did not."""
        self.problem: Exception | None = None
        """The first error of our own."""
        self._recorder = recorder
        self._monitor = monitor
        self._watch = watch
        self._events = events
        self._writer = writer
        self._tables: Tables = recorder.tables
        self._branches = RunBranches(_EVERYTHING, self._note, lambda: recorder.line_position)
        redactor = Redactor()
        self._named = Collector(
            lambda path: files.shown(path) or Path(path).name,
            lambda: (self._branches.n_taken, recorder.line_position),
            workflow.unsafe.is_read_only,
            lambda why: redactor.attributes(why)[0],
            self._note,
            per_activation=sys.maxsize,
        )
        """Decisions that the code names, each after so many others, at a position."""
        self._context = ExitStack()
        self._is_recording = False
        self._instances = 0
        self._found = ActivationBranches()
        self._jobs: list[Brought] = []
        self._issuers: dict[tuple[str, int], int] = {}
        """By what was asked for, the coroutine that asked."""

    @property
    def path(self) -> str:
        """The tape's file."""
        return self._writer.path

    def created(self, details: Any, instance: Any) -> None:
        """An instance was made; a second one would run everything once more, and is not taped."""
        self._instances += 1

    def activating(self, activation: Any) -> None:
        """The workflow code is about to run."""
        names = [job.WhichOneof("variant") or "" for job in activation.jobs]
        if _NOT_REPLAYED.intersection(names) or self._instances > 1:
            self._context.enter_context(self._watch.ignoring())
            return
        if self._recorder.is_full:
            # It fails the replay, which has nothing to give any more.
            raise TapeError(self._writer.path, "is full")
        self._jobs = [
            self._events.job(name, getattr(job, name), activation.history_length)
            for name, job in zip(names, activation.jobs, strict=True)
        ]
        self._is_recording = True
        validates = "do_update" in names and any(
            job.do_update.run_validator for job in activation.jobs
        )
        self._recorder.activation_begins()
        at = activation.timestamp.ToNanoseconds()
        self._named.prepare(at=at, recording=True)
        self._named.enter()
        self._context.callback(self._named.leave)
        self._found = self._context.enter_context(
            self._watch.watching(
                self._branches,
                at=at,
                is_read_only=workflow.unsafe.is_read_only if validates else None,
            )
        )
        self._context.enter_context(self._monitor.recording(self._recorder))

    def activated(self, activation: Any, completion: Any) -> None:
        """The workflow code has run."""
        self._context.close()
        if not self._is_recording:
            return
        self._is_recording = False
        last = self._recorder.activation_ends()
        jobs = self._effects()
        commands = self._commands(activation, completion)
        self._tell(activation, completion, jobs, commands, last)
        self._tell_branches()

    def broken(self, activation: Any, error: BaseException) -> None:
        """The activation raised."""
        self._context.close()
        self.failure = one_line(f"{type(error).__name__}: {error}")

    def _commands(self, activation: Any, completion: Any) -> list[list[Any]]:
        recorder = self._recorder
        rows = []
        issued = recorder.issued_at
        for number, command in enumerate(completion.successful.commands):
            name = command.WhichOneof("variant") or ""
            body = getattr(command, name)
            became: AskedFor = self._events.command(name, body, activation.history_length)
            here = (recorder.position, None)
            position, coroutine = issued[number] if number < len(issued) else here
            if became.opens is not None and coroutine is not None:
                self._issuers[became.opens] = coroutine
            rows.append([name, became.about, became.event_id, position])
        return rows

    def _effects(self) -> list[list[Any]]:
        """The jobs, with the position at which each took effect."""
        resumed = dict(self._recorder.resumed)
        return [
            [job.name, job.about, job.event_id, self._effect(job, resumed)] for job in self._jobs
        ]

    def _effect(self, job: Brought, resumed: dict[int, int]) -> int | None:
        """Where the coroutine went on that the job was for; handlers serve one job each."""
        if job.asked_by is not None:
            issuer = self._issuers.pop(job.asked_by, None)
            if job.name in _ONLY_STARTED and issuer is not None:
                self._issuers[job.asked_by] = issuer
            return None if issuer is None else resumed.get(issuer)
        kind = _BEGINS.get(job.name)
        for coroutine in list(resumed) if kind is not None else ():
            row = self._tables.coroutines[coroutine]
            if row[0] == kind and (kind is CoroutineKind.MAIN or row[1] == job.about):
                return resumed.pop(coroutine)
        return None

    def _tell(
        self,
        activation: Any,
        completion: Any,
        jobs: list[list[Any]],
        commands: list[list[Any]],
        last: int,
    ) -> None:
        self.failure = ""
        if completion.HasField("failed"):
            failure = failure_from(completion.failed.failure)
            root = failure.root if failure else None
            text = f"{root.type}: {root.message}" if root else "failed"
            self.failure = one_line(text.partition("\n")[0])[:_MOST_TEXT]
        self._tables.activations.append({
            "first": self._recorder.activation_first,
            "last": last,
            "at": activation.timestamp.ToNanoseconds(),
            "event": activation.history_length,
            "replaying": activation.is_replaying,
            "jobs": jobs,
            "commands": commands,
            "failure": self.failure,
            "loops": [
                [self._tables.point_number(point), rounds]
                for point, rounds in self._found.loops.items()
            ],
        })  # fmt: skip

    def _tell_branches(self) -> None:
        tables = self._tables
        activation = len(tables.activations) - 1
        for position, branch in self._decisions():
            tables.branches.append([
                position,
                activation,
                tables.point_number(branch.point),
                branch.outcome,
                branch.occurrence,
                branch.at,
                branch.because,
                branch.rounds,
                branch.values,
            ])  # fmt: skip

    def _decisions(self) -> list[tuple[int, Branch]]:
        """What the activation decided, in its order, with positions."""
        found = list(zip(self._found.marks, self._found.branches, strict=True))
        named, _ = self._named.taken()
        for shift, ((n_before, position), branch) in enumerate(named):
            found.insert(n_before + shift, (position, branch))
        return found

    def _note(self, _place: str, error: Exception) -> None:
        self.problem = self.problem or error
