"""What a fork form asks for, read into a request; and what is offered to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from replayer.alignment import Entry, EntryKind
from replayer.fork import Changes, ForkRequest, parse_fail, parse_set, parse_signal
from replayer.history import decode
from tui.replay.documents import json_text

_MOST_OFFERED: Final = 2_000
"""Characters of a recorded result that are put into the form."""
_ANSWERED: Final = (
    EntryKind.ACTIVITY,
    EntryKind.LOCAL_ACTIVITY,
    EntryKind.CHILD_WORKFLOW,
)


def fork_request(workflow: str, at: str, changes: Sequence[str]) -> ForkRequest:
    """Read a form.

    Args:
        workflow: The code, as `module:Class`.
        at: The fork point: an event id, a step, a decision.
        changes: `output.x=1` and the like, `fail TYPE: message`, `signal NAME=JSON`, `model NAME`.

    Raises:
        ForkSpecError: A change cannot be read.
    """
    sets, signals, model, fail = [], [], None, None
    for text in filter(None, map(str.strip, changes)):
        verb, _, rest = text.partition(" ")
        match verb:
            case "fail":
                fail = parse_fail(rest.strip())
            case "signal":
                signals.append(parse_signal(rest.strip()))
            case "model":
                model = rest.strip()
            case _:
                sets.append(parse_set(text))
    return ForkRequest((workflow,), at or None, Changes(tuple(sets), model, tuple(signals), fail))


def offered_change(entry: Entry) -> str:
    """A change to begin with: what was recorded, to be edited."""
    root = {EntryKind.SIGNAL: "signal", EntryKind.UPDATE: "update", EntryKind.START: "input"}.get(
        entry.kind, "output" if entry.kind in _ANSWERED else ""
    )
    payloads = entry.output if root == "output" else entry.input
    if not root or not payloads:
        return f"{root}=" if root == "output" and entry.failure is not None else ""
    decoded = decode(payloads[0])
    if decoded.json is None or len(decoded.text or "") > _MOST_OFFERED:
        return ""
    which = "[0]" if len(payloads) > 1 else ""
    return f"{root}{which}={json_text(decoded.json)}"
