"""Histories that other programs wrote, held against the SDK's own readers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.client import WorkflowHistory

from replayer.history import Rejected, RunHistory, read_histories

WHOLE = {
    "core": (5, 98),
    "dotnet": (13, 127),
    "features": (4, 58),
    "java": (33, 554),
    "mistral": (10, 298),
    "openai-agents": (3, 58),
    "typescript": (14, 321),
}
"""Folder: histories and events in it. Every file of these is a history."""


def read(folder: Path) -> tuple[list[RunHistory], list[Rejected]]:
    runs: list[RunHistory] = []
    rejected: list[Rejected] = []
    for result in read_histories([folder]):
        if isinstance(result, RunHistory):
            runs.append(result)
        else:
            rejected.append(result)
    return runs, rejected


def unwrapped(value: Any) -> dict[str, Any]:
    """The one shape that the SDK's reader takes, from the shapes of the corpus."""
    if isinstance(value, list):
        batches = all("events" in item for item in value)
        events = [e for item in value for e in item["events"]] if batches else value
        return {"events": events}
    return dict(value.get("history", value))


def by_official_reader(path: Path) -> list[HistoryEvent]:
    if path.suffix == ".bin":
        return list(History.FromString(path.read_bytes()).events)
    history = WorkflowHistory.from_json("any", unwrapped(json.loads(path.read_bytes())))
    return sorted(history.events, key=lambda event: event.event_id)


@pytest.mark.parametrize("folder", sorted(WHOLE))
def test_every_history_is_read_and_equals_the_official_readers(corpus: Path, folder: str) -> None:
    runs, rejected = read(corpus / folder)

    assert rejected == []
    assert (len(runs), sum(len(run.events) for run in runs)) == WHOLE[folder]
    for run in runs:
        assert list(run.events) == by_official_reader(Path(run.origin.uri))
        assert [event.event_id for event in run.events] == list(range(1, len(run.events) + 1))


def test_ui_fixtures_are_read_or_refused_with_one_line(corpus: Path) -> None:
    runs, rejected = read(corpus / "ui")

    assert len(runs) == 13
    for run in runs:
        assert list(run.events) == by_official_reader(Path(run.origin.uri))
    reasons = Counter(
        next(
            word
            for word in ("already decoded", "single event", "without event ids", "the keys")
            if word in rejection.error.reason
        )
        for rejection in rejected
    )
    assert reasons == {
        "already decoded": 7,
        "single event": 5,
        "without event ids": 6,
        "the keys": 1,
    }
    for rejection in rejected:
        assert str(rejection.error).isprintable()
        assert str(rejection.error).startswith(f"{rejection.uri}: ")


def test_whole_corpus_in_one_go_complains_about_histories_only(corpus: Path) -> None:
    runs, rejected = read(corpus)

    assert len(runs) == sum(count for count, _ in WHOLE.values()) + 13
    assert {Path(rejection.uri).parent.name for rejection in rejected} == {"ui"}
    assert len({(run.key, run.origin.sha256) for run in runs}) == len(runs)


def test_unknown_event_types_are_kept_and_named(corpus: Path) -> None:
    names = ["testUnknownHistoryEventMayIgnore.json", "testUnknownHistoryEventMayNotIgnore.json"]
    for run in read_histories([corpus / "java" / name for name in names]):
        assert isinstance(run, RunHistory)
        assert (len(run.events), run.events[-1].event_type) == (6, 0)
        assert [(u.event_id, u.enum, u.name) for u in run.unknown] == [(6, "EventType", "Unknown")]


def test_a_reset_run_has_the_run_id_that_the_reset_made(corpus: Path) -> None:
    (run,) = read_histories([corpus / "mistral" / "reset_run.json"], namespace="mistral")

    assert isinstance(run, RunHistory)
    started = run.events[0].workflow_execution_started_event_attributes
    assert run.key.run_id == "8721c6a4-cb1d-4ec0-a0fa-e99fc856ec53"
    assert run.key.run_id != started.original_execution_run_id
