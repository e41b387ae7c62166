"""Whose history it is: what is known from outside wins, and what is made up is marked so."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.history.v1 import History

from replayer.history import KeySource, RunHistory, export_path, read_bytes
from tracer.identity import RunKey

MakeHistory = Callable[..., History]

RUN_ID = "5f0f9b3e-8a57-4b3c-9d55-0d7d1f6f3a10"
RESET_ID = "8721c6a4-cb1d-4ec0-a0fa-e99fc856ec53"
OTHER_ID = "0196abd5-0000-7084-ae26-a03ef0d62ba7"


def read_one(history: History, uri: str = "download.json", **known: str) -> RunHistory:
    (result,) = read_bytes(MessageToJson(history).encode(), uri=uri, **known)
    assert isinstance(result, RunHistory), result
    return result


def test_all_parts_from_the_caller(make_history: MakeHistory) -> None:
    run = read_one(make_history(), namespace="n", workflow_id="w", run_id="r")

    assert (run.key, run.key_source) == (RunKey("n", "w", "r"), KeySource.CALLER)


def test_events_fill_what_the_caller_leaves_open(make_history: MakeHistory) -> None:
    run = read_one(make_history(), namespace="n")

    assert (run.key, run.key_source) == (RunKey("n", "order-1", RUN_ID), KeySource.EVENT)


def test_namespace_that_nobody_knows_is_assumed(make_history: MakeHistory) -> None:
    run = read_one(make_history())

    assert (run.key, run.key_source) == (RunKey("default", "order-1", RUN_ID), KeySource.ASSUMED)


def test_history_that_names_nothing_gets_the_same_key_each_time(make_history: MakeHistory) -> None:
    history = make_history(workflow_id="", run_id="", first_run_id="")

    first, again = (read_one(history, "dir/nightly.json.gz") for _ in range(2))
    other = read_one(make_history(workflow_id="", run_id="", activities=2), "dir/nightly.json")

    assert first.key == again.key
    assert (first.key.workflow_id, first.key_source) == ("nightly", KeySource.ASSUMED)
    assert uuid.UUID(first.key.run_id).version == 5
    assert other.key.run_id != first.key.run_id


def test_first_run_id_stands_in_only_for_the_first_of_a_chain(make_history: MakeHistory) -> None:
    first = make_history(run_id="", first_run_id=OTHER_ID)
    later = make_history(run_id="", first_run_id=OTHER_ID, continued_from=RUN_ID)
    ordinary = make_history(run_id=RUN_ID, first_run_id=OTHER_ID, continued_from=OTHER_ID)

    assert read_one(first).key.run_id == OTHER_ID
    assert read_one(later).key.run_id not in (OTHER_ID, RUN_ID)
    assert read_one(ordinary).key.run_id == RUN_ID


def test_reset_makes_a_new_run(make_history: MakeHistory) -> None:
    history = make_history(reset_to=RESET_ID)

    assert read_one(history, namespace="n").key.run_id == RESET_ID
    assert read_one(history, run_id=RUN_ID).key.run_id == RUN_ID


@pytest.mark.parametrize(
    ("uri", "run_id"),
    [
        (f"{OTHER_ID}/events.json", OTHER_ID),
        (f"dir/{OTHER_ID}_events.json", OTHER_ID),
        (f"all.zip!{OTHER_ID}/events.json", OTHER_ID),
        (f"dir\\{OTHER_ID}_events.json", OTHER_ID),
        (f"{RUN_ID}.json", RUN_ID),
        # A bare id that the history does not know may be anything.
        (f"{OTHER_ID}.json", RUN_ID),
        ("events.json", RUN_ID),
        ("dir/events.json", RUN_ID),
    ],
)
def test_names_of_downloads(make_history: MakeHistory, uri: str, run_id: str) -> None:
    run = read_one(make_history(), uri, namespace="n")

    assert run.key == RunKey("n", "order-1", run_id)


def test_id_that_is_the_workflow_id_is_no_run_id(make_history: MakeHistory) -> None:
    run = read_one(make_history(workflow_id=OTHER_ID), f"{OTHER_ID}_events.json")

    assert (run.key.workflow_id, run.key.run_id) == (OTHER_ID, RUN_ID)


def test_download_that_is_named_by_workflow_id(make_history: MakeHistory) -> None:
    nameless, named = make_history(workflow_id=""), make_history()

    assert read_one(nameless, "loan-7_events.json").key.workflow_id == "loan-7"
    assert read_one(named, "loan-7_events.json").key.workflow_id == "order-1"


def test_folders_of_a_cloud_export(make_history: MakeHistory) -> None:
    uri = "b/temporal-workflow-history/export/prod.a1/2026/11/21/10/10/x.json"

    run = read_one(make_history(), uri)

    assert (run.key.namespace, run.key_source) == ("prod.a1", KeySource.EVENT)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(namespace=names, workflow_id=names, run_id=names)
def test_export_path_keeps_the_whole_key(
    make_history: MakeHistory, namespace: str, workflow_id: str, run_id: str
) -> None:
    key = RunKey(namespace, workflow_id, run_id)
    for suffix in (".json", ".json.gz", ".pb", ".json.zst"):
        path = export_path(key, suffix)
        assert not path.is_absolute()
        assert ".." not in path.parts

        run = read_one(make_history(), f"some/{path}")

        assert (run.key, run.key_source) == (key, KeySource.FILENAME)


def test_export_path_leaves_out_what_no_folder_can_be_called() -> None:
    path = export_path(RunKey("n", "ä" * 200, "r"))

    assert str(path) == "namespace=n/run_id=r.json"
    assert all(len(str(part)) <= 255 for part in path.parts)
