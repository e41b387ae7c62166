"""`retrospan diff`: what it prints, in how many columns, and with which exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.history.v1 import History

from replayer.alignment.words import STEPS
from tests.event_builder import EventBuilder
from tests.replayer.align_stories import RUN_A, RUN_B, Story
from tests.tui.histories import HistoryMaker, application_failure
from tests.tui.process import command, environment
from tui.cli import main
from tui.cli.exits import Exit

pytestmark = pytest.mark.usefixtures("in_folder")

type Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in ("diff", *arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def saved(path: Path, story: Story | EventBuilder) -> Path:
    events = story.events.events if isinstance(story, Story) else story.events
    path.write_bytes(History(events=events).SerializeToString())
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of six steps: the second answers one otherwise, and goes another way from there."""
    ours, theirs = Story(), Story(run_id=RUN_B)
    for story in (ours, theirs):
        for number in range(4):
            story.step(f"load {number}")
    ours.step("risk", '{"of": 7}', '{"score": 0.2}').step("approve", '{"of": 7}').end()
    theirs.step("risk", '{"of": 7}', '{"score": 0.9}').step("ask", '{"of": 7}', attempt=3).end()
    return saved(tmp_path / "a.pb", ours), saved(tmp_path / "b.pb", theirs)


def test_it_tells_where_they_part_and_why(pair: tuple[Path, Path], capsys: Captured) -> None:
    code, out, err = run(capsys, *pair)
    assert (code, err) == (Exit.FOUND, "")
    lines = out.splitlines()
    assert "They part at step 6, activity approve, which only A has." in lines
    assert (
        "Before that, step 5, activity risk gave something else: output $.score is 0.2 in A and "
        "0.9 in B" in lines
    )
    body = lines[lines.index("  … 3 equal rows") :]
    assert body == [
        "  … 3 equal rows",
        "= activity       load 2",
        "= activity       load 3",
        "~ activity       risk  output",
        "      output $.score 0.2 → 0.9",
        "- activity       approve  only in A",
        "    ^ here they part",
        "+ activity       ask  only in B",
        "= end            Order",
    ]
    assert re.search(r"^attempts +6 +8 +\+2$", out, re.MULTILINE)


def test_the_same_run_twice_is_no_difference(pair: tuple[Path, Path], capsys: Captured) -> None:
    code, out, _ = run(capsys, pair[0], pair[0], "--only", "changed")
    assert code == Exit.OK
    assert "No difference." in out
    assert "activity" not in out


def test_json_has_a_summary_and_every_row(pair: tuple[Path, Path], capsys: Captured) -> None:
    code, out, _ = run(capsys, *pair, "--json")
    assert code == Exit.FOUND
    summary, *rows = [json.loads(line) for line in out.splitlines()]
    assert summary["rows"] == {
        "equal": 6, "changed": 1, "only_left": 1, "only_right": 1, "moved": 0
    }  # fmt: skip
    assert [row["row"] for row in rows] == list(range(9))
    assert rows[summary["cause"]["divergence"]]["name"] == "approve"
    assert rows[summary["cause"]["explanation"]]["changes"][0]["left"] == 0.2
    _, changed, _ = run(capsys, *pair, "--json", "--only", "changed")
    assert len(changed.splitlines()) == 4


def test_a_page_is_written(pair: tuple[Path, Path], capsys: Captured, tmp_path: Path) -> None:
    page = tmp_path / "diff.html"
    code, out, err = run(capsys, *pair, "--html", page)
    assert (code, out) == (Exit.FOUND, "")
    assert str(page) in err
    assert "They part at step 6" in page.read_text(encoding="utf-8")


def in_terminal(*arguments: str | Path, columns: int) -> str:
    """What a terminal so wide receives."""
    main_end, terminal = pty.openpty()
    process = subprocess.Popen(
        command("diff", *arguments),
        stdout=terminal,
        env=environment(COLUMNS=str(columns), TERM="xterm-256color"),
    )
    os.close(terminal)
    received = b""
    try:
        while chunk := os.read(main_end, 65_536):
            received += chunk
    except OSError:  # the other end was closed
        pass
    os.close(main_end)
    process.wait(60)
    return received.decode()


def test_a_terminal_gets_colours_and_80_columns(pair: tuple[Path, Path]) -> None:
    received = in_terminal(*pair, columns=80)
    assert "\x1b[33m" in received
    shown = re.sub(r"\x1b\[[0-9;]*m", "", received)
    assert max(len(line.rstrip("\r")) for line in shown.split("\n")) <= 80
    assert "here they part" in shown


