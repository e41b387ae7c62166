"""A decision of the code as a fork point: `review.py:72`, or `Review.run:72#2` for the second time.

A history does not hold decisions, so the recorded run is replayed once and watched. The point is
the activation that took the decision, and in it the step whose answer was told last: what was
decided there followed from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import PurePath
from typing import Any

from replayer.fork.errors import ForkSpecError
from replayer.fork.points import ForkPoint
from replayer.fork.script import Item, ItemKind, Script
from replayer.replaying import ReplayHook, ReplayProfile, replay
from tracer.branches import ActivationBranches, BranchPoint, RunBranches, process_watch

__all__ = ["branch_point_of", "is_branch"]

_BRANCH = re.compile(r"(?P<where>[^:#\s]{1,200}):(?P<line>\d{1,7})(?:#(?P<number>\d{1,7}))?")
_LISTED = 8


def is_branch(text: str | None) -> bool:
    """Whether a fork point names a decision by its place in the code."""
    return text is not None and _BRANCH.fullmatch(text) is not None


def branch_point_of(
    text: str, script: Script, workflows: Sequence[type], profile: ReplayProfile
) -> ForkPoint:
    """Find the decision. Runs the workflow code: for child processes only.

    Raises:
        ForkSpecError: The run took no such decision; the message names some that it took.
    """
    match = _BRANCH.fullmatch(text)
    assert match is not None, "asked for with `is_branch`"
    watcher = _Watcher(workflows)
    outcome = replay(script.history, workflows, profile, hook=watcher)
    taken = [(at, branch.point) for at, found in watcher.found for branch in found.branches]
    line, number = int(match["line"]), int(match["number"] or 1)
    places = [at for at, point in taken if _is_at(point, match["where"], line)]
    if not places:
        raise ForkSpecError(
            f"this run decides nothing at {text}: {_what_it_decides(taken, outcome)}"
        )
    if not 1 <= number <= len(places):
        raise ForkSpecError(f"there is no {text!r}: it was decided {len(places)} times")
    return _point(text, script, places[number - 1])


class _Watcher(ReplayHook):
    """Collects the decisions of a replay, activation by activation."""

    def __init__(self, workflows: Sequence[type]) -> None:
        self._watch = process_watch()
        for workflow in workflows:
            self._watch.include(workflow)
        self._run = RunBranches()
        self._watching: AbstractContextManager[ActivationBranches] | None = None
        self.found: list[tuple[int, ActivationBranches]] = []

    def activating(self, activation: Any) -> None:
        at = activation.timestamp.ToNanoseconds()
        self._watching = self._watch.watching(self._run, at=at)
        self.found.append((at, self._watching.__enter__()))

    def activated(self, activation: Any, completion: Any) -> None:
        self._end()

    def broken(self, activation: Any, error: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        if self._watching is not None:
            self._watching.__exit__(None, None, None)
            self._watching = None


def _is_at(point: BranchPoint, where: str, line: int) -> bool:
    if not point.line <= line <= point.end_line:
        return False
    is_function = point.qualname == where or point.qualname.endswith(f".{where}")
    wanted, parts = PurePath(where).parts, PurePath(point.file).parts
    return is_function or parts[-len(wanted) :] == wanted


def _what_it_decides(taken: list[tuple[int, BranchPoint]], outcome: Any) -> str:
    places = dict.fromkeys(f"{point.file}:{point.line}" for _, point in taken)
    if not places:
        return f"no decision was seen in its replay ({outcome.failure or outcome.status})"
    rest = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
    return f"it decides at {', '.join(list(places)[:_LISTED])}{rest}"


def _point(text: str, script: Script, at: int) -> ForkPoint:
    index = max(
        (i for i, each in enumerate(script.activations) if each.started_at <= at), default=0
    )
    activation = script.activations[index]
    closed = [item for item in activation.inbound if item.kind is ItemKind.STEP_CLOSED]
    told = closed or activation.inbound
    item: Item | None = told[-1] if told else None
    event_id = item.event.event_id if item is not None else max(activation.event_id, 1)
    return ForkPoint(text, index, event_id, item.step if item is not None else None, item)
