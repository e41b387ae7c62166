"""Payloads as lines: JSON of any size and depth, written part by part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from tui import payload_text as lines_module
from tui.payload_text import indented, payload_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=60,
)


def plain(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


@contextmanager
def small_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "_LARGE", 5)
        yield


@given(VALUES)
def test_parts_of_a_value_are_the_whole_of_it(value: Any) -> None:
    whole = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    with small_parts():
        assert "\n".join(indented(value)) == whole


def test_a_large_value_is_written_in_many_parts() -> None:
    rows = [{"id": number, "tags": ["one", "two"]} for number in range(10_000)]
    assert 5 < len(list(indented({"rows": rows, "total": 100}))) < 50


@pytest.mark.parametrize("depth", [200, 300, 1_000])
def test_a_value_of_any_depth_is_shown(depth: int) -> None:
    data = b"[" * depth + b"7" + b"]" * depth
    lines = payload_text(plain(data)).lines
    assert "".join(line.strip() for line in lines) == data.decode()
