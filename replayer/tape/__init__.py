"""Tapes: the recorded replay of one run, with every line and the values it touched.

`record` replays a run in a child process and writes a tape; `open_tape` reads it. Stepping on a
tape, forward or back, never replays: a position is looked up. Source text is on the tape, so that
what is shown is what ran. The file format is described in docs/tape.md.
"""

from __future__ import annotations

from replayer.tape._state import State
from replayer.tape.errors import TapeError
from replayer.tape.recording import record, record_here
from replayer.tape.tape import Tape, open_tape
from replayer.tape.values import Value, value_of
from replayer.tape.words import (
    Activation,
    Change,
    Command,
    Coroutine,
    CoroutineKind,
    FrameState,
    Job,
    Kind,
    Place,
    Source,
    SourceState,
    Stop,
    StopKind,
    TapeBranch,
    TapeHead,
    Variable,
)

__all__ = [
    "Activation",
    "Change",
    "Command",
    "Coroutine",
    "CoroutineKind",
    "FrameState",
    "Job",
    "Kind",
    "Place",
    "Source",
    "SourceState",
    "State",
    "Stop",
    "StopKind",
    "Tape",
    "TapeBranch",
    "TapeError",
    "TapeHead",
    "Value",
    "Variable",
    "open_tape",
    "record",
    "record_here",
    "value_of",
]
