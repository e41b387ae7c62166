"""What-if: a recorded run, run again with something changed, and the preview of a reset.

`fork_run` plays a recording to workflow code on a time-skipping server. Up to the fork point
everything is as recorded. After it, a step that asks what was asked before gets the recorded
answer; for the others a policy decides. `reset_preview` is pure: what a reset would run again.
"""

from __future__ import annotations

from replayer.fork.changes import (
    Changes,
    FailStep,
    Root,
    SendSignal,
    SetValue,
    parse_fail,
    parse_set,
    parse_signal,
)
from replayer.fork.errors import ForkError, ForkSpecError
from replayer.fork.forking import Fork, Forker, fork_run
from replayer.fork.points import ForkPoint, point_of
from replayer.fork.report import AnswerSource, ForkReport, ForkRow, StopReason
from replayer.fork.request import ForkRequest
from replayer.fork.reset import Fate, ResetMessage, ResetPreview, ResetStep, reset_preview
from replayer.fork.script import Script, script_of
from replayer.fork.side_effects import SideEffect

__all__ = [
    "AnswerSource",
    "Changes",
    "FailStep",
    "Fate",
    "Fork",
    "ForkError",
    "ForkPoint",
    "ForkReport",
    "ForkRequest",
    "ForkRow",
    "ForkSpecError",
    "Forker",
    "ResetMessage",
    "ResetPreview",
    "ResetStep",
    "Root",
    "Script",
    "SendSignal",
    "SetValue",
    "SideEffect",
    "StopReason",
    "fork_run",
    "parse_fail",
    "parse_set",
    "parse_signal",
    "point_of",
    "reset_preview",
    "script_of",
]
