"""Protobuf JSON against protobuf's own reader, over every field that an event can have."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from replayer.history.enums import enum_converter, screaming_prefix
from replayer.history.errors import Malformed
from replayer.history.protojson import event_from_json
from replayer.history.scalars import Notes, duration, timestamp

MAX_DEPTH = 4


def reachable(descriptor: Descriptor, seen: dict[str, Descriptor]) -> dict[str, Descriptor]:
    if descriptor.full_name not in seen:
        seen[descriptor.full_name] = descriptor
        for field in descriptor.fields:
            if field.message_type is not None:
                reachable(field.message_type, seen)
    return seen


MESSAGES = reachable(HistoryEvent.DESCRIPTOR, {})
ENUMS = {
    field.enum_type.full_name: field.enum_type
    for message in MESSAGES.values()
    for field in message.fields
    if field.enum_type is not None
}


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    return {
        FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_STRING: st.text(st.characters(codec="utf-8"), max_size=6),
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=6),
        FieldDescriptor.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
        FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    }[field.type]


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> Any:
    """Any message of a type, with a few of its fields set."""
    message: Any = GetMessageClass(descriptor)()
    if descriptor.full_name == "google.protobuf.Timestamp":
        return GetMessageClass(descriptor)(
            seconds=draw(st.integers(-62135596800, 253402300799)),
            nanos=draw(st.integers(0, 999_999_999)),
        )
    if descriptor.full_name == "google.protobuf.Duration":
        seconds = draw(st.integers(-315_576_000_000, 315_576_000_000))
        nanos = draw(st.integers(0, 999_999_999))
        return GetMessageClass(descriptor)(seconds=seconds, nanos=-nanos if seconds < 0 else nanos)
    fields = (
        draw(st.lists(st.sampled_from(list(descriptor.fields)), max_size=5))
        if depth and descriptor.fields
        else []
    )
    for field in fields or descriptor.fields:
        draw_field(draw, message, field, depth)
    if descriptor.full_name == "temporal.api.common.v1.Payload":
        message.metadata["encoding"] = draw(st.sampled_from([b"json/plain", b"binary/encrypted"]))
    return message


def draw_field(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    inner = field.message_type
    is_map = inner is not None and inner.GetOptions().map_entry
    if inner is not None and depth >= MAX_DEPTH and not is_map:
        return
    if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name):
        return
    if inner is not None and is_map:
        value = inner.fields_by_name["value"]
        for key in draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=2)):
            if value.message_type is None:
                getattr(message, field.name)[key] = draw(scalars(value))
            else:
                drawn = draw(messages(value.message_type, depth + 1))
                getattr(message, field.name)[key].CopyFrom(drawn)
    elif field.is_repeated:
        for _ in range(draw(st.integers(0, 2))):
            if inner is None:
                getattr(message, field.name).append(draw(scalars(field)))
            else:
                getattr(message, field.name).add().CopyFrom(draw(messages(inner, depth + 1)))
    elif inner is None:
        setattr(message, field.name, draw(scalars(field)))
    else:
        getattr(message, field.name).CopyFrom(draw(messages(inner, depth + 1)))


ATTRIBUTES = list(HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields)


@st.composite
def events(draw: st.DrawFn) -> HistoryEvent:
    event = HistoryEvent(event_id=draw(st.integers(1, 2**63 - 1)))
    attributes = draw(st.sampled_from(ATTRIBUTES))
    draw_field(draw, event, attributes, 0)
    for name in ("event_time", "event_type", "user_metadata", "links", "event_group_markers"):
        if name in HistoryEvent.DESCRIPTOR.fields_by_name:
            draw_field(draw, event, HistoryEvent.DESCRIPTOR.fields_by_name[name], 1)
    return event


@settings(max_examples=200, deadline=None)
@given(event=events(), has_proto_names=st.booleans(), has_int_enums=st.booleans())
def test_every_event_survives_the_way_through_json(
    event: HistoryEvent, has_proto_names: bool, has_int_enums: bool
) -> None:
    written = json_format.MessageToDict(
        event,
        preserving_proto_field_name=has_proto_names,
        use_integers_for_enums=has_int_enums,
    )

    read, unknown = event_from_json(orjson.loads(json.dumps(written)))

    assert read == event
    assert read == json_format.ParseDict(written, HistoryEvent())
    assert unknown == []


def pascal(name: str, prefix: str) -> str:
    return "".join(word.capitalize() for word in name.removeprefix(prefix).split("_"))


@pytest.mark.parametrize("enum", ENUMS.values(), ids=lambda enum: enum.name)
def test_every_spelling_of_every_enum_value(enum: EnumDescriptor) -> None:
    convert, prefix, notes = enum_converter(enum), screaming_prefix(enum), Notes()
    for value in enum.values:
        short = value.name.removeprefix(prefix)
        assert short != value.name
        for spelling in (value.name, short, pascal(value.name, prefix), value.number):
            assert convert(spelling, notes) == value.number
        assert convert(str(value.name).title().replace("_", ""), notes) == value.number
    assert notes.unknown == []


def test_names_that_are_newer_than_the_sdk_are_noted() -> None:
    event = {
        "eventId": "3",
        "eventType": "EVENT_TYPE_DREAM_STARTED",
        "links": [],
        "userMetadata": {"mood": "new field"},
        "dreamStartedEventAttributes": {"depth": 2},
    }
    failed = {"workflowTaskFailedEventAttributes": {"cause": "WORKFLOW_TASK_FAILED_CAUSE_NEW"}}

    assert event_from_json(event)[1] == [("EventType", "EVENT_TYPE_DREAM_STARTED")]
    read, unknown = event_from_json(failed)
    assert read.HasField("workflow_task_failed_event_attributes")
    assert unknown == [("WorkflowTaskFailedCause", "WORKFLOW_TASK_FAILED_CAUSE_NEW")]


def test_unknown_numbers_stay_numbers() -> None:
    read, unknown = event_from_json({"eventId": "3", "eventType": 9999})

    assert (read.event_type, unknown) == (9999, [])


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("2022-07-01T20:20:50Z", 1_656_706_850, 0),
        ("2022-07-01T20:20:50.181506253Z", 1_656_706_850, 181_506_253),
        ("2022-07-01T22:20:50.1+02:00", 1_656_706_850, 100_000_000),
        ("2022-07-01T18:50:50-01:30", 1_656_706_850, 0),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
    ],
)
def test_times(text: str, seconds: int, nanos: int) -> None:
    assert timestamp(text, Notes()) == {"seconds": seconds, "nanos": nanos}
    official = json_format.Parse(f'{{"eventTime": "{text}"}}', HistoryEvent()).event_time
    assert (official.seconds, official.nanos) == (seconds, nanos)


@pytest.mark.parametrize(
    "text",
    [
        *("2022-07-01", "2022-07-01T24:00:00Z", "2022-07-01T20:20:60Z", "2022-07-01T20:20:50", 5),
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
        "2022-07-01T20:20:50.1234567890Z",
    ],
)
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(Malformed, match="expected a"):
        timestamp(text, Notes())


def test_durations() -> None:
    assert duration("-1.5s", Notes()) == {"seconds": -1, "nanos": -500_000_000}
    for wrong in ("1", "1.s", "s", "315576000001s", 1, "1m"):
        with pytest.raises(Malformed, match="expected"):
            duration(wrong, Notes())


def test_attributes_are_named_after_event_types() -> None:
    names = {field.name.removesuffix("_event_attributes").upper() for field in ATTRIBUTES}
    types = {name.removeprefix("EVENT_TYPE_") for name in EventType.DESCRIPTOR.values_by_name}
    assert names <= types


def test_only_failures_are_recursive() -> None:
    """The depth of everything else is bounded by its type, so only failures are counted."""
    for name, message in MESSAGES.items():
        inner: dict[str, Descriptor] = {}
        for field in message.fields:
            if field.message_type is not None:
                reachable(field.message_type, inner)
        assert (name in inner) == (name == "temporal.api.failure.v1.Failure"), name


def test_pascal_names_read_as_the_sdk_reads_them() -> None:
    for name, value in EventType.items():
        written = {"events": [{"eventType": pascal(name, "EVENT_TYPE_")}]}
        (official,) = WorkflowHistory.from_json("any", written).events
        assert official.event_type == event_from_json(written["events"][0])[0].event_type == value


def test_errors_of_deep_values_name_the_path() -> None:
    event = {
        "markerRecordedEventAttributes": {
            "details": {"data": {"payloads": [{}, {"metadata": {"encoding": 5}}]}}
        }
    }
    path = "markerRecordedEventAttributes.details.data.payloads[1].metadata.encoding"
    with pytest.raises(Malformed, match=f"^{re.escape(path)} is 5, expected base64 text$"):
        event_from_json(event)
