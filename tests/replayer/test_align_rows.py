"""What becomes of each step when two runs are put side by side."""

from __future__ import annotations

import json
from typing import Any

import pytest

import replayer
from replayer.alignment import (
    AlignedRow,
    EntryKind,
    Reason,
    Verdict,
    align,
    changes_of,
    row_document,
    summary_document,
    totals_of,
)
from tests.replayer.align_stories import RUN_B, Story, encrypted, told
from tracer.model import Run


def plain(**options: Any) -> Story:
    return Story(run_id=RUN_B, **options)


def three() -> Run:
    return Story().step("charge", '{"n": 1}').step("pack").step("ship").end()


def test_it_is_importable_from_the_room() -> None:
    assert replayer.align is align
    with pytest.raises(AttributeError):
        _ = replayer.unknown


def test_a_run_equals_itself() -> None:
    rows = align(three(), three())
    assert told(rows) == []
    assert [row.entry.kind for row in rows] == [
        EntryKind.START,
        EntryKind.ACTIVITY,
        EntryKind.ACTIVITY,
        EntryKind.ACTIVITY,
        EntryKind.END,
    ]


def test_a_step_that_only_one_run_has() -> None:
    other = plain().step("charge", '{"n": 1}').step("weigh").step("pack").step("ship").end()
    assert told(align(three(), other)) == [("only_right", "weigh", "")]
    assert told(align(other, three())) == [("only_left", "weigh", "")]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (plain().step("charge", '{"n": 2}').step("pack").step("ship"), ("charge", "input")),
        (
            plain().step("charge", '{"n": 1}', '"no"').step("pack").step("ship"),
            ("charge", "output"),
        ),
        (
            plain().step("charge", '{"n": 1}').step("pack", failed="torn").step("ship"),
            ("pack", "outcome"),
        ),
        (
            plain().step("charge", '{"n": 1}').step("pack", attempt=3).step("ship"),
            ("pack", "attempts"),
        ),
        (
            plain()
            .step("charge", '{"n": 1}')
            .step("pack")
            .step("ship", start_to_close_timeout={"seconds": 5}),
            ("ship", "policy"),
        ),
        (
            plain()
            .step("charge", '{"n": 1}')
            .step("pack")
            .step("ship", retry_policy={"maximum_attempts": 5}),
            ("ship", "policy"),
        ),
    ],
)
def test_a_changed_step_says_in_what(other: Story, expected: tuple[str, str]) -> None:
    assert told(align(three(), other.end())) == [("changed", *expected)]


def test_json_is_compared_as_json() -> None:
    ours = Story().step("charge", '{"n": 1, "to": "x"}').end()
    theirs = plain().step("charge", '{"to":"x","n":1}').end()
    assert not any(row.is_difference for row in align(ours, theirs))


def calls(story: Story, *models: tuple[str, int]) -> Run:
    for model, tokens in models:
        answer = {
            "model": model,
            "choices": [],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 10},
        }
        story.step("ask", json.dumps({"model": model}), json.dumps(answer))
    return story.end()


def test_a_model_call_tells_model_tokens_and_cost() -> None:
    ours, theirs = calls(Story(), ("gpt-4o", 1000)), calls(plain(), ("gpt-4o-mini", 900))
    rows = align(ours, theirs)
    assert told(rows) == [("changed", "ask", "input output model tokens cost")]
    left, right = totals_of(rows)
    assert (left.model_calls, left.input_tokens, left.output_tokens) == (1, 1000, 10)
    assert right.input_tokens == 900
    assert left.cost_usd is not None
    assert right.cost_usd is not None
    assert left.cost_usd > right.cost_usd > 0


def test_loops_of_different_length_align_turn_by_turn() -> None:
    ours, theirs = Story(), plain()
    for story, turns in ((ours, 3), (theirs, 5)):
        for turn in range(turns):
            model = '{"model": "m", "choices": [], "usage": {"prompt_tokens": 1}}'
            story.step("ask", json.dumps({"seen": list(range(turn))}), model)
            story.step("tool", json.dumps({"call": turn}))
    rows = align(ours.end(), theirs.end())
    assert told([row for row in rows if row.is_difference]) == [
        ("only_right", "ask", ""),
        ("only_right", "tool", ""),
        ("only_right", "ask", ""),
        ("only_right", "tool", ""),
    ]
    pairs = [(row.left.turn, row.right.turn) for row in rows if row.left and row.right]
    assert all(left == right for left, right in pairs[:-1])


def test_a_turn_in_the_middle_is_found_although_later_ones_saw_more() -> None:
    ours, theirs = Story(), plain()
    for story, tools in ((ours, "abc"), (theirs, "axbc")):
        for turn, tool in enumerate(tools):
            model = '{"model": "m", "choices": [], "usage": {"prompt_tokens": 1}}'
            story.step("ask", json.dumps({"conversation": list(tools[:turn])}), model)
            story.step("tool", json.dumps({"call": tool}))
    rows = align(ours.end(), theirs.end())
    only = [(v, name) for v, name, _ in told(rows) if v != "changed"]
    assert sorted(only) == [("only_right", "ask"), ("only_right", "tool")]


def parallel(order: str, story: Story) -> Run:
    """Three pipelines of two steps; their second steps are asked for as the first ones end."""
    first = {name: story.asked("fetch", json.dumps(name)) for name in "abc"}
    for name in order:
        story.answered(first[name], json.dumps(f"{name} fetched"))
        story.task()
        first[name] = story.asked("store", json.dumps(f"{name} fetched"))
    for name in order:
        story.answered(first[name])
    story.task()
    return story.end()


