"""Which columns of `core.events` a type of event fills, and from which fields of its attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from temporalio.api.history.v1 import HistoryEvent

from tracer.model import failure_from
from tracer.model.enums import RETRY_STATE, WORKFLOW_TASK_FAILED_CAUSE, name_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

__all__ = ["FILLED_COLUMNS", "EventField", "event_fields", "values_of"]

_PLAIN: Final = (
    "activity_id",
    "timer_id",
    "signal_name",
    "marker_name",
    "identity",
    "scheduled_event_id",
    "started_event_id",
    "initiated_event_id",
    "workflow_task_completed_event_id",
    "history_size_bytes",
    "attempt",
)
"""Columns that are attributes of the same name, in the types of events that have them."""

_OTHER: Final = (
    "activity_type",
    "update_id",
    "failure_type",
    "failure_message",
    "cause",
    "retry_state",
    "child_workflow_id",
    "child_run_id",
)

FILLED_COLUMNS: Final = (*_PLAIN, *_OTHER)
"""Columns that only some types of events fill."""

type Read = Callable[[Sequence[Any]], Sequence[Sequence[Any]]]
"""From many values of a field to the values of its columns."""


def _set(values: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """The values themselves; protobuf has zeros and empty texts where nothing was set."""
    return ([value or None for value in values],)


@dataclass(frozen=True, slots=True)
class EventField:
    """A field of a type of event, and what it fills."""

    columns: tuple[str, ...]
    path: str
    """Where it is in the attributes, dotted."""
    read: Read = _set


@cache
def event_fields(attributes: str) -> tuple[EventField, ...]:
    """What is read from events that have these attributes."""
    message = HistoryEvent.DESCRIPTOR.fields_by_name[attributes].message_type
    fields = message.fields_by_name if message else {}
    plain = [EventField((name,), name) for name in _PLAIN if name in fields]
    return (*plain, *_others(fields))


def values_of(fields: Sequence[EventField]) -> Callable[[Any], tuple[Any, ...]] | None:
    """The function that reads the fields from attributes; `None` if there are none."""
    if len(fields) == 1:
        get = attrgetter(fields[0].path)
        return lambda attributes: (get(attributes),)
    return attrgetter(*(field.path for field in fields)) if fields else None


def _others(fields: Mapping[str, FieldDescriptor]) -> list[EventField]:
    found = []
    if "activity_type" in fields:
        found.append(EventField(("activity_type",), "activity_type.name"))
    if "protocol_instance_id" in fields:
        found.append(EventField(("update_id",), "protocol_instance_id"))
    elif "meta" in fields:
        found.append(EventField(("update_id",), "meta.update_id"))
    if "failure" in fields:
        found.append(EventField(("failure_type", "failure_message"), "failure", _failures))
    if "cause" in fields:
        found.append(EventField(("cause",), "cause", _cause(fields["cause"])))
    if "retry_state" in fields:
        found.append(EventField(("retry_state",), "retry_state", partial(_named, RETRY_STATE)))
    if "workflow_execution" in fields:
        found.append(EventField(("child_workflow_id",), "workflow_execution.workflow_id"))
        found.append(EventField(("child_run_id",), "workflow_execution.run_id"))
    elif "workflow_id" in fields and "parent_close_policy" in fields:
        found.append(EventField(("child_workflow_id",), "workflow_id"))
    return found


def _failures(messages: Sequence[Any]) -> Sequence[Sequence[Any]]:
    roots = [failure and failure.root for failure in map(failure_from, messages)]
    return (
        [(root.type or None) if root else None for root in roots],
        [(root.message or None) if root else None for root in roots],
    )


def _cause(field: FieldDescriptor) -> Read:
    enum = field.enum_type
    if enum is None:
        return _texts
    if enum.name == "WorkflowTaskFailedCause":
        return partial(_named, WORKFLOW_TASK_FAILED_CAUSE)
    names = {
        number: value.name.split("_CAUSE_", 1)[-1]
        for number, value in enum.values_by_number.items()
        if number
    }
    return lambda numbers: ([names.get(number) for number in numbers],)


def _texts(values: Sequence[Any]) -> Sequence[Sequence[Any]]:
    return ([(value or None) if isinstance(value, str) else None for value in values],)


def _named(names: Mapping[int, str], numbers: Sequence[int]) -> Sequence[Sequence[Any]]:
    return ([name_of(names, number) or None for number in numbers],)
