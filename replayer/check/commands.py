"""Commands, read from both sides: the events that recorded them, and what code asks for now.

Both become `Command`s that can be compared. What is left out is what no event answers to: replies
to queries, and what the SDK's core keeps to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from replayer.check.model import Command, CommandKind
from tracer.model.payloads import json_of, text_of

__all__ = ["Recorded", "agrees", "command_asked", "duration", "local_marker", "recorded_commands"]

_PATCH = "core_patch"
_LOCAL_ACTIVITY = "core_local_activity"
_CHANGE_VERSION = "TemporalChangeVersion"
# The only names that the SDK's core compares.
_NAMED = frozenset({CommandKind.ACTIVITY, CommandKind.CHILD, CommandKind.NEXUS, CommandKind.PATCH})


@dataclass(frozen=True, slots=True)
class Recorded:
    """A command that a history has."""

    command: Command
    event: HistoryEvent
    """The event that recorded it."""
    attributes: Any
    """Of the event."""


def agrees(recorded: Command, asked: Command) -> bool:
    """Whether the SDK's core takes one for the other, ids aside."""
    if recorded.kind is not asked.kind:
        return False
    return recorded.kind not in _NAMED or recorded.name == asked.name


def recorded_commands(events: Iterable[HistoryEvent]) -> list[Recorded]:
    """The commands of a history in its order; markers of local activities among them."""
    found: list[Recorded] = []
    after_patch = False
    for event in events:
        name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        read = _EVENTS.get(name)
        if read is None:
            continue
        attributes = getattr(event, f"{name.lower()}_event_attributes")
        if after_patch and _is_change_version(name, attributes):
            after_patch = False
            continue  # The core adds it to a patch; no code asks for it.
        command = read(event, attributes)
        after_patch = command.kind is CommandKind.PATCH
        found.append(Recorded(command, event, attributes))
    return found


def command_asked(proto: Any) -> Command | None:
    """What a `WorkflowCommand` asks for; `None` for what no history records."""
    variant = proto.WhichOneof("variant") or ""
    read = _COMMANDS.get(variant)
    return None if read is None else read(proto, getattr(proto, variant))


def local_marker(recorded: Recorded) -> int | None:
    """The sequence number of the local activity that a marker is of; `None` for anything else."""
    if recorded.command.kind is not CommandKind.LOCAL_ACTIVITY:
        return None
    seq = _marker_data(recorded.attributes).get("seq")
    return seq if isinstance(seq, int) else -1


# -- events ----------------------------------------------------------------------------------------


def _activity(event: HistoryEvent, a: Any) -> Command:
    return _of(event, CommandKind.ACTIVITY, a.activity_type.name, a.activity_id)


def _timer(event: HistoryEvent, a: Any) -> Command:
    note = _summary(event) or duration(a.start_to_fire_timeout)
    return _of(event, CommandKind.TIMER, "", a.timer_id, note)


def _child(event: HistoryEvent, a: Any) -> Command:
    return _of(event, CommandKind.CHILD, a.workflow_type.name, a.workflow_id)


def _nexus(event: HistoryEvent, a: Any) -> Command:
    return _of(event, CommandKind.NEXUS, f"{a.service}/{a.operation}")


def _external(kind: CommandKind) -> Callable[[HistoryEvent, Any], Command]:
    def read(event: HistoryEvent, a: Any) -> Command:
        name = a.signal_name if kind is CommandKind.SIGNAL_EXTERNAL else ""
        return _of(event, kind, name, a.workflow_execution.workflow_id)

    return read


def _marker(event: HistoryEvent, a: Any) -> Command:
    if a.marker_name == _PATCH:
        data = _detail(a, "patch-data")
        is_deprecated = bool(data.get("deprecated"))
        name = str(data.get("id", ""))
        return Command(
            CommandKind.PATCH, name, event_id=event.event_id, is_deprecated=is_deprecated
        )
    if a.marker_name == _LOCAL_ACTIVITY:
        data = _marker_data(a)
        name, id = str(data.get("activity_type", "")), str(data.get("activity_id", ""))
        return _of(event, CommandKind.LOCAL_ACTIVITY, name, id)
    return _of(event, CommandKind.MARKER, a.marker_name)


def _update(kind: CommandKind) -> Callable[[HistoryEvent, Any], Command]:
    def read(event: HistoryEvent, a: Any) -> Command:
        if kind is CommandKind.UPDATE_ACCEPTED:
            request = a.accepted_request
            return _of(event, kind, request.input.name, a.protocol_instance_id)
        return _of(event, kind, "", a.meta.update_id)

    return read


def _plain(kind: CommandKind) -> Callable[[HistoryEvent, Any], Command]:
    return lambda event, _: _of(event, kind)


def _of(
    event: HistoryEvent, kind: CommandKind, name: str = "", id: str = "", note: str = ""
) -> Command:
    return Command(kind, name, id, note or _summary(event), event.event_id)


def _summary(message: Any) -> str:
    return text_of(message.user_metadata.summary)


def _is_change_version(name: str, attributes: Any) -> bool:
    return name == "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" and (
        _CHANGE_VERSION in attributes.search_attributes.indexed_fields
    )


def _marker_data(a: Any) -> dict[str, Any]:
    return _detail(a, "data")


