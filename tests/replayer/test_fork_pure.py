"""Points, paths, changes, stub files and seeds: without a server."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload

from replayer.fork import ForkError, ForkSpecError, parse_fail, parse_set, parse_signal, point_of
from replayer.fork.changes import json_payload, payloads_set, payloads_with_model
from replayer.fork.paths import parse_parts, text_of_parts, value_set
from replayer.fork.policy import load_stubs
from replayer.fork.script import Script, script_of
from replayer.history import RunHistory, read_bytes
from tests.tui.histories import HOSTILE, HistoryMaker, review_history

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def script(maker: HistoryMaker | None = None) -> Script:
    [history] = read_bytes((maker or review_history()).bytes(), uri="made.pb")
    assert isinstance(history, RunHistory)
    return script_of(history)


PLAY = script()


def test_a_script_has_what_came_in_and_what_was_asked_for() -> None:
    found = [
        ([(item.kind, item.name) for item in a.inbound], [step.name for step in a.asked])
        for a in script().activations
    ]
    assert found[0] == ([], ["classify"])
    assert found[1][0] == [("step_closed", "classify")]
    assert found[2][0] == [("signal", "approve")]
    inbound = [item for items, _ in found for item in items]
    assert len(inbound) == 4


def test_every_event_is_a_point_in_the_order_of_the_logic() -> None:
    play = script()
    places = [point_of(str(e.event_id), play).activation for e in play.history.events]
    assert places[0] == 0
    assert places[-1] == len(play.activations) - 1
    for event in play.history.events:
        point = point_of(str(event.event_id), play)
        if point.step is not None:
            assert point == point_of(point.step.name, play) or point.text != point.step.name
    assert point_of("approve", play).item is not None
    assert point_of("check#1", play).step is not None


@given(st.text(max_size=40))
def test_any_text_is_a_point_or_one_line_says_why_not(text: str) -> None:
    said = ""
    try:
        point_of(text, PLAY)
    except ForkSpecError as error:
        said = str(error)
    assert len(said) < 500


def test_several_of_a_name_have_to_be_told_apart() -> None:
    maker = HistoryMaker()
    maker.start()
    maker.activity("ask")
    maker.activity("ask")
    play = script(maker)
    with pytest.raises(ForkSpecError, match="ask#1 is event"):
        point_of("ask", play)
    assert point_of("ask#2", play).activation == 2
    with pytest.raises(ForkSpecError, match="did you mean 'ask'"):
        point_of("asc", play)


@given(JSON, st.data())
def test_a_value_is_set_where_the_path_leads_and_nowhere_else(document: Any, data: Any) -> None:
    parts: list[str | int] = []
    place: Any = document
    while isinstance(place, (dict, list)) and place and data.draw(st.booleans()):
        keys: list[Any] = list(place if isinstance(place, dict) else range(len(place)))
        key = data.draw(st.sampled_from(keys))
        parts.append(key)
        place = place[key]
    before = json.dumps(document)
    changed = value_set(document, parts, "new", where="it")
    assert json.dumps(document) == before
    assert value_set(changed, parts, place, where="it") == document
    for part in parts:
        changed = changed[part]
    assert changed == "new"


@given(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True) | st.integers(-9, 99), max_size=6))
def test_paths_are_read_as_they_are_written(parts: list[str | int]) -> None:
    assert list(parse_parts(text_of_parts(parts), "it")) == parts


def test_keys_of_any_kind_can_be_named() -> None:
    assert parse_set('input["a.b"][0].c=1').parts == ("a.b", 0, "c")
    assert parse_set("output={}").parts == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", "=", "=1", "output", "output.x", "outputs.x=1", "output.=1", "output[=1"),
        *("output[x]=1", "output..x=1", "output.x=nope", "output.x=NaN", "output.x={", "x=1"),
        'output["\\q"]=1',
        f"output.{HOSTILE}=1",
        "output" + ".x" * 500 + "=1",
        "output.x=" + "[" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_no_change_is_refused_on_one_line(text: str) -> None:
    with pytest.raises(ForkSpecError) as refusal:
        parse_set(text)
    assert len(str(refusal.value)) < 1000


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_set, parse_signal, parse_fail):
        try:
            parse(text)
        except ForkSpecError:
            continue


def test_changes_say_what_they_are() -> None:
    assert str(parse_set("output.confidence=0.99")) == "set output.confidence=0.99"
    assert str(parse_signal('approve={"by": "ann"}')) == 'signal approve={"by": "ann"}'
    assert str(parse_fail("Outage: gone")) == "fail Outage: gone"
    assert parse_signal("wake").arguments == ()
    assert parse_fail("Outage").message


def test_arguments_are_named_by_their_place() -> None:
    payloads = [json_payload({"a": 1}), json_payload(2)]
    [_, second] = payloads_set(payloads, [parse_set("input[1]=3")], where="the input")
    assert second.data == b"3"
    with pytest.raises(ForkSpecError, match="has 2 arguments"):
        payloads_set(payloads, [parse_set("input.a=3")], where="the input")
    encrypted = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"?")
    with pytest.raises(ForkSpecError, match="is not JSON but binary/encrypted"):
        payloads_set([encrypted], [parse_set("input.a=3")], where="the input")


def test_the_model_is_changed_where_it_is_named() -> None:
    request = json_payload({"request": {"messages": [], "model": "small"}, "user": "x"})
    [changed] = payloads_with_model([request], "large", where="it")
    assert json.loads(changed.data)["request"]["model"] == "large"
    with pytest.raises(ForkSpecError, match="names no model"):
        payloads_with_model([json_payload([1, "model"])], "large", where="it")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.json", "[1]", "expected an object"),
        ("s.json", "{", "is not JSON"),
        ("s.json", "[" * 100_000, "is not JSON"),
        ("s.json", '{"a": 1}', "answer of 'a'"),
        ("s.json", '{"a": []}', "answer of 'a'"),
        ("s.json", '{"a": {"failure": "x"}}', "answer of 'a'"),
        ("s.json", '{"a": {"result": 1, "failure": {"type": "X"}}}', "answer of 'a'"),
        ("s.py", "1/0", "ZeroDivisionError"),
        ("s.py", "x = 1", "no STUBS"),
        ("s.py", "STUBS = 3", "expected an object"),
    ],
)
def test_a_bad_stub_file_says_what_is_wrong(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ForkError, match=message):
        load_stubs(path)


def test_a_missing_stub_file_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ForkError, match="cannot be read"):
        load_stubs(tmp_path / "none.json")


def test_stubs_are_used_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"a": [{"result": 1}, {"failure": {"type": "X"}}]}')
    stubs = load_stubs(path)
    assert stubs.answer("a", list).result == 1
    failures = [stubs.answer("a", list).failure for _ in range(2)]
    assert [failure and failure.type for failure in failures] == ["X", "X"]
