"""What to do about a change: one or two sentences, with the patch id and the place."""

from __future__ import annotations

import re

from replayer.check.model import ChangeKind, Command, CommandKind, Frame

__all__ = ["patch_id", "suggestion"]


def suggestion(
    kind: ChangeKind, expected: Command | None, produced: Command | None, place: Frame | None
) -> str:
    """What to do."""
    make = _SUGGESTIONS.get(kind)
    return make(expected, produced, _at(place)) if make is not None else ""


def patch_id(verb: str, command: Command | None) -> str:
    """An id for `workflow.patched`, such as `add-notify-consignee`."""
    what = "step" if command is None else command.name or _label(command)
    words = re.sub(r"[^0-9A-Za-z]+", "-", what).strip("-").lower()
    return f"{verb}-{words}"[:60]


def _label(command: Command) -> str:
    # The note of a timer without a summary is its duration, which says nothing in a name.
    return command.kind.value if command.note[:1].isdigit() else command.note or command.kind.value


def _at(place: Frame | None) -> str:
    return "" if place is None else f" at {place.file.rpartition('/')[2]}:{place.line}"


def _added(expected: Command | None, produced: Command | None, at: str) -> str:
    id = patch_id("add", produced)
    return f'Ask for it under `if workflow.patched("{id}"):`{at}, so that runs from before skip it.'


def _removed(expected: Command | None, produced: Command | None, at: str) -> str:
    id = patch_id("remove", expected)
    return (
        f'Keep it for runs from before: `if not workflow.patched("{id}"):` with the old call'
        f"{', before the line' + at if at else ''}."
    )


def _reordered(expected: Command | None, produced: Command | None, at: str) -> str:
    id = patch_id("reorder", expected)
    return (
        f'Choose the order by `workflow.patched("{id}")`{at}: the new one when it is true, '
        "the old one otherwise."
    )


def _renamed(expected: Command | None, produced: Command | None, at: str) -> str:
    old = expected.name if expected is not None else ""
    new = patch_id("rename", expected)
    if expected is not None and expected.kind is CommandKind.ACTIVITY:
        keep = f'Keep the recorded name with `@activity.defn(name="{old}")`, or'
    elif expected is not None and expected.kind is CommandKind.CHILD:
        keep = f'Keep the recorded name with `@workflow.defn(name="{old}")`, or'
    else:
        keep = "Keep the recorded name, or"
    return f'{keep} call the new one only under `workflow.patched("{new}")`{at}.'


def _changed_type(expected: Command | None, produced: Command | None, at: str) -> str:
    id = patch_id("change", expected)
    was = expected.kind.value if expected is not None else "old command"
    return f'Keep the {was} for runs from before: choose by `workflow.patched("{id}")`{at}.'


def _changed_id(expected: Command | None, produced: Command | None, at: str) -> str:
    return (
        f"Make the id as the recorded run did{at}: from the workflow's id and its input, never "
        "from time, chance or a counter that the change moved."
    )


def _missing_patch(expected: Command | None, produced: Command | None, at: str) -> str:
    id = expected.name if expected is not None else ""
    return (
        f'Put `workflow.deprecate_patch("{id}")` where the code asked for the patch, until no run '
        "is open that took it."
    )


def _waiting(expected: Command | None, produced: Command | None, at: str) -> str:
    id = patch_id("wait-before", expected)
    return f'Wait{at} only under `if workflow.patched("{id}"):`.'


def _sandbox(expected: Command | None, produced: Command | None, at: str) -> str:
    return (
        f"Move it{at} to an activity; import modules that are safe in a workflow under "
        "`with workflow.unsafe.imports_passed_through():`."
    )


def _deadlock(expected: Command | None, produced: Command | None, at: str) -> str:
    return f"Move the work{at} to an activity: workflow code must yield within two seconds."


def _unregistered(expected: Command | None, produced: Command | None, at: str) -> str:
    return "Name the workflow's class as well: --workflow module:Class."


def _payload(expected: Command | None, produced: Command | None, at: str) -> str:
    return (
        "New fields need a default, and types must read what was recorded; payloads of a converter "
        "or codec of your own need --profile module:function."
    )


def _exception(expected: Command | None, produced: Command | None, at: str) -> str:
    return f"Make the code take what this run has recorded{at}."


_SUGGESTIONS = {
    ChangeKind.ADDED: _added,
    ChangeKind.REMOVED: _removed,
    ChangeKind.REORDERED: _reordered,
    ChangeKind.RENAMED: _renamed,
    ChangeKind.CHANGED_TYPE: _changed_type,
    ChangeKind.CHANGED_ID: _changed_id,
    ChangeKind.MISSING_PATCH: _missing_patch,
    ChangeKind.WAITING: _waiting,
    ChangeKind.SANDBOX: _sandbox,
    ChangeKind.DEADLOCK: _deadlock,
    ChangeKind.UNREGISTERED: _unregistered,
    ChangeKind.PAYLOAD: _payload,
    ChangeKind.EXCEPTION: _exception,
}
