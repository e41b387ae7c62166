"""What changed inside payloads: by path, and within long texts by word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.alignment import MISSING, Change, Side, TextPart, align, changes_of, compare
from replayer.alignment.changes import text_parts
from replayer.alignment.document import row_document
from tests.replayer.align_stories import RUN_B, Story
from tui.diff.page import diff_page


def changes(left: Any, right: Any) -> list[Change]:
    return changes_of_texts(json.dumps(left), json.dumps(right))


def changes_of_texts(left: str, right: str) -> list[Change]:
    ours = Story().step("a", left).end()
    theirs = Story(run_id=RUN_B).step("a", right).end()
    [row] = [row for row in align(ours, theirs) if row.entry.name == "a"]
    return changes_of(row)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": 1}, {"a": 2}, [("$[0].a", 1, 2)]),
        ({"a": 1}, {}, [("$[0].a", 1, MISSING)]),
        ({}, {"a": None}, [("$[0].a", MISSING, None)]),
        ({"a b": {"c": 1}}, {"a b": {"c": 2}}, [('$[0]["a b"].c', 1, 2)]),
        ([1, 2, 3], [1, 3], [("$[0][1]", 2, MISSING)]),
        ([1, 3], [1, 2, 3], [("$[0][1]", MISSING, 2)]),
        ([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 3}], [("$[0][1].n", 2, 3)]),
        (1, True, [("$[0]", 1, True)]),
        (1, 1.0, [("$[0]", 1, 1.0)]),
        ("x", ["x"], [("$[0]", "x", ["x"])]),
    ],
)
def test_changes_have_a_path(left: Any, right: Any, expected: list[tuple[str, Any, Any]]) -> None:
    found = [(change.path, change.left, change.right) for change in changes(left, right)]
    assert [(path, repr(a), repr(b)) for path, a, b in found] == [
        (path, repr(a), repr(b)) for path, a, b in expected
    ]


def test_volatile_and_other_changes_are_told_apart() -> None:
    left = {"id": "CLR-d088ef0a", "amount": 1}
    right = {"id": "CLR-97692b81", "amount": 2}
    assert [(c.path, c.volatile) for c in changes(left, right)] == [
        ("$[0].id", True),
        ("$[0].amount", False),
    ]


def test_a_long_text_is_compared_word_by_word() -> None:
    before = "The applicant holds a public office; the source of funds is clear, so approve."
    after = "The applicant holds a public office; the source of funds is unclear, so ask a human."
    [change] = changes({"why": before}, {"why": after})
    words = [(part, text.strip()) for part, text in change.text if part is not TextPart.BOTH]
    assert (TextPart.LEFT, "clear") in words
    assert (TextPart.RIGHT, "unclear") in words


@given(st.text(), st.text())
def test_the_parts_of_a_text_are_the_texts(left: str, right: str) -> None:
    parts = text_parts(left, right)
    assert "".join(text for part, text in parts if part is not TextPart.RIGHT) == left
    assert "".join(text for part, text in parts if part is not TextPart.LEFT) == right


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("[" * 900 + "1" + "]" * 900, "[" * 900 + "2" + "]" * 900),
        ('{"a":' * 500 + "1" + "}" * 500, '{"a":' * 500 + "2" + "}" * 500),
        (json.dumps("x" * 400_000), json.dumps("x" * 200_000 + "y" + "x" * 200_000)),
        (json.dumps(list(range(20_000))), json.dumps(list(range(1, 20_001)))),
        (json.dumps("word " * 30_000), json.dumps("drow " * 30_000)),
        ('"\\ud800"', '"\\ud801"'),
        ("{", "}"),
        ("NaN", "Infinity"),
        ("1e999", "2"),
    ],
    ids=range(9),
)
def test_hostile_values_are_bounded(left: str, right: str) -> None:
    found = changes_of_texts(left, right)
    assert 1 <= len(found) <= 200
    ours = Story().step("a", left).end()
    theirs = Story(run_id=RUN_B).step("a", right).end()
    compared = compare(Side(ours), Side(theirs))
    assert len(diff_page(compared)) < 2_000_000
    assert [row_document(row, 0)["verdict"] for row in compared.rows] == [
        "equal", "changed", "equal"
    ]  # fmt: skip