@pytest.mark.parametrize("order", ["acb", "bac", "cab", "cba"])
def test_parallel_steps_match_whichever_is_first(order: str) -> None:
    rows = align(parallel("abc", Story()), parallel(order, plain()))
    assert told(rows) == []
    for row in rows:
        if row.left is not None and row.right is not None:
            assert [p.data for p in row.left.input] == [p.data for p in row.right.input]


def test_steps_in_another_order_were_moved() -> None:
    ours = Story().step("book").step("undo slot").step("undo customs").step("tell").end()
    theirs = plain().step("book").step("undo customs").step("undo slot").step("tell").end()
    [(verdict, name, _)] = told(align(ours, theirs))
    assert verdict == "moved"
    assert name.startswith("undo")


def test_messages_are_matched_whenever_they_come() -> None:
    ours = Story().step("a").signal("go", '{"ok": true}').step("b").step("c").end()
    theirs = plain().step("a").step("b").step("c").signal("go", '{"ok": false}').end()
    signals = [row for row in align(ours, theirs) if row.entry.kind is EntryKind.SIGNAL]
    assert told(signals) == [("changed", "go", "input")]


# -- volatile values ---------------------------------------------------------------------------


def volatile(left: str, right: str) -> AlignedRow:
    """The row of a step whose input differs like this; the runs are a year apart."""
    ours = Story().step("charge", left).end()
    theirs = plain(offset=31_536_000.0, workflow_id="order-2").step("charge", right).end()
    [row] = [row for row in align(ours, theirs) if row.entry.name == "charge"]
    return row


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('"8f7c1f0e-1c43-4a4e-9d55-0d7d1f6f3a10"', '"11111111-2222-4333-8444-555555555555"'),
        ('"CLR-d088ef0a"', '"CLR-97692b81"'),
        ('"CLR-d088ef0a"', '"CLR-97692881"'),
        ('"CLR-a7692881"', '"CLR-9769288f"'),
        ('"audit_ebeacf0c1067"', '"audit_e298364188d6"'),
        ('"call_31694cfa6548d8f365bf70c8_0"', '"call_6a996ca3c80874837519bf53_0"'),
        ('"<Job at 0x7f12ab>"', '"<Job at 0x55cd01>"'),
        ('{"at": "2023-11-14T22:13:20Z"}', '{"at": "2024-11-13T22:13:21.5+00:00"}'),
        ('{"at": 1700000001}', '{"at": 1731536000}'),
        ('{"at": 1700000001000}', '{"at": 1731536000123}'),
        ('"for order-1, please"', '"for order-2, please"'),
    ],
)
def test_ids_and_times_are_no_difference(left: str, right: str) -> None:
    row = volatile(left, right)
    assert (row.verdict, row.reasons, row.volatile) == (Verdict.EQUAL, (), (Reason.INPUT,))
    assert all(change.volatile for change in changes_of(row))
    assert changes_of(row)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('{"amount": 900}', '{"amount": 901}'),
        ('"INV-20231234"', '"INV-20239999"'),
        ('"DE89370400440532013000"', '"DE89370400440532013001"'),
        ('"4111111111111111"', '"4111111111111112"'),
        ('{"born": "1980-01-01T00:00:00Z"}', '{"born": "1981-01-01T00:00:00Z"}'),
        ('{"account": 1234567890}', '{"account": 1234567891}'),
        ('"for order-1, please"', '"for order-3, please"'),
        ('"call_customer_now"', '"call_customer_then"'),
        (f'"{"a1" * 32}"', f'"{"b2" * 32}"'),
        ("1.2345678e10", "1.2345679e10"),
    ],
)
def test_business_values_are(left: str, right: str) -> None:
    row = volatile(left, right)
    assert (row.verdict, row.reasons) == (Verdict.CHANGED, (Reason.INPUT,))
    assert not any(change.volatile for change in changes_of(row))


def test_what_is_encrypted_differs_in_its_length_only() -> None:
    def run(story: Story, data: bytes) -> Run:
        run = story.step("charge").end()
        run.steps[0].input = (encrypted(data),)
        return run

    same = align(run(Story(), b"\x01\xff\x03"), run(plain(), b"\x04\x05\xf6"))
    assert told(same) == []
    other = align(run(Story(), b"\x01\xff\x03"), run(plain(), b"\x04\x05\xf6\xf7"))
    assert told(other) == [("changed", "charge", "input")]


def test_the_time_that_things_took_is_told_but_no_difference() -> None:
    slow = plain()
    asked = slow.asked("charge", '{"n": 1}')
    slow.later(30)
    slow.answered(asked)
    slow.task()
    rows = align(three(), slow.step("pack").step("ship").end())
    assert told(rows) == [("changed", "charge", "duration"), ("changed", "Order", "duration")]
    assert not any(row.is_difference for row in rows)


# -- as data -----------------------------------------------------------------------------------


def test_rows_are_json() -> None:
    rows = align(three(), plain().step("charge", '{"n": 2}').signal("go").end())
    documents = [row_document(row, index) for index, row in enumerate(rows)]
    assert json.loads(json.dumps(documents)) == documents
    summary = summary_document(rows, None)
    assert json.loads(json.dumps(summary)) == summary
    assert summary["differs"] is True
    [charge] = [document for document in documents if document["name"] == "charge"]
    assert charge["changes"] == [
        {
            "where": "input",
            "path": "$[0].n",
            "change": "changed",
            "left": 1,
            "right": 2,
            "volatile": False,
            "text": [],
        }
    ]
