"""`retrospan check` and `retrospan bisect`, and the pytest plugin, as users run them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from google.protobuf import json_format
from temporalio.api.history.v1 import History
from temporalio.client import Client
from temporalio.worker import Worker

from replayer.history import RunHistory, from_server
from tests.replayer.check_workflows import Order, charge
from tests.tui.process import environment, running
from tui.cli import main

SOURCE = """
import asyncio
from datetime import timedelta

from temporalio import workflow

TIMEOUT = timedelta(seconds=20)


@workflow.defn
class Order:
    @workflow.run
    async def run(self) -> str:
        charged = await workflow.execute_activity("charge", 7, start_to_close_timeout=TIMEOUT)
        await workflow.sleep(0.01)
        return charged
"""
SLEEP = "        await workflow.sleep(0.01)\n"


@pytest.fixture(scope="module")
def order(temporal_address: str) -> RunHistory:
    return asyncio.run(_recorded(temporal_address))


async def _recorded(address: str) -> RunHistory:
    client = await Client.connect(address)
    queue = f"check-command-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Order], activities=[charge]):
        handle = await client.start_workflow("Order", id=queue, task_queue=queue)
        await handle.result()
        return await from_server(client, handle.id)


@pytest.fixture
def folder(order: RunHistory, tmp_path: Path) -> Path:
    """A project with a workflow, a changed copy of it, and recorded histories."""
    (tmp_path / "shop.py").write_text(SOURCE)
    changed = SOURCE.replace(SLEEP, f'{SLEEP}        await workflow.execute_activity("ship")\n')
    changed = changed.replace('("ship")', '("ship", start_to_close_timeout=TIMEOUT)')
    (tmp_path / "changed.py").write_text(changed)
    (tmp_path / "argument.py").write_text(SOURCE.replace('"charge", 7', '"charge", 8'))
    (tmp_path / "histories").mkdir()
    write(order, tmp_path / "histories" / "order.json")
    return tmp_path


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


type Retrospan = Callable[..., Done]


@pytest.fixture
def retrospan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Retrospan:
    """The command in this process; what replays runs in children anyway."""

    def run(*arguments: str | Path, cwd: Path, **extra: str) -> Done:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            for name, value in extra.items():
                patch.setenv(name, value)
            code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def write(history: RunHistory, file: Path) -> None:
    file.write_text(json_format.MessageToJson(History(events=history.events)))


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_code_that_fits(retrospan: Retrospan, folder: Path) -> None:
    done = retrospan("check", "histories", "--workflow", "shop:Order", "--strict", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "1 run checked; 0 failed\n")
    assert done.stdout.startswith("ok       Order check-command-")


def test_code_that_does_not_fit_is_explained_in_80_columns(
    retrospan: Retrospan, folder: Path
) -> None:
    junit = folder / "junit.xml"
    arguments = ("check", "histories", "--workflow", "changed.py:Order", "--junit", junit)
    done = retrospan(*arguments, cwd=folder, COLUMNS="80")
    assert done.returncode == 1
    assert "1 failed" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("FAILED   Order check-command-")
    assert max(map(len, lines[2:])) <= 80
    text = " ".join(done.stdout.split())
    assert "added: The code asks for activity ship" in text
    assert "history, event 16" in text
    assert "at changed.py:16 in Order.run" in text
    assert 'await workflow.execute_activity("ship", ' in text
    assert 'workflow.patched("add-ship")' in text
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")


def test_json_has_everything(retrospan: Retrospan, folder: Path) -> None:
    done = retrospan("check", "histories", "--workflow", "changed", "--json", cwd=folder)
    assert done.returncode == 1
    [row] = rows(done.stdout)
    assert row["status"] == "failed"
    explanation = row["explanation"]
    assert isinstance(explanation, dict)
    assert explanation["kind"] == "added"
    assert explanation["produced"]["name"] == "ship"
    assert explanation["stack"][-1]["line"] == 16


def test_strict(retrospan: Retrospan, folder: Path) -> None:
    arguments = ("check", "histories", "--workflow", "argument:Order")
    assert retrospan(*arguments, cwd=folder).returncode == 0
    done = retrospan(*arguments, "--strict", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.startswith("DIFFERS")
    assert "arguments: argument 1 of activity charge" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--workflow", "shop:Order"), 2, "name histories to check, or a server"),
        (("histories",), 2, "Missing option '--workflow'"),
        (("histories", "--workflow", "shop:Odrer"), 2, "shop has no 'Odrer'; its workflows are"),
        (("histories", "--workflow", "shop:Order", "--profile", "p"), 2, "no replay profile 'p'"),
        (("nowhere", "--workflow", "shop:Order"), 3, "'nowhere' is no file, and there is no"),
        (("histories", "--workflow", "shop:Order", "-q", "x"), 2, "name runs or give a --query"),
    ],
)
def test_what_is_said_of_a_wrong_command(
    retrospan: Retrospan, folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = retrospan("check", *arguments, cwd=folder)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_runs_of_a_server(
    retrospan: Retrospan, folder: Path, order: RunHistory, temporal_address: str
) -> None:
    server = ("--address", temporal_address, "--workflow", "shop:Order", "--json")
    [row] = rows(retrospan("check", order.key.workflow_id, *server, cwd=folder).stdout)
    assert row["run_id"] == order.key.run_id
    query = f"WorkflowId = '{order.key.workflow_id}'"
    done = retrospan("check", "--query", query, "--sample", "5", *server, cwd=folder)
    assert [row["status"] for row in rows(done.stdout)] == ["ok"]


@pytest.mark.slow
def test_a_sample_of_files(retrospan: Retrospan, folder: Path, order: RunHistory) -> None:
    for number in range(5):
        events = History(events=order.events)
        started = events.events[0].workflow_execution_started_event_attributes
        started.original_execution_run_id = str(uuid.uuid4())
        text = json_format.MessageToJson(events)
        (folder / "histories" / f"{number}.json").write_text(text)
    done = retrospan(
        "check", "histories", "--workflow", "shop:Order", "--sample", "3", "--json", cwd=folder
    )
    assert len(rows(done.stdout)) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")
def test_ctrl_c_leaves_nothing_running(folder: Path, order: RunHistory, tmp_path: Path) -> None:
    marks = tmp_path / "hanging"
    marks.mkdir()
    events = History(events=order.events)
    events.events[0].workflow_execution_started_event_attributes.workflow_id = "hang-1"
    (folder / "histories" / "order.json").write_text(json_format.MessageToJson(events))
    arguments = ("check", "histories", "--workflow", "tests.replayer.check_workflows:Broken")
    with running(*arguments, cwd=folder, RETROSPAN_TEST_FOLDER=str(marks)) as process:
        child = int(wait_for(marks).name)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def wait_for(folder: Path) -> Path:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        for file in folder.iterdir():
            return file
        time.sleep(0.02)
    raise AssertionError("nothing hangs")


def pytest_run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    plugin = ("-p", "replayer.check.pytest_plugin", "-p", "no:cacheprovider", "-q")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *map(str, arguments)],
        cwd=cwd,
        # Installed or not, the plugin is named once.
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.slow
def test_pytest_makes_a_test_of_each_history(folder: Path) -> None:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_own.py").write_text("def test_own(): pass\n")
    histories = ("--retrospan-histories", "histories", "--retrospan-workflow")
    done = pytest_run(*histories, "shop:Order", cwd=folder)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    (folder / "histories" / "half.json").write_text('{"events": [{"eventId": "2"}]}')
    done = pytest_run(*histories, "changed:Order", "-k", "retrospan", cwd=folder)
    assert done.returncode == 1
    assert "2 failed, 1 deselected" in done.stdout
    assert "added: The code asks for activity ship" in " ".join(done.stdout.split())
    assert "half.json" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_pytest_takes_histories_from_its_configuration(folder: Path) -> None:
    (folder / "pytest.ini").write_text(
        "[pytest]\nretrospan_histories =\n    histories\n"
        "retrospan_workflow =\n    argument:Order\nretrospan_strict = true\n"
    )
    (folder / "test_own.py").write_text("def test_own(): pass\n")
    done = pytest_run(cwd=folder)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "argument 1 of activity charge" in " ".join(done.stdout.split())
    # One test of the suite was asked for, not the histories.
    done = pytest_run("test_own.py", cwd=folder)
    assert done.returncode == 0
    assert "1 passed" in done.stdout


@pytest.mark.slow
def test_pytest_says_what_is_missing(folder: Path) -> None:
    done = pytest_run("--retrospan-histories", "histories", cwd=folder)
    assert done.returncode == 4
    assert "needs --retrospan-workflow" in done.stderr
    done = pytest_run(
        "--retrospan-histories", "histories", "--retrospan-workflow", "nope", cwd=folder
    )
    assert done.returncode == 4
    assert "cannot import nope" in done.stderr


@pytest.mark.slow
def test_the_plugin_costs_a_session_nothing(folder: Path) -> None:
    (folder / "test_own.py").write_text(
        "import sys\ndef test_own(): assert 'temporalio' not in sys.modules\n"
    )
    assert pytest_run("test_own.py", cwd=folder).returncode == 0


def git(folder: Path, *arguments: str) -> str:
    names = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ["git", *names, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(folder: Path) -> Iterator[Path]:
    """Eight commits of the workflow's package: the fourth does not load, the fifth breaks it."""
    (folder / "sub" / "flows").mkdir(parents=True)
    file = folder / "sub" / "flows" / "order.py"
    (folder / "sub" / "flows" / "__init__.py").touch()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / ".git" / "hooks").mkdir(exist_ok=True)
    hook = folder / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {folder}/hook-ran\n")
    hook.chmod(0o755)
    for number in range(8):
        text = SOURCE.replace("0.01", f"0.0{number + 1}")
        if number == 3:
            text = "this is no Python"
        if number >= 4:
            text = text.replace(SLEEP.replace("0.01", f"0.0{number + 1}"), "")
        file.write_text(f"# Version {number}\n{text}")
        git(folder, "add", "sub")
        git(folder, "commit", "--quiet", "-m", f"Change {number}")
    yield folder
    assert git(folder, "worktree", "list").count("\n") == 1
    assert not (folder / "hook-ran").exists()


