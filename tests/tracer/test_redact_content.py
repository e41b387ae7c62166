"""Payload contents: none unless opted in, and never more than a bounded text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from tracer.redaction import ContentPolicy, content_of


def payloads(*values: Any) -> list[Payload]:
    return DataConverter.default.payload_converter.to_payloads(values)


def test_nothing_is_allowed_by_default() -> None:
    assert not ContentPolicy().allows("Orders")
    policy = ContentPolicy(frozenset({"Orders"}))
    assert policy.allows("Orders")
    assert not policy.allows("Orders2")
    assert not policy.allows("")


def test_a_bare_name_is_refused() -> None:
    name: Any = "Orders"
    with pytest.raises(TypeError, match="expected a set of names"):
        ContentPolicy(name)
    with pytest.raises(ValueError, match="limit is 0"):
        ContentPolicy(limit=0)


def test_arguments_are_one_json_array() -> None:
    values = ["order-1", {"amount": 3.5, "name": "Äß"}, None, [1, 2]]
    assert json.loads(content_of(payloads(*values), 1_000)) == values
    assert content_of([], 100) == "[]"


def test_what_is_no_json_shows_as_encoding_and_size() -> None:
    encrypted = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"secret stuff")
    odd = Payload(metadata={"encoding": b'"\xff'}, data=b"secret stuff")
    content = content_of([*payloads(b"bytes"), encrypted, odd, Payload(data=b"secret")], 1_000)
    assert "secret" not in content
    assert json.loads(content) == [
        "<binary/plain, 5 bytes>",
        "<binary/encrypted, 12 bytes>",
        "<'\ufffd, 12 bytes>",
        "<unknown, 6 bytes>",
    ]


def test_what_is_stored_elsewhere_shows_as_its_size() -> None:
    reference = Payload(metadata={"encoding": b"json/plain"}, data=b'{"key": "bucket/1"}')
    reference.external_payloads.add(size_bytes=5_000_000)
    assert content_of([reference], 1_000) == '["<json/plain, 5000000 bytes>"]'


@given(
    st.lists(
        st.builds(
            lambda encoding, data: Payload(metadata={"encoding": encoding}, data=data),
            st.sampled_from([b"json/plain", b"json/protobuf", b"binary/null", b"", b"\xff\x00"]),
            st.binary(max_size=60),
        ),
        max_size=6,
    ),
    st.integers(1, 80),
)
def test_content_is_bounded_whatever_the_payloads(items: list[Payload], limit: int) -> None:
    content = content_of(items, limit)
    assert len(content) <= limit + len("… [cut]")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50), st.integers(2, 40))
def test_a_cut_content_is_the_start_of_the_whole(text: str, limit: int) -> None:
    whole = content_of(payloads(text), 1_000)
    content = content_of(payloads(text), limit)
    assert content == whole if len(whole) <= limit else content == f"{whole[:limit]}… [cut]"


def test_a_large_payload_is_not_decoded_as_a_whole() -> None:
    large = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"x" * 2_000_000 + b'"')
    assert content_of([large], 10) == '["xxxxxxxx… [cut]'
