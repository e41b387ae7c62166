"""Collects the decisions that workflow code names, for the worker or the recording that runs it."""

from __future__ import annotations

import json
import math
from asyncio import current_task
from collections.abc import Callable, Mapping
from itertools import islice
from threading import get_ident
from types import FrameType
from typing import Any, Final

from tracer.branches import Branch, BranchKind, BranchPoint
from tracer.branches._recorder import is_constructing
from tracer.branches._values import safe_repr
from tracer.decisions import TAKERS

__all__ = ["Collector"]

_MOST_REASONS: Final = 16
_MOST_TEXT: Final = 200


class Collector[M]:
    """Collects the decisions that one run names.

    One for each workflow instance, from its first activation on: occurrences are counted while
    replaying, too, so that every worker comes to the same ids.
    """

    def __init__(
        self,
        shown: Callable[[str], str],
        mark: Callable[[], M],
        is_read_only: Callable[[], bool],
        redacted: Callable[[dict[str, Any]], Mapping[str, Any]],
        on_error: Callable[[str, Exception], None],
        *,
        per_activation: int = 100,
    ) -> None:
        """Create it together with the workflow instance.

        Args:
            shown: The name to show for a file.
            mark: Asked as each decision is taken for its place among other things, such as how many
                branches were captured so far in this activation.
            is_read_only: Whether the running code must leave no trace.
            redacted: Reasons without what must not leave the process.
            on_error: Told where and what went wrong in here.
            per_activation: Most decisions that are kept of one activation.
        """
        self._shown = shown
        self._mark = mark
        self._is_read_only = is_read_only
        self._redacted = redacted
        self._on_error = on_error
        self._per_activation = per_activation
        self._counts: dict[BranchPoint, int] = {}
        self._taken: list[tuple[M, Branch]] = []
        self._dropped = 0
        self._at = 0
        self._is_recording = False
        self._is_first = True

    def prepare(self, *, at: int, recording: bool) -> None:
        """Get ready for an activation.

        Args:
            at: Its time, in nanoseconds since the epoch.
            recording: False while replaying: decisions are counted, not kept.
        """
        self._taken, self._dropped = [], 0
        self._at, self._is_recording = at, recording

    def enter(self) -> None:
        """Take the decisions of this thread."""
        TAKERS[get_ident()] = self.note

    def leave(self) -> None:
        """Leave this thread alone."""
        TAKERS.pop(get_ident(), None)
        self._is_first = False

    def taken(self) -> tuple[list[tuple[M, Branch]], int]:
        """The decisions of the activation with their marks, and how many more were only counted."""
        return self._taken, self._dropped

    def note(self, name: str, outcome: Any, why: dict[str, Any], frame: FrameType) -> None:
        """Count a decision, and keep it unless the run replays."""
        try:
            if not self._is_counting(frame):
                return
            point = self._point(_clean(str(name)[:_MOST_TEXT]), frame)
            occurrence = self._counts[point] = self._counts.get(point, 0) + 1
            if not self._is_recording:
                return
            if len(self._taken) >= self._per_activation:
                self._dropped += 1
                return
            reasons = self._redacted(_bounded(why))
            values = tuple((key, json.dumps(value)) for key, value in reasons.items())
            taken = Branch(point, _plain(outcome), occurrence, self._at, values=values)
            self._taken.append((self._mark(), taken))
        except Exception as error:  # noqa: BLE001 - it would be raised into the user's code
            self._on_error("noting a decision", error)

    def _is_counting(self, frame: FrameType) -> bool:
        """As for branches: tasks and constructors count, polled conditions and queries do not."""
        try:
            is_in_task = current_task() is not None
        except RuntimeError:
            return False
        if not is_in_task:
            return self._is_first and is_constructing(frame)
        return not self._is_read_only()

    def _point(self, name: str, frame: FrameType) -> BranchPoint:
        code, line = frame.f_code, frame.f_lineno
        file = self._shown(code.co_filename)
        kind = BranchKind.DECISION
        return BranchPoint(code.co_qualname, file, line, line, 0, 0, kind, name)


def _bounded(why: dict[str, Any]) -> dict[str, Any]:
    most = islice(why.items(), _MOST_REASONS)
    return {_clean(name[:_MOST_TEXT]): _plain(value) for name, value in most}


def _clean(text: str) -> str:
    """The text with what UTF-8 cannot say, lone surrogates, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> bool | str | int | float:
    """The value itself where it is one that telemetry can carry, else a short text."""
    kind = type(value)
    if kind is bool or (kind is int and value.bit_length() < 64):
        return bool(value) if kind is bool else int(value)
    if kind is float and math.isfinite(value):
        return float(value)
    if kind is str:
        return _clean(value if len(value) <= _MOST_TEXT else f"{value[:_MOST_TEXT]}…")
    return safe_repr(value)
