"""What the model reads inside payloads: the same as a JSON parser would, by whichever way."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload, Payloads

from tracer.model.payloads import payloads_of, text_of


def as_json(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


@given(text=st.text(), escaped=st.booleans())
@example(text="declare 12", escaped=False)
@example(text='a "quoted" word', escaped=False)
@example(text="back\\slash", escaped=False)
@example(text="\x7f", escaped=False)
def test_a_text_is_read_however_it_is_written(text: str, escaped: bool) -> None:
    data = json.dumps(text, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert text_of(as_json(data)) == text


@given(data=st.binary(max_size=12).map(lambda inner: b'"' + inner + b'"') | st.binary(max_size=12))
@example(data=b'"tab\there"')
@example(data=b'"a"b"')
@example(data=b'"a"\n')
@example(data=b'""')
def test_bytes_are_a_text_where_the_parser_says_so(data: bytes) -> None:
    value = None
    with suppress(ValueError):
        value = json.loads(data)
    assert text_of(as_json(data)) == (value if isinstance(value, str) else "")


@pytest.mark.parametrize("encoding", [b"binary/encrypted", b"json/protobuf", None])
def test_another_encoding_holds_no_text(encoding: bytes | None) -> None:
    metadata = {"encoding": encoding} if encoding else {}
    assert text_of(Payload(metadata=metadata, data=b'"secret"')) == ""


def test_payloads_come_as_they_are() -> None:
    several = Payloads(payloads=[as_json(b"1"), as_json(b"2")])
    assert payloads_of(several) == (as_json(b"1"), as_json(b"2"))
    assert payloads_of(Payloads()) == ()
