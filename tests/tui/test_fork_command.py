"""`retrospan fork` as a user runs it."""

import asyncio
import json
from pathlib import Path

import pytest

from replayer.history import RunHistory, read_histories
from tests.replayer.fork_lab import history_of, start, worker
from tests.tui.histories import HOSTILE
from tests.tui.process import retrospan
from tui.cli.exits import Exit

# A command line cannot hold a zero byte.
HOSTILE_ARGUMENT = HOSTILE.replace("\x00", "")
CODE = ("--workflow", "tests.replayer.forked_workflows:Review")


@pytest.fixture(scope="module")
def recording(temporal_address: str) -> bytes:
    """A review that was approved by Ann."""

    async def record() -> bytes:
        async with worker(temporal_address) as client:
            handle = await start(client, "Review", {"text": "a contract", "sure": 0.9})
            async for event in handle.fetch_history_events(wait_new_event=True):
                if event.HasField("timer_started_event_attributes"):
                    break
            await handle.signal("approve", "ann")
            await handle.result()
            return (await history_of(client, handle)).raw

    return asyncio.run(record())


@pytest.fixture
def file(recording: bytes, in_folder: Path) -> Path:
    path = in_folder / "review.pb"
    path.write_bytes(recording)
    return path


@pytest.mark.slow
def test_a_fork_is_stored_beside_the_recording_and_compared(file: Path, in_folder: Path) -> None:
    (in_folder / "stubs.json").write_text('{"publish": {"result": "out"}}')
    done = retrospan(
        *("fork", "review.pb", *CODE, "--at", "classify", "--set", "output.confidence=0.99"),
        *("--stub", "stubs.json"),
        cwd=in_folder,
    )
    assert done.returncode == Exit.OK, done.stderr
    heading, blank, *_ = done.stdout.splitlines()
    assert heading.startswith("FORKED  COMPLETED")
    assert blank == ""
    assert "␊" not in done.stdout
    assert "changed" in done.stdout
    assert "0.7 → 0.99" in done.stdout
    [stored] = in_folder.glob("review.fork-*.json")
    assert str(stored.name) in done.stderr
    [fork] = read_histories([stored])
    assert isinstance(fork, RunHistory)
    assert fork.key.run_id[:8] == stored.name.split("-")[1][:8]
    # It is a run like any other: it can be shown, and forked again.
    shown = retrospan("show", stored, cwd=in_folder)
    assert "COMPLETED" in shown.stdout
    again = retrospan("fork", stored, *CODE, "--json", cwd=in_folder)
    assert again.returncode == Exit.OK, again.stderr
    document = json.loads(again.stdout)
    assert document["parted_at"] == ""
    assert {row["answer"] for row in document["rows"]} == {"recorded"}


@pytest.mark.slow
def test_a_fork_that_cannot_go_on_says_what_is_missing(file: Path, in_folder: Path) -> None:
    change = ("--at", "classify", "--set", "output.confidence=0.99")
    done = retrospan("fork", file, *CODE, *change, cwd=in_folder)
    assert done.returncode == Exit.FOUND
    assert "activity publish has no recorded answer" in done.stderr
    assert '("contract", 0.99)' in done.stderr
    assert '--stub FILE holding {"publish": {"result": null}}' in done.stderr


@pytest.mark.slow
def test_a_run_in_a_warehouse_is_forked_beside_it_or_into_it(file: Path, in_folder: Path) -> None:
    assert retrospan("import", file, cwd=in_folder).returncode == 0
    [run] = [
        json.loads(line) for line in retrospan("runs", "--json", cwd=in_folder).stdout.splitlines()
    ]
    beside = retrospan("fork", run["run_id"], *CODE, "--json", cwd=in_folder)
    assert beside.returncode == Exit.OK, beside.stderr
    stored = Path(json.loads(beside.stdout)["stored"])
    assert stored.parent.samefile(in_folder)
    assert len(retrospan("runs", "--json", cwd=in_folder).stdout.splitlines()) == 1
    done = retrospan("fork", run["run_id"], *CODE, "--into-warehouse", "--json", cwd=in_folder)
    assert done.returncode == Exit.OK, done.stderr
    fork = json.loads(done.stdout)["fork"]
    listed = retrospan("runs", "--json", cwd=in_folder).stdout.splitlines()
    assert len(listed) == 2
    assert retrospan("show", fork, cwd=in_folder).returncode == 0


