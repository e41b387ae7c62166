"""Checks: would this code go on with those runs?

`check_replay` replays one history in this process. `check_history` and `check_many` do it in
children, which is where other people's code belongs: a run that hangs or crashes costs its own time
limit, and comes out as a verdict like the others.
"""

from __future__ import annotations

import functools
import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from replayer.check.commands import recorded_commands
from replayer.check.decoding import decoded_as_asked
from replayer.check.explain import Evidence, explained, parting
from replayer.check.issuing import frames_of_text, readable
from replayer.check.lookahead import going_on
from replayer.check.model import ChangeKind, Explanation, Finding, Verdict, VerdictStatus
from replayer.check.refusals import refusal_of_failure
from replayer.check.strict import findings_of
from replayer.check.suggest import suggestion
from replayer.check.watching import CheckHook
from replayer.history import RunHistory
from replayer.replaying import (
    DEFAULT_LIMITS,
    PLAIN,
    QUIET_SECONDS,
    Child,
    ChildError,
    ChildPool,
    ChildTimedOut,
    Limits,
    Outcome,
    PackedHistory,
    ReplayOutcome,
    ReplayProfile,
    ReplayStatus,
    load_profile,
    load_workflows,
    replay,
)

__all__ = ["CheckOptions", "Checker", "check_history", "check_many", "check_replay"]