@pytest.mark.slow
def test_bisect_finds_the_commit_and_leaves_the_tree_alone(
    retrospan: Retrospan, repository: Path
) -> None:
    place = repository / "sub"
    (place / "flows" / "order.py").write_text("this is not committed")
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    run = ("bisect", "../histories/order.json", "--workflow", "flows.order:Order")
    done = retrospan(*run, "--good", "HEAD~7", cwd=place)
    assert done.returncode == 1, done.stderr
    broken, loads_not = (git(repository, "rev-parse", f"HEAD~{n}").strip() for n in (3, 4))
    first, second, *_ = done.stdout.splitlines()
    if first.startswith("first bad commit"):
        assert first == f"first bad commit {broken}"
        assert second == "  Change 4"
    else:
        # git cannot tell the broken commit from the one before, whose code does not load.
        words = ("the first bad commit is one of ", "or ")
        named = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith(words)}
        assert {broken, loads_not} <= named
    assert "removed: The code no longer asks for timer" in " ".join(done.stdout.split())
    assert "flows/order.py" in done.stdout
    assert "retrospan-bisect-" not in done.stdout
    assert "good  " in done.stderr
    after = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    assert after == before
    assert (place / "flows" / "order.py").read_text() == "this is not committed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (("--good", "HEAD~7", "--bad", "HEAD~6"), "the run replays at HEAD~6"),
        (("--good", "HEAD~1"), "the run does not replay at HEAD~1 either"),
        (("--good", "nope"), "git knows no commit 'nope'"),
        (("--good", "HEAD~4"), "cannot import flows.order: SyntaxError"),
    ],
)
def test_bisect_says_why_there_is_nothing_to_search(
    retrospan: Retrospan, repository: Path, ends: tuple[str, ...], said: str
) -> None:
    run = ("bisect", "../histories/order.json", "--workflow", "flows.order:Order")
    done = retrospan(*run, *ends, cwd=repository / "sub")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_bisect_outside_of_a_repository(retrospan: Retrospan, folder: Path) -> None:
    done = retrospan(
        "bisect",
        "histories/order.json",
        "--workflow",
        "shop:Order",
        "--good",
        "HEAD",
        cwd=folder,
        GIT_CEILING_DIRECTORIES=str(folder.parent),
    )
    assert done.returncode == 2
    assert "not a git repository" in done.stderr
    assert os.environ.get("GIT_DIR") is None
