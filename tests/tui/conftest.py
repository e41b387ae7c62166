"""Files with histories, and a clean place to run commands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.histories import (
    HOSTILE,
    HistoryMaker,
    activity_failure,
    application_failure,
    review_history,
)


@pytest.fixture
def history_file(tmp_path: Path) -> Path:
    """The history of `review_history` in a file."""
    path = tmp_path / "review.pb"
    path.write_bytes(review_history().bytes())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs of two types in three files, and one file that is none."""
    folder = tmp_path / "histories"
    folder.mkdir()
    for number, outcome in enumerate(("complete", "fail", "open")):
        maker = HistoryMaker()
        run_id = f"0198c5c6-3b1e-7c2a-9d4e-00000000000{number}"
        workflow_type = "Cargo" if outcome == "fail" else "Review"
        maker.start(workflow_type, f"{workflow_type.lower()}-{number}", run_id)
        maker.activity("classify")
        if outcome == "complete":
            maker.complete()
        elif outcome == "fail":
            maker.fail(application_failure("no space left"))
        (folder / f"{number}.pb").write_bytes(maker.bytes())
    (folder / "broken.json").write_text('{"events": [')
    return folder


@pytest.fixture
def hostile_file(tmp_path: Path) -> Path:
    """A run in which every text is hostile."""
    maker = HistoryMaker()
    maker.start(HOSTILE, HOSTILE, data=b'{"k": "\\ud83d[red]\\u001b]0;x\\u0007 \\u202e"}')
    maker.activity(HOSTILE, failure=activity_failure(HOSTILE, HOSTILE))
    maker.activity("surrogate", data=b'"\\ud800 lone"', result=b"\xff\x00\x1b[2J")
    maker.activity("huge", result=b'"' + b"x" * 1_000_000 + b'"')
    maker.signal(HOSTILE)
    maker.fail(application_failure(HOSTILE, HOSTILE))
    path = tmp_path / "hostile.pb"
    path.write_bytes(maker.bytes())
    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a developer has set, or the app remembers, must not change what a test sees."""
    monkeypatch.setenv("RETROSPAN_STATE", str(tmp_path / "state"))
    for name in (
        "RETROSPAN_WAREHOUSE",
        "RETROSPAN_DEBUG",
        "NO_COLOR",
        "FORCE_COLOR",
        "TEMPORAL_ADDRESS",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory is an empty one."""
    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)
    return empty
