from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import figures

MS = 1_000_000
S = 1_000 * MS


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (None, "–"),
        (0, "0s"),
        (999, "999ns"),
        (12_345, "12µs"),
        (12 * MS, "12ms"),
        (3250 * MS, "3.25s"),
        (31_500 * MS, "31.5s"),
        (59_990 * MS, "1m00s"),
        (247 * S, "4m07s"),
        (7_500 * S, "2h05m"),
        (273_600 * S, "3d04h"),
        (-2 * S, "-2.00s"),
    ],
)
def test_durations(nanoseconds: int | None, shown: str) -> None:
    assert figures.duration(nanoseconds) == shown


@pytest.mark.parametrize(
    ("nanoseconds", "shown"), [(0, "+0s"), (3250 * MS, "+3.25s"), (-731 * MS, "-731ms")]
)
def test_offsets_have_one_sign(nanoseconds: int, shown: str) -> None:
    assert figures.offset(nanoseconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KB"),
        (14_336, "14 KB"),
        (3 * 2**30, "3.0 GB"),
    ],
)
def test_sizes(count: int | None, shown: str) -> None:
    assert figures.size(count) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (None, "–"),
        (0, "$0.00"),
        (0.0042, "$0.0042"),
        (1e-6, "<$0.0001"),
        (1234.5, "$1,234.50"),
        (Decimal("0.0001"), "$0.0001"),
    ],
)
def test_money(usd: float | Decimal | None, shown: str) -> None:
    assert figures.money(usd) == shown


@pytest.mark.parametrize(
    ("part", "shown"),
    [(None, "–"), (0.0, "0%"), (0.29, "29%"), (0.5, "50%"), (0.9999, "99%"), (1.0, "100%")],
)
def test_only_everything_is_a_hundred_percent(part: float | None, shown: str) -> None:
    assert figures.share(part) == shown


def test_times_keep_their_nanoseconds() -> None:
    assert figures.iso(1_767_225_600_000_000_001) == "2026-01-01T00:00:00.000000001Z"
    assert figures.moment(1_767_225_600_999_999_999) == "2026-01-01 00:00:00"
    assert figures.iso(None) is None


@given(st.integers(-(2**63), 2**63 - 1) | st.just(10**30))
def test_no_time_is_too_strange_to_show(nanoseconds: int) -> None:
    assert figures.moment(nanoseconds)
    assert figures.iso(nanoseconds)
    assert figures.duration(nanoseconds)
