"""The other runs that belong to a comparison: children, and the rest of a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from replayer.alignment.words import Knowledge, Side
from replayer.history import RunHistory
from tracer.identity import RunKey
from tracer.model import Run, StepKind, run_from_events

__all__ = ["FindHistory", "FindKnowledge", "side_of"]

type FindHistory = Callable[[RunKey], RunHistory | None]
"""Finds the history of a run, `None` where there is none to be had."""

_MOST_RUNS: Final = 2_000
"""Runs of one side; a crafted history could lead on for ever."""


type FindKnowledge = Callable[[RunKey], Knowledge]
"""Finds what is known of a run beside its history; empty where there is nothing."""


def side_of(
    history: RunHistory, find: FindHistory | None = None, know: FindKnowledge | None = None
) -> Side:
    """A side of a comparison.

    Args:
        history: The run.
        find: Where to look for the runs of its children and those that continued it; they are not
            followed without.
        know: Where to look for decisions and model calls that the history does not tell of.
    """
    run = run_from_events(history.key, history.events)
    return _Following(find or _found_nowhere, know or _nothing_known).side(run)


def _found_nowhere(_key: RunKey) -> None:
    return None


def _nothing_known(_key: RunKey) -> Knowledge:
    return Knowledge()


class _Following:
    def __init__(self, find: FindHistory, know: FindKnowledge) -> None:
        self._find, self._know = find, know
        self._seen: set[RunKey] = set()

    def side(self, run: Run) -> Side:
        """The run with all that follows from it."""
        chain = [run]
        self._seen.add(run.key)
        while (following := self._next(chain[-1])) is not None:
            self._seen.add(following.key)
            chain.append(following)
        side: Side | None = None
        for each in reversed(chain):
            known = self._know(each.key)
            side = Side(each, known.decisions, side, self._children(each), known.calls)
        assert side is not None, "a chain has a run"
        return side

    def _next(self, run: Run) -> Run | None:
        if not run.continued_to_run_id:
            return None
        return self._run(RunKey(run.key.namespace, run.key.workflow_id, run.continued_to_run_id))

    def _children(self, run: Run) -> dict[str, Side]:
        children: dict[str, Side] = {}
        for step in run.steps:
            if step.kind is not StepKind.CHILD_WORKFLOW or not step.child_run_id:
                continue
            namespace = step.child_namespace or run.key.namespace
            child = self._run(RunKey(namespace, step.id, step.child_run_id))
            if child is not None:
                children[step.child_run_id] = self.side(child)
        return children

    def _run(self, key: RunKey) -> Run | None:
        if key in self._seen or len(self._seen) >= _MOST_RUNS:
            return None
        history = self._find(key)
        return None if history is None else run_from_events(history.key, history.events)
