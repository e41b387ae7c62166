from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.text import clip, fold, safe_text

# Lone surrogates are part of what Python strings can hold, so of what can reach a terminal.
anything = st.text(alphabet=st.characters(exclude_categories=[]))
wild = st.one_of(
    anything,
    st.text(
        alphabet="\x00\x1b\x07\x7f\x9b\u202e\u2066\ud800\u200b\ufeff\n\t漢é\u0301 a[]\U000e0041"
    ),
)

MAY_NOT_REACH_A_TERMINAL = {"Cc", "Cs", "Zl", "Zp"}
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(wild)
def test_nothing_that_acts_is_left(text: str) -> None:
    safe = safe_text(text)

    assert not {unicodedata.category(c) for c in safe} & MAY_NOT_REACH_A_TERMINAL
    assert not set(safe) & BIDI
    assert safe.encode().decode() == safe


@given(wild)
def test_multiline_keeps_line_feeds_and_tabs_only(text: str) -> None:
    safe = safe_text(text, multiline=True)

    assert {c for c in safe if unicodedata.category(c) == "Cc"} <= {"\n", "\t"}
    assert safe.count("\n") == text.count("\n")


@given(wild)
def test_it_is_done_once(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "M", "Zs"])))
def test_text_that_only_shows_is_left_alone(text: str) -> None:
    assert safe_text(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\x00b", "a␀b"),
        ("\x7f", "␡"),
        ("\x9b31m", "⟪U+009B⟫31m"),
        ("\u202egnp.exe", "⟪RLO⟫gnp.exe"),
        ("\ud800", "⟪U+D800⟫"),
        ("line\r\nnext", "line␍␊next"),
        ("\U000e0041", "⟪U+E0041⟫"),
        ("a\u200bb", "a⟪ZWSP⟫b"),
    ],
)
def test_pictures(hostile: str, shown: str) -> None:
    assert safe_text(hostile) == shown


def test_joined_emoji_stay_joined() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert safe_text(family) == family


@given(wild.map(safe_text), st.integers(0, 40))
def test_clipped_text_is_exactly_as_wide_as_asked(text: str, width: int) -> None:
    assert cell_len(clip(text, width)) == width


def test_a_cut_is_marked() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert clip("abcd", 4) == "abcd"
    assert clip("ab", 4) == "ab  "


@given(wild.map(safe_text), st.integers(2, 30), st.none() | st.integers(0, 30))
def test_folding_loses_nothing_and_fits(text: str, width: int, first: int | None) -> None:
    parts = fold(text, width, first=first)

    assert "".join(parts) == text
    assert all(cell_len(part) <= width for part in parts)
    if first is not None:
        assert cell_len(parts[0]) <= first or first >= width


def test_folding_megabytes_is_quick() -> None:
    parts = fold("x" * 5_000_000, 80, first=10)

    assert len(parts) == 1 + (5_000_000 - 10 + 79) // 80