def test_a_reset_preview_runs_nothing(history_file: Path, in_folder: Path) -> None:
    done = retrospan("fork", history_file, "--as-reset", "4", cwd=in_folder)
    assert done.returncode == Exit.OK, done.stderr
    assert "RESET PREVIEW  to event 4" in done.stdout
    assert "classify" in done.stdout
    assert "be sent again" in done.stdout
    document = json.loads(
        retrospan("fork", history_file, "--as-reset", "4", "--json", cwd=in_folder).stdout
    )
    assert document["totals"]["again"] == 3
    refused = retrospan("fork", history_file, "--as-reset", "5", cwd=in_folder)
    assert refused.returncode == Exit.USAGE
    assert "the nearest are 4 (WORKFLOW_TASK_COMPLETED)" in refused.stderr


def test_a_hostile_run_is_safe_to_preview(hostile_file: Path, in_folder: Path) -> None:
    done = retrospan("fork", hostile_file, "--as-reset", "4", cwd=in_folder)
    assert done.returncode == Exit.OK, done.stderr
    assert not {"\x1b", "\x9b", "\u202e", "\x00"} & set(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), Exit.USAGE, "say which code to run"),
        ((*CODE, "--set", "x=1"), Exit.USAGE, "is not PATH=JSON"),
        ((*CODE, "--set", "output.x=nope"), Exit.USAGE, "is not JSON"),
        ((*CODE, "--set", "output.x=1"), Exit.USAGE, "needs a step"),
        ((*CODE, "--set", f"output.{HOSTILE_ARGUMENT}=1"), Exit.USAGE, "is no path"),
        ((*CODE, "--at", HOSTILE_ARGUMENT), Exit.USAGE, "nothing in this run is called"),
        ((*CODE, "--at", "9" * 200), Exit.USAGE, "there is no event"),
        ((*CODE, "--signal", "=1"), Exit.USAGE, "names no signal"),
        ((*CODE, "--fail", ":x", "--at", "check"), Exit.USAGE, "names no failure"),
        ((*CODE, "--live"), Exit.USAGE, "--activities module:name"),
        ((*CODE, "--live", "--activities", "a:b"), Exit.USAGE, "confirm with --yes"),
        ((*CODE, "--activities", "a:b"), Exit.USAGE, "say --live as well"),
        ((*CODE, "--as-reset", "4"), Exit.USAGE, "goes without the other options"),
    ],
)
def test_what_makes_no_sense_is_refused_on_one_line(
    history_file: Path, in_folder: Path, arguments: tuple[str, ...], code: Exit, message: str
) -> None:
    done = retrospan("fork", history_file, *arguments, cwd=in_folder)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    lines = [line for line in done.stderr.splitlines() if "--help" not in line]
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    assert not list(in_folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--workflow", "no.such:Thing"), Exit.USAGE, "cannot import no.such"),
        ((*CODE, "--stub", "none.json"), Exit.REFUSED, "cannot be read"),
        ((*CODE, "--set", "input.shure=1"), Exit.USAGE, "it has sure, text"),
        ((*CODE, "--profile", "none"), Exit.USAGE, "there is no replay profile 'none'"),
    ],
)
def test_what_cannot_be_loaded_is_told_on_one_line(
    file: Path, in_folder: Path, arguments: tuple[str, ...], code: Exit, message: str
) -> None:
    done = retrospan("fork", file, *arguments, cwd=in_folder)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
