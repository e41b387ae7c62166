"""`retrospan record` as a user runs it."""

import json
import signal
import time
from pathlib import Path

import pytest

from replayer.tape import StopKind, open_tape
from tests.tui.histories import RUN_ID, HistoryMaker
from tests.tui.process import running
from tui.cli import main
from tui.cli.commands.record import default_path
from tui.cli.exits import Exit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_folder")]

REVIEW = "tests.tui.recorded_workflow:Review"
DECIDING = "tests.tui.recorded_workflow:Deciding"
HASTY = "tests.tui.recorded_workflow:Hasty"

type Captured = pytest.CaptureFixture[str]


def history(path: Path, *, workflow_id: str = "review-1", is_open: bool = False) -> Path:
    maker = HistoryMaker()
    maker.start(workflow_id=workflow_id)
    if not is_open:
        maker.signal("approve")
        maker.complete()
    path.write_bytes(maker.bytes())
    return path


def run(capsys: Captured, *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_closed_run_becomes_a_tape(tmp_path: Path, capsys: Captured) -> None:
    file = history(tmp_path / "run.pb")

    code, out, err = run(capsys, "record", file, "--workflow", REVIEW)

    assert code == Exit.OK
    assert err == f"Recording default/review-1:{RUN_ID} …\n"
    with open_tape("review-1.tape") as tape:
        assert tape.stop.kind is StopKind.CLOSED
        assert tape.positions_of(5)
        assert [line.split(":")[0] for line in out.splitlines()] == [
            "tape", "run", "positions", "branches", "coroutines", "ends"
        ]  # fmt: skip
        assert f"{len(tape)} in {tape.activation_count} activations" in out
        assert out.endswith("closed: completed\n")


def test_decisions_that_code_names_are_told(tmp_path: Path, capsys: Captured) -> None:
    file = history(tmp_path / "run.pb")

    _, out, _ = run(capsys, "record", file, "--workflow", DECIDING)
    _, row, _ = run(capsys, "record", file, "--workflow", DECIDING, "--json")

    [line] = [line for line in out.splitlines() if line.startswith("decisions:")]
    assert line.split(maxsplit=1)[1].startswith('risk = "low" (score: 0); risk = "high" (score: 1)')
    assert line.endswith("; and 2 more")
    decisions = json.loads(row)["decisions"]
    assert len(decisions) == 7
    assert decisions[3]["outcome"] == "high"
    assert decisions[3]["why"] == {"score": 3}
    assert decisions[3]["at"].startswith("tests/tui/recorded_workflow.py:")


def test_an_open_run_is_no_problem_and_json_is_one_row(tmp_path: Path, capsys: Captured) -> None:
    file = history(tmp_path / "run.pb", is_open=True)

    code, out, _ = run(capsys, "record", file, "--workflow", REVIEW, "--out", "open.tape", "--json")

    assert code == Exit.OK
    row = json.loads(out)
    with open_tape("open.tape") as tape:
        assert row == {
            "tape": "open.tape",
            "run": f"default/review-1:{RUN_ID}",
            "positions": len(tape),
            "activations": 1,
            "coroutines": 3,
            "branches": 0,
            "decisions": [],
            "stop": "waiting",
            "reason": "waits for a signal or an update",
        }


def test_code_that_goes_another_way_is_found(tmp_path: Path, capsys: Captured) -> None:
    file = history(tmp_path / "run.pb")

    code, out, _ = run(capsys, "record", file, "--workflow", HASTY, "--json")

    assert code == Exit.FOUND
    row = json.loads(out)
    assert row["stop"] == "nondeterminism"
    assert row["reason"] == (
        "the code asks for complete_workflow_execution after event 3, "
        "and the history goes on to event 9"
    )


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    history(tmp_path / "run.pb", is_open=True)
    arguments = ("record", "run.pb", "--workflow", "tests.tui.recorded_workflow:Endless")
    with running(*arguments, cwd=tmp_path) as recording:
        part = tmp_path / "review-1.tape.part"
        while not (part.exists() and part.stat().st_size > 1000):
            assert recording.poll() is None
            time.sleep(0.05)
        recording.send_signal(signal.SIGINT)
        _, err = recording.communicate(timeout=30)

    assert recording.returncode == Exit.INTERRUPTED
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["run.pb"]


@pytest.mark.parametrize(
    ("workflow_id", "name"),
    [
        ("review-1", "review-1.tape"),
        ("../../etc/\x1b[2J passwd", "_.._etc_2J_passwd.tape"),
        ("...", "run.tape"),
        ("", "run.tape"),
        ("x" * 300, "x" * 100 + ".tape"),
    ],
)
def test_a_workflow_id_is_no_path(tmp_path: Path, workflow_id: str, name: str) -> None:
    assert default_path(workflow_id) == Path(name)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run.pb",), Exit.USAGE, "Missing option '--workflow'"),
        (("nowhere.pb", "--workflow", REVIEW), Exit.UNREACHABLE, "is no file"),
        (("run.pb", "--workflow", "no_such:Thing"), Exit.USAGE, "no_such"),
        (("run.pb", "--workflow", REVIEW, "-o", "run.pb"), Exit.REFUSED, "is no tape"),
    ],
)
def test_what_cannot_be_recorded_is_one_line(
    capsys: Captured, arguments: tuple[str, ...], code: Exit, said: str
) -> None:
    before = history(Path("run.pb")).read_bytes()

    found, out, err = run(capsys, "record", *arguments)

    assert found == code
    assert out == ""
    assert said in err
    assert "Traceback" not in err
    assert Path("run.pb").read_bytes() == before
    assert [path.name for path in Path().iterdir()] == ["run.pb"]
