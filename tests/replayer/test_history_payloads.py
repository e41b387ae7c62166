"""Payloads for people: every slot is found, and every encoding says what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToJson
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.sdk.v1 import ExternalStorageReference
from temporalio.converter import DataConverter, ExternalStorage

from replayer.history import DecodedPayload, RunHistory, decode, iter_payloads, read_histories

MakeHistory = Callable[..., History]


def payload(encoding: str, data: bytes, **metadata: bytes) -> Payload:
    return Payload(metadata={"encoding": encoding.encode(), **metadata}, data=data)


DECODED: list[tuple[Payload, DecodedPayload]] = [
    (
        payload("json/plain", b'{"amount": 900}'),
        DecodedPayload("json/plain", {"amount": 900}, '{"amount": 900}', 15, None),
    ),
    (payload("json/plain", b"null"), DecodedPayload("json/plain", None, "null", 4, None)),
    (
        payload("json/protobuf", b'{"a":1}', messageType=b"kyc.v1.Case"),
        DecodedPayload("json/protobuf", {"a": 1}, '{"a":1}', 7, "protobuf kyc.v1.Case"),
    ),
    (payload("binary/null", b""), DecodedPayload("binary/null", None, "null", 0, None)),
    (
        payload("binary/plain", "grüß\n".encode()),
        DecodedPayload("binary/plain", None, "grüß\n", 7, None),
    ),
    (
        payload("binary/plain", b"\x89PNG\0"),
        DecodedPayload("binary/plain", None, None, 5, "binary data"),
    ),
    (
        payload("binary/protobuf", b"\x08\x01", messageType=b"kyc.v1.Case"),
        DecodedPayload("binary/protobuf", None, None, 2, "protobuf kyc.v1.Case"),
    ),
    (
        payload("binary/encrypted", b"\xff" * 9),
        DecodedPayload("binary/encrypted", None, None, 9, "encrypted"),
    ),
    (
        payload("json/wf_v1", b'{"result": 1}', namespace=b"default"),
        DecodedPayload(
            "json/wf_v1", {"result": 1}, '{"result": 1}', 13, "JSON in an encoding of its own"
        ),
    ),
    (
        payload("json/wf_v1", b"\xde\xad", encoding_options=b"compressed,encrypted"),
        DecodedPayload("json/wf_v1", None, None, 2, "encoded further: compressed,encrypted"),
    ),
    (
        payload("json/plain", b'{"a":'),
        DecodedPayload("json/plain", None, '{"a":', 5, "not valid JSON: unexpected end of data"),
    ),
    (
        payload("binary/zlib", b"\x78\x9c"),
        DecodedPayload(
            "binary/zlib", None, None, 2, "unknown encoding; a codec may be able to decode it"
        ),
    ),
    (Payload(data=b"x"), DecodedPayload("", None, None, 1, "no encoding is recorded")),
]


@pytest.mark.parametrize(("recorded", "expected"), DECODED, ids=lambda p: str(p)[:30])
def test_encodings(recorded: Payload, expected: DecodedPayload) -> None:
    assert decode(recorded) == expected


class _Driver:
    """An external storage that keeps nothing: only the reference is of interest."""

    def name(self) -> str:
        return "drawer"

    def type(self) -> str:
        return "test"

    async def store(self, _context: object, payloads: list[Payload]) -> list[Any]:
        from temporalio.converter import StorageDriverClaim

        return [StorageDriverClaim(claim_data={"key": "7"}) for _ in payloads]

    async def retrieve(self, _context: object, _claims: list[Any]) -> list[Payload]:
        raise NotImplementedError


async def test_references_to_external_storage_have_the_true_size() -> None:
    storage = ExternalStorage(drivers=[_Driver()], payload_size_threshold=10)  # type: ignore[list-item]
    converter = DataConverter(external_storage=storage)

    (recorded,) = await converter.encode(["x" * 100_000])
    decoded = decode(recorded)

    assert len(recorded.data) < 1000
    assert decoded.size > 100_000
    assert decoded.note == "stored outside the history by drawer"
    assert decoded.json["claimData" if "claimData" in decoded.json else "claim_data"] == {
        "key": "7"
    }


def test_encoded_references_are_known_by_their_marker() -> None:
    recorded = payload(
        "binary/encrypted", b"\xff\xfe", __temporal_external_storage_reference=b"true"
    )
    recorded.external_payloads.add().size_bytes = 5_000_000
    reference = ExternalStorageReference(driver_name="s3", claim_data={"k": "v"})
    as_protobuf = payload(
        "json/protobuf",
        MessageToJson(reference).encode(),
        messageType=ExternalStorageReference.DESCRIPTOR.full_name.encode(),
    )

    assert decode(recorded) == DecodedPayload(
        "binary/encrypted", None, None, 5_000_000, "stored outside the history"
    )
    assert decode(as_protobuf).note == "stored outside the history by s3"


@given(
    encoding=st.sampled_from([e for p, _ in DECODED if (e := p.metadata.get("encoding"))])
    | st.binary(max_size=12),
    data=st.binary(max_size=40) | st.just(b"[" * 5000) | st.just(b'"\\ud800"'),
    metadata=st.dictionaries(
        st.sampled_from(["messageType", "encoding_options", "other"]), st.binary(max_size=5)
    ),
    sizes=st.lists(st.integers(-(2**62), 2**62), max_size=2),
)
def test_nothing_that_a_payload_holds_raises(
    encoding: bytes, data: bytes, metadata: dict[str, bytes], sizes: list[int]
) -> None:
    recorded = Payload(metadata={**metadata, "encoding": encoding}, data=data)
    for size in sizes:
        recorded.external_payloads.add().size_bytes = size

    decoded = decode(recorded)

    assert decoded.size >= 0
    assert decoded.note is None or isinstance(decoded.note, str)


def slots(event: HistoryEvent) -> list[tuple[str, int]]:
    return [(slot, index) for slot, index, _ in iter_payloads(event)]


def test_slots_read_as_people_would_name_them() -> None:
    event = HistoryEvent()
    started = event.workflow_execution_started_event_attributes
    started.input.payloads.add()
    started.input.payloads.add()
    started.header.fields["traceparent"].data = b"1"
    started.memo.fields["who"].data = b"2"
    started.search_attributes.indexed_fields["CustomerId"].data = b"3"
    started.continued_failure.cause.cause.application_failure_info.details.payloads.add()
    started.last_completion_result.payloads.add()
    event.user_metadata.summary.data = b"4"

    assert sorted(slots(event)) == [
        ("continued_failure.2.details", 0),
        ("header.traceparent", 0),
        ("input", 0),
        ("input", 1),
        ("last_completion_result", 0),
        ("memo.who", 0),
        ("search_attributes.CustomerId", 0),
        ("user_metadata.summary", 0),
    ]


def test_slots_of_other_events() -> None:
    marker, failed, accepted, nexus = (HistoryEvent() for _ in range(4))
    details = marker.marker_recorded_event_attributes.details
    details["data"].payloads.add()
    details["result"].payloads.add()
    failure = failed.activity_task_failed_event_attributes.failure
    failure.encoded_attributes.data = b"1"
    failure.cause.timeout_failure_info.last_heartbeat_details.payloads.add()
    request = accepted.workflow_execution_update_accepted_event_attributes.accepted_request
    request.input.args.payloads.add()
    request.input.header.fields["k"].data = b"1"
    nexus.nexus_operation_scheduled_event_attributes.input.data = b"1"
    nexus.nexus_operation_scheduled_event_attributes.nexus_header["k"] = "text, not a payload"

    assert slots(marker) == [("details.data", 0), ("details.result", 0)]
    assert slots(failed) == [
        ("failure.0.encoded_attributes", 0),
        ("failure.1.last_heartbeat_details", 0),
    ]
    assert sorted(slots(accepted)) == [
        ("accepted_request.input.args", 0),
        ("accepted_request.input.header.k", 0),
    ]
    assert slots(nexus) == [("input", 0)]


def fill(message: Any, descriptor: Descriptor, depth: int = 0) -> None:
    """Set every field that is a message, so that every payload of a type is there."""
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None or depth > 6 or (field.name == "cause" and depth > 1):
            continue
        if field.containing_oneof is not None and message.WhichOneof(field.containing_oneof.name):
            continue
        if inner.GetOptions().map_entry:
            value = inner.fields_by_name["value"].message_type
            if value is not None:
                fill(getattr(message, field.name)["k"], value, depth + 1)
        elif field.is_repeated:
            fill(getattr(message, field.name).add(), inner, depth + 1)
        else:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), inner, depth + 1)


def count_payloads(message: Any) -> int:
    """Payloads below a message, found by walking everything that is set."""
    if message.DESCRIPTOR.full_name == "temporal.api.common.v1.Payload":
        return 1
    total = 0
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                total += sum(count_payloads(item) for item in value.values())
        elif field.is_repeated:
            total += sum(count_payloads(item) for item in value)
        else:
            total += count_payloads(value)
    return total


@pytest.mark.parametrize(
    "field", list(HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields), ids=lambda f: f.name
)
def test_no_payload_of_any_event_type_is_overlooked(field: FieldDescriptor) -> None:
    event = HistoryEvent()
    getattr(event, field.name).SetInParent()
    assert field.message_type is not None
    fill(getattr(event, field.name), field.message_type)
    event.user_metadata.details.data = b"1"

    found = slots(event)

    assert len(found) == count_payloads(event)
    assert len(set(found)) == len(found)
    assert GetMessageClass(field.message_type)


def test_corpus_payloads_decode(corpus: Path) -> None:
    encodings: Counter[str] = Counter()
    for run in read_histories([corpus / "mistral", corpus / "openai-agents"]):
        assert isinstance(run, RunHistory)
        for event in run.events:
            for slot, _, recorded in iter_payloads(event):
                decoded = decode(recorded)
                encodings[decoded.encoding] += 1
                assert slot
                if decoded.note is None and decoded.text is not None:
                    assert decoded.json == orjson.loads(decoded.text)
    assert encodings["json/plain"] > 100
    assert encodings["json/wf_v1"] > 50


PADDING = b" " * 300_000
"""JSON allows it anywhere; it makes a text a large one."""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_large_json_says_what_a_small_one_does(value: Any) -> None:
    written = orjson.dumps(value)
    small, large = (
        decode(payload("json/plain", data)).json for data in (written, PADDING + written)
    )
    assert (large, repr(large)) == (small, repr(small))


@pytest.mark.parametrize(
    "data",
    [
        b"99999999999999999999999",
        b"1e999",
        b"-0",
        b"[NaN]",
        b"[Infinity, -Infinity]",
        b'"\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\x00"',
        b'"\\u0000"',
        b'"\xed\xa0\x80"',
        b"\xff",
        b"[1,]",
        b"[1] 2",
        b"01",
        b'{"a": 1, "a": 2}',
        b"",
        b"[" * 100_000,
        b"[" * 1_000 + b"]" * 1_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_a_large_json_is_refused_where_a_small_one_is(data: bytes) -> None:
    small, large = (decode(payload("json/plain", each)) for each in (data, PADDING + data))
    assert repr(large.json) == repr(small.json)
    assert str(large.note)[:16] == str(small.note)[:16]


def test_bytes_that_are_text_but_for_one_control_are_binary_data() -> None:
    assert decode(payload("binary/plain", b"text\r\n\t" * 9)).text is not None
    assert decode(payload("binary/plain", b"text\r\n\t" * 9 + b"\x1b")).text is None
