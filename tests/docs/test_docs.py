"""What the docs show is executed: commands in a demo's folder, SQL on its warehouse."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.query import run_query
from docs.shots import IMAGES, SHOTS, Shot, comparable, picture_lines
from docs.terminal import drive
from tests.tracer.robust_workflows import Small
from tracer.genai.price_file import parse_prices

ROOT = Path(__file__).parent.parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_HERE = ("pip install", "make ", "export ", "retrospan collect")
"""What changes the machine, or serves until it is stopped: checked otherwise, see below."""


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for file in DOCS:
        for kind, text in _BLOCK.findall(file.read_text()):
            if kind == language:
                yield file.name, text


def commands() -> list[tuple[str, str]]:
    return [
        (name, line.partition("  #")[0].strip())
        for name, text in blocks("sh")
        for line in text.splitlines()
        if line.strip()
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader of the README stands after `make demo`, with some histories of their own."""
    place = tmp_path_factory.mktemp("reader")
    subprocess.run(
        [sys.executable, "-m", "tui", "demo"], cwd=place, check=True, capture_output=True
    )
    (place / "histories").mkdir()
    (place / "histories" / "run.json").write_text(
        '{"events": [{"eventId": "1", "eventTime": "2026-01-01T00:00:00Z",'
        ' "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",'
        ' "workflowExecutionStartedEventAttributes": {"workflowType": {"name": "Order"}}}]}'
    )
    return place


def here(line: str) -> bool:
    return not line.startswith((*_NOT_HERE, ".venv/"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_commands_work_as_shown(folder: Path) -> None:
    shown = [line for _, line in commands() if here(line)]
    assert len(shown) > 5
    binary = str(Path(sys.executable).parent)
    env = {
        **os.environ,
        "PATH": f"{binary}{os.pathsep}{os.environ['PATH']}",
        "RETROSPAN_WAREHOUSE": "retrospan-demo/warehouse.duckdb",
    }
    for line in shown:
        done = subprocess.run(line, shell=True, cwd=folder, env=env, capture_output=True, text=True)
        # A comparison that works finds a difference.
        expected = {0, 1} if line.startswith("retrospan diff") else {0}
        assert done.returncode in expected, f"{line}\n{done.stderr}"
        assert done.stdout or "import" in line or "--html" in line or "--out" in line, line


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sql_answers(folder: Path) -> None:
    warehouse = folder / "retrospan-demo" / "warehouse.duckdb"
    queries = [text for _, text in blocks("sql")]
    assert queries
    for query in queries:
        assert run_query(warehouse, query).rows, query


def test_price_files_are_read() -> None:
    files = [text for _, text in blocks("toml") if "[[price]]" in text]
    assert files
    for text in files:
        assert parse_prices(text, "docs").entries


def test_targets_that_are_shown_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [line.split()[1] for _, line in commands() if line.startswith("make ")]
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_collector_takes_the_options_that_are_shown() -> None:
    lines = [line for _, line in commands() if line.startswith("retrospan collect")]
    assert lines
    for line in lines:
        command = [sys.executable, "-m", "tui", *line.split()[1:], "--help"]
        assert subprocess.run(command, capture_output=True).returncode == 0


async def tried(names: dict[str, Any]) -> str:
    """Where the client that was shown leads; its worker, if there is one, can be made."""
    client = await names["connect"]()
    if "worker" in names:
        assert names["worker"](client).task_queue
    target: str = client.service_client.config.target_host
    return target


@pytest.mark.slow
def test_python_works_on_a_server(temporal_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for signal in ("TRACES", "METRICS"):  # Nobody listens where the docs send them.
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    sources = [text for _, text in blocks("python")]
    assert sources
    for source in sources:
        names: dict[str, Any] = {"Small": Small}
        exec(source.replace("localhost:7233", temporal_address).replace("...", "Small"), names)
        assert asyncio.run(tried(names)) == temporal_address


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_python_about_tapes_works(folder: Path) -> None:
    sources = [text for name, text in blocks("py") if name == "tape.md"]
    assert sources
    record = next(line for _, line in commands() if "--out review.tape" in line)
    arguments = [*record.split()[1:], "--warehouse", "retrospan-demo/warehouse.duckdb"]
    for command in ([sys.executable, "-m", "tui", *arguments], [sys.executable, "-c", *sources]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_links_lead_somewhere() -> None:
    for file in DOCS:
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
            if not target.startswith("http"):
                assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_no_document_names_a_machine() -> None:
    assert shutil.which("git")
    tracked = subprocess.run(
        ["git", "grep", "-nIE", r"/(root|home|work)/[a-z]", "--", ":!tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert tracked.stdout == ""


def test_generated_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def tmux() -> None:
    """Where a terminal can be had; a user's machine may have none."""
    if shutil.which("tmux") is None and not os.environ.get("CI"):
        pytest.skip("no tmux here")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.usefixtures("tmux")
@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_a_terminal_shows_what_the_docs_show(folder: Path, shot: Shot) -> None:
    shown = comparable(shot, picture_lines(shot.path.read_text(encoding="utf-8")))
    captures = drive(folder / "retrospan-demo" / "warehouse.duckdb", shot)
    found = comparable(shot, next(captures))
    deadline = time.monotonic() + 15
    # What is drawn last may take a moment.
    while found != shown and time.monotonic() < deadline:
        found = comparable(shot, next(captures))
    captures.close()
    assert found == shown


def test_every_picture_is_taken_and_shown() -> None:
    shown = set(re.findall(r"\(images/(.*\.svg)\)", (ROOT / "docs" / "tui.md").read_text()))
    assert shown == {shot.path.name for shot in SHOTS}
    assert shown == {path.name for path in IMAGES.glob("*.svg")}
    assert len(shown) <= 15
