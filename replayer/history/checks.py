"""What makes events a history: ids 1, 2, 3, …, a time on each, and types that fit their attributes.

Every source passes through here, so that no format can smuggle in half a run. A run that is still
open is a valid history; one that starts late or has a hole is not.
"""

from __future__ import annotations

from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from replayer.history.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = ["attributes_by_type", "event_type_name", "ordered_history"]

_MAX_SECONDS = (2**63 - 1) // 1_000_000_000 - 1
"""In 2262: the model counts nanoseconds since 1970, and tables hold 64 bits of them."""
_MAX_NANOS = 999_999_999


def ordered_history(
    events: Iterable[HistoryEvent], untyped: Container[int] = ()
) -> tuple[HistoryEvent, ...]:
    """The events in ascending order, once everything about them holds.

    Args:
        events: In any order.
        untyped: Ids of events whose type is 0 on purpose: their source says that it is unknown.

    Raises:
        Malformed: Names the event, what is wrong with it and what was expected.
    """
    ordered = tuple(sorted(events, key=attrgetter("event_id")))
    if not ordered:
        raise Malformed("has no events")
    _check_ids([event.event_id for event in ordered])
    expected = attributes_by_type()
    for event in ordered:
        _check_time(event)
        attributes = event.WhichOneof("attributes")
        if attributes is None or attributes == expected.get(event.event_type):
            continue
        if event.event_type or event.event_id not in untyped:
            raise Malformed(
                f"event {event.event_id}: event type is {event_type_name(event)}, "
                f"expected the one of its {attributes}"
            )
    if ordered[0].event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        found = event_type_name(ordered[0])
        raise Malformed(f"event 1 is {found}, expected WORKFLOW_EXECUTION_STARTED")
    return ordered


def event_type_name(event: HistoryEvent) -> str:
    """`TIMER_STARTED`; the number for a type that the installed SDK does not know."""
    value = EventType.DESCRIPTOR.values_by_number.get(event.event_type)
    return value.name.removeprefix("EVENT_TYPE_") if value else f"event type {event.event_type}"


def _check_ids(ids: list[int]) -> None:
    if ids == list(range(1, len(ids) + 1)):
        return
    if ids[0] < 1:
        raise Malformed(f"has an event with id {ids[0]}, expected ids from 1")
    expected = 1
    for event_id in ids:
        if event_id == expected - 1:
            raise Malformed(f"event {event_id} is there more than once, expected each id once")
        if event_id != expected:
            raise Malformed(_gap(expected, event_id))
        expected += 1


def _gap(expected: int, found: int) -> str:
    if expected == 1:
        return f"starts at event {found}, expected event 1: this is a fragment of a history"
    missing = f"event {expected} is"
    if found - 1 > expected:
        missing = f"events {expected} to {found - 1} are"
    return f"{missing} missing: {expected - 1} is followed by {found}"


def _check_time(event: HistoryEvent) -> None:
    time = event.event_time
    if not time.seconds and not event.HasField("event_time"):
        raise Malformed(f"event {event.event_id} has no event time")
    if not (0 <= time.seconds <= _MAX_SECONDS and 0 <= time.nanos <= _MAX_NANOS):
        raise Malformed(
            f"event {event.event_id}: event time is {time.seconds}.{time.nanos:09} s, "
            "expected the years 1970 to 2262"
        )


@cache
def attributes_by_type() -> dict[int, str]:
    """The field of an event that its type fills, by the type's number."""
    names = {field.name for field in HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields}
    fields = {
        value.number: f"{value.name.removeprefix('EVENT_TYPE_').lower()}_event_attributes"
        for value in EventType.DESCRIPTOR.values
    }
    return {number: name for number, name in fields.items() if name in names}