_QUIET_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to check with."""

    workflows: tuple[str, ...]
    """`module:Class`, `path/to/file.py:Class`, or a module with all it defines."""
    profile: str | None = None
    """A replay profile by name, or `module:function`."""
    strict: bool = False
    """Also compare what the SDK does not: arguments, timeouts, results."""
    limits: Limits = field(default_factory=lambda: DEFAULT_LIMITS)
    """For each run."""


def check_replay(
    history: RunHistory,
    workflows: Sequence[type],
    profile: ReplayProfile = PLAIN,
    *,
    strict: bool = False,
    quiet_seconds: float = QUIET_SECONDS,
) -> Verdict:
    """Check one run in this process."""
    started = time.perf_counter()
    check = _Check(history)
    with check.hook.watch:
        outcome = replay(history, workflows, profile, hook=check.hook, quiet_seconds=quiet_seconds)
    return check.verdict(outcome, strict=strict, seconds=time.perf_counter() - started)


class Checker:
    """Checks runs one by one, in a child process that is used again."""

    def __init__(self, options: CheckOptions, child: Child | None = None) -> None:
        """Start nothing yet.

        Args:
            options: What to check with.
            child: To be used, and closed; one in the current folder by default.
        """
        self._options = options
        self._child = child or Child(options.limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self) -> list[str]:
        """Load workflows and profile; returns the files that the workflows are in.

        Raises:
            LoadError: They cannot be loaded.
        """
        return self._child.do(_load, self._options)

    def check(self, packed: PackedHistory) -> Verdict:
        """Check a run.

        Raises:
            LoadError: A workflow or the profile cannot be loaded.
        """
        task = _Task(packed, self._options)
        try:
            return self._child.do(_do, task)
        except ChildError as error:
            return _lost(task, error)

    def close(self) -> None:
        """End the child."""
        self._child.close()


def check_history(history: RunHistory, options: CheckOptions) -> Verdict:
    """Check one run in a child process.

    Raises:
        LoadError: A workflow or the profile cannot be loaded.
    """
    with Checker(options) as checker:
        return checker.check(PackedHistory.of(history))


def check_many(
    histories: Iterable[RunHistory], options: CheckOptions, *, jobs: int = 1
) -> Iterator[Verdict]:
    """Check runs in child processes, `jobs` at a time; verdicts come in the order of the runs.

    Raises:
        LoadError: A workflow or the profile cannot be loaded.
    """
    rest = iter(histories)
    # No more children than there are runs.
    first = list(itertools.islice(rest, jobs))
    tasks = (_Task(PackedHistory.of(history), options) for history in itertools.chain(first, rest))
    waiting: dict[int, Verdict] = {}
    following = 0
    with ChildPool(len(first) or 1, limits=options.limits) as pool:
        pool.prepare(_load, options)
        for outcome in pool.map(_do, tasks):
            waiting[outcome.index] = _verdict_of(outcome)
            while following in waiting:
                yield waiting.pop(following)
                following += 1


class _Check:
    """One check under way."""

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._recorded = recorded_commands(history.events)
        self.hook = CheckHook(self._before_end)
        self._evidence = Evidence(history.events, self._recorded, self.hook)

    def _before_end(self, hook: CheckHook, said: str) -> None:
        found = parting(self._evidence, said)
        if not found.expected:
            return
        plain = self._decoded()
        if plain is not self._history:
            self._evidence.recorded = recorded_commands(plain.events)
            found = parting(self._evidence, said)
        try:
            self._evidence.ahead = going_on(hook, hook.instance, found, plain.events)
        except Exception:  # noqa: BLE001 - the code went where no worker would take it
            # The explanation does without; raised here, it would keep the SDK from ending the run.
            self._evidence.ahead = []

    def _decoded(self) -> RunHistory:
        """The history with payloads as the converter reads them, as far as that is possible."""
        codec = self.hook.data_converter.payload_codec
        return self._history if codec is None else decoded_as_asked(self._history, codec)

    def verdict(self, outcome: ReplayOutcome, *, strict: bool, seconds: float) -> Verdict:
        found = parting(self._evidence)
        explanation: Explanation | None = None
        status = VerdictStatus.OK
        findings: tuple[Finding, ...] = ()
        if outcome.status is not ReplayStatus.OK:
            status, explanation = VerdictStatus.FAILED, explained(outcome, self._evidence)
        elif (failing := self._failing_task()) is not None:
            status, explanation = failing
        if strict and status is not VerdictStatus.FAILED:
            findings = tuple(findings_of(self._decoded(), self.hook.activations))
        key = self._history.key
        return Verdict(
            key,
            self._history.origin.uri,
            _type_of(self._history),
            status,
            len(self._history.events),
            len(found.pairs),
            seconds,
            explanation,
            findings,
        )

    def _failing_task(self) -> tuple[VerdictStatus, Explanation] | None:
        """The task after the end of the history, when it fails; the SDK does not count that."""
        activations = self.hook.activations
        failure = activations[-1].failure if activations else None
        if failure is None:
            return None
        refusal = refusal_of_failure(failure)
        stack = readable(refusal.stack)
        kind = refusal.kind or ChangeKind.EXCEPTION
        place = next((frame for frame in reversed(stack) if frame.is_workflow_code), None)
        said = suggestion(kind, None, None, place)
        recorded = self._recorded_failure()
        if recorded is None:
            summary = f"The next workflow task fails: {refusal.message}"
            status = VerdictStatus.FAILED
        else:
            summary = f"The run is stuck, and stays so: {refusal.message}"
            status = VerdictStatus.STUCK
        explanation = Explanation(
            kind, summary, recorded, stack=stack, suggestion=said, sdk=refusal.message
        )
        return status, explanation

    def _recorded_failure(self) -> int | None:
        """The event that says that the last workflow task of the history fails."""
        for event in reversed(self._history.events):
            if event.HasField("workflow_task_completed_event_attributes"):
                return None
            if event.HasField("workflow_task_failed_event_attributes"):
                return event.event_id
        return None


@dataclass(frozen=True, slots=True)
class _Task:
    packed: PackedHistory
    options: CheckOptions


def _do(task: _Task) -> Verdict:
    options = task.options
    workflows, profile = _loaded(options.workflows, options.profile)
    quiet = min(QUIET_SECONDS, _QUIET_SHARE * options.limits.seconds)
    return check_replay(
        task.packed.unpacked(), workflows, profile, strict=options.strict, quiet_seconds=quiet
    )


def _load(options: CheckOptions) -> list[str]:
    workflows, _ = _loaded(options.workflows, options.profile)
    files = (getattr(sys.modules[workflow.__module__], "__file__", None) for workflow in workflows)
    return [file for file in files if file]


@functools.cache
def _loaded(workflows: tuple[str, ...], profile: str | None) -> tuple[list[type], ReplayProfile]:
    return load_workflows(workflows), load_profile(profile)


def _verdict_of(outcome: Outcome[_Task, Verdict]) -> Verdict:
    if isinstance(outcome.error, ChildError):
        return _lost(outcome.argument, outcome.error)
    return outcome.result()


def _lost(task: _Task, error: ChildError) -> Verdict:
    """The verdict of a run that took its child with it."""
    kind = ChangeKind.HANGS if isinstance(error, ChildTimedOut) else ChangeKind.CRASHES
    # `faulthandler` writes the innermost place first.
    stack = readable(tuple(reversed(frames_of_text(error.talk))))
    history = task.packed.unpacked()
    return Verdict(
        history.key,
        history.origin.uri,
        _type_of(history),
        VerdictStatus.FAILED,
        len(history.events),
        seconds=task.options.limits.seconds if kind is ChangeKind.HANGS else 0.0,
        explanation=Explanation(kind, f"The replay {error}.", stack=stack),
    )


def _type_of(history: RunHistory) -> str:
    started = history.events[0].workflow_execution_started_event_attributes
    return str(started.workflow_type.name)
