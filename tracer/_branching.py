"""Branch capture and named decisions in a worker: what `TracingInstance` puts around activations.

Which activations count is decided here. Those that a replay of the run comes past again do: the
others (queries, evictions) would move occurrences, and with them ids, from worker to worker.
Nothing here raises into an activation; without capture, an activation runs as if this was not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from temporalio import workflow

from tracer._guard import Guard
from tracer.branches import (
    ActivationBranches,
    Branch,
    BranchPoint,
    BranchSettings,
    RunBranches,
    process_watch,
)
from tracer.branches._files import WorkflowFiles
from tracer.collector import Collector
from tracer.model.activations import MODEL_FREE_JOBS
from tracer.redaction import Redactor

_MOST_LOOPS: Final = 32
DEFAULT_BRANCHES: Final = BranchSettings()


class Branching:
    """How the workers of one plugin look at decisions."""

    def __init__(self, settings: BranchSettings | None, guard: Guard) -> None:
        """Create it.

        Args:
            settings: How much to look at; `None` leaves only named decisions.
            guard: Where errors go.
        """
        self.settings = settings
        self.guard = guard
        self._files = WorkflowFiles()
        self._redactor = Redactor()

    def include(self, definition: Any) -> None:
        """Get ready for a workflow that a worker registers."""
        with self.guard.shielded("reading workflow code"):
            self._files.add(definition.cls)
            if self.settings is not None:
                process_watch().include(definition.cls)

    def of_run(self) -> RunBranching:
        """For one workflow instance."""
        return RunBranching(self)

    def shown(self, path: str) -> str:
        """The name to show for a file."""
        return self._files.shown(path) or Path(path).name

    def is_workflow_code(self, path: str) -> bool:
        """Whether a file belongs to a workflow's own package."""
        return bool(self._files.shown(path))

    def redacted(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Values of conditions, or reasons, without what must not leave the process."""
        return self._redactor.attributes(values)[0]


class RunBranching:
    """The decisions of one workflow instance."""

    def __init__(self, branching: Branching) -> None:
        self._branching = branching
        self._watch = process_watch()
        settings, note = branching.settings, branching.guard.note
        self._branches = RunBranches(settings, note) if settings is not None else None
        self._collector = Collector(
            branching.shown,
            self._n_taken,
            workflow.unsafe.is_read_only,
            branching.redacted,
            note,
        )

    def around(self, activation: Any, names: Sequence[str]) -> Watched:
        """A context for an activation; it has what was decided once it is over.

        Args:
            activation: It.
            names: What its jobs are about.
        """
        guard = self._branching.guard
        if not MODEL_FREE_JOBS.isdisjoint(names):
            return Watched(guard, self._watch.ignoring() if self._branches else None)
        timestamp = activation.timestamp
        at = timestamp.seconds * 1_000_000_000 + timestamp.nanos
        recording = not activation.is_replaying
        context = None
        if self._branches is not None:
            validates = "do_update" in names and any(
                job.do_update.run_validator for job in activation.jobs
            )
            context = self._watch.watching(
                self._branches,
                at=at,
                recording=recording,
                is_read_only=workflow.unsafe.is_read_only if validates else None,
            )
        self._collector.prepare(at=at, recording=recording)
        return Watched(guard, context, self._collector)

    def to_tell(self, watched: Watched) -> tuple[list[Branch], int]:
        """The decisions of an activation that is over, and how many more were only counted."""
        if not watched.is_of_the_run:
            return [], 0
        branches = watched.found.branches if watched.found else []
        settings = self._branching.settings
        if settings is not None and settings.capture_values:
            branches = [self._redacted(branch) for branch in branches]
        dropped = watched.found.dropped if watched.found else 0
        decisions, also_dropped = self._collector.taken()
        for shift, (place, decision) in enumerate(decisions):
            branches.insert(place + shift, decision)
        return branches, dropped + also_dropped

    def loops(self) -> tuple[str, ...]:
        """The loops that made rounds in this run, the busiest first."""
        if self._branches is None:
            return ()
        loops = sorted(self._branches.loops(), key=lambda loop: -loop[1])
        return tuple(_loop(*loop) for loop in loops[:_MOST_LOOPS] if loop[1])

    def _n_taken(self) -> int:
        return self._branches.n_taken if self._branches else 0

    def _redacted(self, branch: Branch) -> Branch:
        values = self._branching.redacted(dict(branch.values))
        return replace(branch, values=tuple((name, str(text)) for name, text in values.items()))


class Watched(AbstractContextManager["Watched", None]):
    """One activation under watch."""

    __slots__ = ("_collector", "_context", "_guard", "found", "is_over")

    def __init__(
        self,
        guard: Guard,
        context: AbstractContextManager[ActivationBranches | None] | None = None,
        collector: Collector[int] | None = None,
    ) -> None:
        self.found: ActivationBranches | None = None
        """Filled when the activation is over; `None` where nothing watched for branches."""
        self.is_over = False
        self._guard = guard
        self._context = context
        self._collector = collector

    @property
    def is_of_the_run(self) -> bool:
        """Whether a replay of the run comes past this activation again."""
        return self._collector is not None

    def __enter__(self) -> Watched:
        try:
            if self._collector is not None:
                self._collector.enter()
            if self._context is not None:
                self.found = self._context.__enter__()
        except Exception as error:  # noqa: BLE001 - the activation must not fail
            self._guard.note("watching decisions", error)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._collector is not None:
                self._collector.leave()
            if self._context is not None:
                # The context lets the activation's own error pass, as this one does by itself.
                self._context.__exit__(None, None, None)
        except Exception as mistake:  # noqa: BLE001 - the activation must not fail
            self._guard.note("watching decisions", mistake)
        self.is_over = True


def _loop(point: BranchPoint, rounds: int, is_at_least: bool) -> str:
    head = f"{point.qualname}:{point.line} {point.kind} {point.condition}"
    return f"{head}: {'at least ' if is_at_least else ''}{rounds}"
