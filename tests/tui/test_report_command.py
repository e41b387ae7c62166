"""`retrospan report`: which page it writes, what it says of it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import ANY

import pytest

from tests.tui.histories import RUN_ID
from tui.cli.exits import Exit
from tui.cli.program import run as retrospan


@pytest.fixture
def warehouse(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "w.duckdb"
    (folder / "broken.json").unlink()
    assert retrospan(["import", str(folder), "-w", str(path)]) == Exit.OK
    return path


def test_a_page_about_a_history_file(
    history_file: Path, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retrospan(["report", str(history_file), "--out", "run.html", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    page = in_folder / "run.html"
    assert told == {
        "path": "run.html",
        "bytes": page.stat().st_size,
        "kind": "run",
        "runs": 1,
        "steps": 3,
        "events": ANY,
    }
    html = page.read_text(encoding="utf-8")
    assert RUN_ID in html
    assert "classify" in html
    assert [each.name for each in in_folder.iterdir()] == ["run.html"]


def test_a_page_about_a_run_of_the_warehouse(
    warehouse: Path, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retrospan(["report", "cargo-1", "-w", str(warehouse), "-o", "run.html"]) == Exit.OK
    assert "wrote run.html: 1 run, 1 step, 11 events; " in capsys.readouterr().err
    html = (in_folder / "run.html").read_text(encoding="utf-8")
    assert "no space left" in html
    assert "Where the time went" in html


def test_a_page_about_the_runs_that_were_chosen(
    warehouse: Path, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = ["--since", "2025-12-31", "--until", "2026-01-02T00:00Z", "--type", "Review"]
    command = ["report", "-w", str(warehouse), "-o", "fleet.html", "--json", *choice]
    assert retrospan(command) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["runs"]) == ("fleet", 2)
    html = (in_folder / "fleet.html").read_text(encoding="utf-8")
    assert "type Review, started since 2025-12-31 00:00, started before 2026-01-02 00:00" in html


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], Exit.USAGE, "name what to write: --out FILE.html, --png FILE.png, or both"),
        (["--out", "a.html", "--since", "soon"], Exit.USAGE, "'soon' is no time; write it as"),
        (["cargo-1", "--out", "a.html", "--type", "X"], Exit.USAGE, "RUN names one"),
        (["--out", "a.html", "--address", "x:1"], Exit.USAGE, "go with RUN"),
        (["{history}", "--out", "none/a.html"], Exit.UNREACHABLE, "none: no such folder"),
        (["nobody", "--out", "a.html"], Exit.UNREACHABLE, "there is no warehouse w.duckdb"),
        (["--out", "a.html"], Exit.UNREACHABLE, "w.duckdb: no such warehouse"),
    ],
)
def test_what_is_refused_is_told_in_one_line(
    arguments: list[str],
    code: Exit,
    words: str,
    history_file: Path,
    in_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [argument.format(history=history_file) for argument in arguments]
    assert retrospan(["report", "-w", "w.duckdb", *named]) == code
    error = capsys.readouterr().err
    assert words in error.splitlines()[0]
    assert list(in_folder.iterdir()) == []


def test_without_a_browser_the_page_is_written_and_the_picture_is_not(
    history_file: Path,
    in_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from choreographer.browsers import Chromium

    def nothing_found(**_options: object) -> None:
        return None

    monkeypatch.setattr(Chromium, "find_browser", nothing_found)
    command = ["report", str(history_file), "--out", "a.html", "--png", "a.png"]
    assert retrospan(command) == Exit.UNREACHABLE
    error = capsys.readouterr().err
    assert "no browser was found for the picture; install Chromium, or leave out --png" in error
    assert [each.name for each in in_folder.iterdir()] == ["a.html"]
