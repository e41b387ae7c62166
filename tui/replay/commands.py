"""What is typed after `:`. The verbs are those of the command line, and places to go to.

:231        event 231          :turn 7      where turn 7 begins
:+30s       30 s after start   :10:31:05    a time of day (UTC)
:break …    a breakpoint       :watch NAME  a value to keep in sight
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from tracer.model import time_of
from tui.walk import Walk

VERBS: Final = {
    "break": "NAME|LINE|failure|=VALUE [if CONDITION]: stop there, or no more",
    "check": "[MODULE:CLASS]: would this code replay the run?",
    "cost": "what models cost here, by model, step and turn",
    "diff": "[RUN]: compare with another run",
    "errors": "go to the first failure",
    "event": "ID: go to an event",
    "find": "TEXT: find in all payloads and names",
    "fork": "run it again from here with something changed",
    "forks": "every fork of this run, and what came of it",
    "help": "keys that work here",
    "line": "N: go to a position of the tape",
    "quit": "leave the app",
    "record": "[MODULE:CLASS]: record a tape",
    "runs": "back to the list",
    "turn": "N: go to a turn",
    "unwatch": "NAME: keep it in sight no more",
    "waits": "what it waited for, and what it waits for now",
    "watch": "NAME: keep a value in sight",
}
"""Every verb of a replay with its help."""

RUNS_VERBS: Final = {
    "cost": "[OPTIONS]: what model calls cost, as `retrospan cost`",
    "diff": "[A] [B]: compare two runs, or one with the current",
    "errors": "show only runs that failed",
    "failures": "[OPTIONS]: what fails, how often, and where",
    "filter": "TEXT: show only runs that match",
    "forks": "every fork of the current run",
    "help": "keys that work here",
    "open": "[RUN]: walk through a run",
    "quit": "leave the app",
    "runs": "show every run again",
    "show": "[RUN]: walk through a run",
    "sql": "QUERY: ask the warehouse",
    "stuck": "[OPTIONS]: open runs that do not get on",
    "waits": "[OPTIONS]: what runs wait for",
}
"""Every verb of a list of runs with its help."""

_OFFSET: Final = re.compile(r"\+(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_UNITS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_DAY: Final = 86_400 * 10**9


class CommandError(Exception):
    """What was typed means nothing; says what would."""


@dataclass(frozen=True, slots=True)
class Command:
    """A verb with what follows it."""

    verb: str
    argument: str = ""


def parse_command(text: str, verbs: Mapping[str, str] = VERBS) -> Command:
    """Read a command.

    Args:
        text: As typed, without the colon.
        verbs: Those of the screen.

    Raises:
        CommandError: There is no such verb.
    """
    text = text.strip()
    if text.isdecimal() and "event" in verbs:
        return Command("event", text)
    if "event" in verbs and (_OFFSET.fullmatch(text) or _CLOCK.fullmatch(text)):
        return Command("time", text)
    verb, _, argument = text.partition(" ")
    known = list(verbs)
    if verb in known:
        return Command(verb, argument.strip())
    found = [each for each in known if verb and each.startswith(verb)]
    if len(found) == 1:
        return Command(found[0], argument.strip())
    near = get_close_matches(verb, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
    raise CommandError(f"there is no command {verb[:40]!r}; {hint}")


def position_at(walk: Walk, text: str) -> int:
    """The first event at or after a time: `+30s` since the start, or a time of day."""
    events = walk.events
    start = time_of(events[0])
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        wanted = start + round(float(offset[1]) * _UNITS[offset[2] or "s"])
    else:
        clock = _CLOCK.fullmatch(text)
        if clock is None:
            raise CommandError(f"{text!r} is no time: expected +30s or 10:31:05")
        hours, minutes, seconds = int(clock[1]), int(clock[2]), int(clock[3] or 0)
        wanted = start // _DAY * _DAY + ((hours * 60 + minutes) * 60 + seconds) * 10**9
        if wanted < start:
            wanted += _DAY
    return next(
        (index for index, event in enumerate(events) if time_of(event) >= wanted), len(events) - 1
    )