def test_hostile_texts_do_not_act_on_a_terminal(hostile_file: Path, tmp_path: Path) -> None:
    other = HistoryMaker()
    other.start("Plain")
    other.activity("huge", result=b'"' + b"y" * 1_000_000 + b'"')
    other.fail(application_failure("plain"))
    path = tmp_path / "plain.pb"
    path.write_bytes(other.bytes())
    received = in_terminal(hostile_file, path, columns=80)
    assert re.sub(r"\x1b\[[0-9;]*m", "", received).isprintable() is False  # line breaks
    assert not re.search(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0e-\x1a\x7f-\x9f\u202a-\u202e]", received)


def family(folder: Path, name: str, run_id: str, answer: str) -> Path:
    """A run with a child and a second run, in files of a folder."""
    child_id, next_id = (f"{run_id[:-2]}{mark}{run_id[-1]}" for mark in "cf")
    parent = EventBuilder()
    parent.start(workflow_id=name, original_execution_run_id=run_id)
    parent.task(0.1)
    asked = parent.add(
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
        0.2,
        workflow_id=f"{name}-child",
        workflow_type={"name": "Child"},
    )
    execution = {"workflow_id": f"{name}-child", "run_id": child_id}
    parent.add(
        "CHILD_WORKFLOW_EXECUTION_STARTED",
        0.3,
        initiated_event_id=asked,
        workflow_execution=execution,
    )
    parent.add("CHILD_WORKFLOW_EXECUTION_COMPLETED", 0.4, initiated_event_id=asked)
    parent.task(0.5)
    parent.add("WORKFLOW_EXECUTION_CONTINUED_AS_NEW", 0.6, new_execution_run_id=next_id)
    child, second = Story(child_id, f"{name}-child"), Story(next_id, name)
    child.step("inner", "{}", answer).end()
    second.step("later").end()
    saved(folder / f"{name}-child.{child_id}.pb", child)
    saved(folder / f"{name}.{next_id}.pb", second)
    return saved(folder / f"{name}.{run_id}.pb", parent)


def test_children_and_chains_are_followed(tmp_path: Path, capsys: Captured) -> None:
    a = family(tmp_path, "one", RUN_A, '"yes"')
    b = family(tmp_path, "two", RUN_B, '"no"')
    code, out, _ = run(capsys, a, b)
    assert code == Exit.OK, out
    code, out, err = run(capsys, a, b, "--follow-children", "--json")
    assert (code, err) == (Exit.FOUND, "")
    rows: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()[1:]]
    steps = [(row["name"], row["path"], row["verdict"]) for row in rows if row["kind"] in STEPS]
    assert steps == [
        ("Child", [], "equal"),
        ("inner", ["Child"], "changed"),
        ("later", [], "equal"),
    ]
    assert [row["kind"] for row in rows].count("continue_as_new") == 1


def test_what_cannot_be_found_is_said_and_left_out(tmp_path: Path, capsys: Captured) -> None:
    a = family(tmp_path, "one", RUN_A, '"yes"')
    for path in tmp_path.glob("one-child*"):
        path.unlink()
    code, _, err = run(capsys, a, a, "--follow-children")
    assert code == Exit.OK
    assert "is not followed: it is not in" in err


def test_sets_need_runs_and_a_warehouse(folder: Path, capsys: Captured) -> None:
    assert main(["import", str(folder)]) == Exit.OK
    code, out, err = run(capsys, "--sets", "status = 'FAILED'", "/review", "--json")
    assert code == Exit.OK
    traits = [json.loads(line) for line in out.splitlines()]
    assert {"kind": "status", "name": "FAILED", "left": 1, "right": 0}.items() <= traits[
        [trait["name"] for trait in traits].index("FAILED")
    ].items()
    code, _, err = run(capsys, "--sets", "status = 'FAILED'", "status = 'PAUSED'")
    assert code == Exit.UNREACHABLE
    assert "no run in retrospan.duckdb fits B: status = 'PAUSED'" in err
    code, _, err = run(capsys, "--sets", "nonsense here", "true")
    assert code == Exit.REFUSED


def test_options_that_make_no_sense_together_are_refused(
    pair: tuple[Path, Path], capsys: Captured
) -> None:
    code, _, err = run(capsys, "--sets", "true", "true", "--follow-children")
    assert code == Exit.USAGE
    assert "--sets goes with" in err
    code, _, err = run(capsys, *pair, "--tapes", *pair)
    assert code == Exit.REFUSED