def _detail(a: Any, name: str) -> dict[str, Any]:
    # Reading a missing key of a protobuf map would create it.
    payloads = a.details[name].payloads if name in a.details else ()
    value = json_of(payloads[0]) if payloads else None
    return value if isinstance(value, dict) else {}


_EVENTS: dict[str, Callable[[HistoryEvent, Any], Command]] = {
    "ACTIVITY_TASK_SCHEDULED": _activity,
    "ACTIVITY_TASK_CANCEL_REQUESTED": _plain(CommandKind.CANCEL_ACTIVITY),
    "TIMER_STARTED": _timer,
    "TIMER_CANCELED": lambda event, a: _of(event, CommandKind.CANCEL_TIMER, "", a.timer_id),
    "START_CHILD_WORKFLOW_EXECUTION_INITIATED": _child,
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": _external(CommandKind.SIGNAL_EXTERNAL),
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": _external(CommandKind.CANCEL_EXTERNAL),
    "MARKER_RECORDED": _marker,
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": _plain(CommandKind.SEARCH_ATTRIBUTES),
    "WORKFLOW_PROPERTIES_MODIFIED": _plain(CommandKind.MEMO),
    "NEXUS_OPERATION_SCHEDULED": _nexus,
    "NEXUS_OPERATION_CANCEL_REQUESTED": _plain(CommandKind.CANCEL_NEXUS),
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": _update(CommandKind.UPDATE_ACCEPTED),
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED": _update(CommandKind.UPDATE_COMPLETED),
    "WORKFLOW_EXECUTION_COMPLETED": _plain(CommandKind.COMPLETE),
    "WORKFLOW_EXECUTION_FAILED": _plain(CommandKind.FAIL),
    "WORKFLOW_EXECUTION_CANCELED": _plain(CommandKind.CANCEL),
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW": _plain(CommandKind.CONTINUE_AS_NEW),
}


# -- commands --------------------------------------------------------------------------------------


def _asked(kind: CommandKind, name: str = "", id: str = "") -> Callable[[Any, Any], Command]:
    """Reads a command whose name and id are these fields; `.` goes down."""

    def read(proto: Any, a: Any) -> Command:
        return Command(kind, _field(a, name), _field(a, id), _summary(proto))

    return read


def _field(message: Any, path: str) -> str:
    if not path:
        return ""
    for name in path.split("."):
        message = getattr(message, name)
    return str(message)


def _timer_asked(proto: Any, a: Any) -> Command:
    note = _summary(proto) or duration(a.start_to_fire_timeout)
    return Command(CommandKind.TIMER, "", str(a.seq), note)


def _nexus_asked(proto: Any, a: Any) -> Command:
    return Command(CommandKind.NEXUS, f"{a.service}/{a.operation}", "", _summary(proto))


def _signal_asked(proto: Any, a: Any) -> Command:
    target = a.child_workflow_id or a.workflow_execution.workflow_id
    return Command(CommandKind.SIGNAL_EXTERNAL, a.signal_name, target)


def _patch_asked(proto: Any, a: Any) -> Command:
    return Command(CommandKind.PATCH, a.patch_id, is_deprecated=a.deprecated)


def _update_asked(proto: Any, a: Any) -> Command:
    is_accepted = a.WhichOneof("response") == "accepted"
    kind = CommandKind.UPDATE_ACCEPTED if is_accepted else CommandKind.UPDATE_COMPLETED
    return Command(kind, "", a.protocol_instance_id)


_COMMANDS: dict[str, Callable[[Any, Any], Command]] = {
    "schedule_activity": _asked(CommandKind.ACTIVITY, "activity_type", "activity_id"),
    "schedule_local_activity": _asked(CommandKind.LOCAL_ACTIVITY, "activity_type", "activity_id"),
    "start_timer": _timer_asked,
    "cancel_timer": _asked(CommandKind.CANCEL_TIMER, "", "seq"),
    "start_child_workflow_execution": _asked(CommandKind.CHILD, "workflow_type", "workflow_id"),
    "cancel_child_workflow_execution": _asked(CommandKind.CANCEL_EXTERNAL),
    "request_cancel_external_workflow_execution": _asked(
        CommandKind.CANCEL_EXTERNAL, "", "workflow_execution.workflow_id"
    ),
    "signal_external_workflow_execution": _signal_asked,
    "request_cancel_activity": _asked(CommandKind.CANCEL_ACTIVITY),
    "schedule_nexus_operation": _nexus_asked,
    "request_cancel_nexus_operation": _asked(CommandKind.CANCEL_NEXUS),
    "set_patch_marker": _patch_asked,
    "upsert_workflow_search_attributes": _asked(CommandKind.SEARCH_ATTRIBUTES),
    "modify_workflow_properties": _asked(CommandKind.MEMO),
    "update_response": _update_asked,
    "complete_workflow_execution": _asked(CommandKind.COMPLETE),
    "fail_workflow_execution": _asked(CommandKind.FAIL),
    "cancel_workflow_execution": _asked(CommandKind.CANCEL),
    "continue_as_new_workflow_execution": _asked(CommandKind.CONTINUE_AS_NEW),
}


def duration(value: Any) -> str:
    """A protobuf duration for people: `30s`, `1.5s`, `2h`."""
    span: timedelta = value.ToTimedelta()
    seconds = span.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:g}{unit}"
    return f"{seconds:g}s"
