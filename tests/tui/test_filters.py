from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.identity import RunKey
from tui.filters import RunIndex, parse
from tui.sources import RunRow

FAILED = RunRow(RunKey("prod", "cargo-7", "0198"), "CargoRelease", "FAILED", 0, 90 * 10**9, 12, 15)
DEAR = RunRow(RunKey("prod", "kyc-1", "0199"), "Kyc", "COMPLETED", 0, 5 * 10**9, 3, 3, 0.75)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [FAILED, DEAR]),
        ("CARGO", [FAILED]),
        ("!cargo", [DEAR]),
        ("status:failed", [FAILED]),
        ("!status:failed", [DEAR]),
        ("id:kyc type:kyc", [DEAR]),
        ("id:kyc type:cargo", []),
        ("cost>0.5", [DEAR]),
        ("cost>$0.5", [DEAR]),
        ("cost<0.5", []),
        ("duration>60s", [FAILED]),
        ("steps<10 attempts>2", [DEAR]),
        ("cost>", [FAILED, DEAR]),
        ("!", [FAILED, DEAR]),
        ("0199", [DEAR]),
    ],
)
def test_filters(text: str, expected: list[RunRow]) -> None:
    assert RunIndex((FAILED, DEAR)).matching(parse(text)) == expected


@given(st.text())
def test_everything_that_can_be_typed_is_a_filter(text: str) -> None:
    RunIndex((FAILED, DEAR)).matching(parse(text))


def test_stuck_runs_are_found_by_that_word() -> None:
    stuck = replace(FAILED, status="RUNNING", is_stuck=True)
    for text in ("stuck", "status:stuck", "status:running"):
        assert RunIndex((FAILED, stuck)).matching(parse(text)) == [stuck]
