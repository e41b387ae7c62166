"""The wheel in an empty environment: what a stranger gets from `pip install`."""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Most of what pip compiles is never imported here.
_PIP = ("--no-compile", "--disable-pip-version-check")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pip_install(python: Path, what: Sequence[str], cwd: Path) -> None:
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "-q", *_PIP, "-c", constraints, *what, cwd=cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT),
        cwd=out,
    )
    [built] = out.glob("retrospan-*.whl")
    return built


@pytest.fixture(scope="module")
def empty_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def test_a_worker_installs_the_tracer_alone(
    wheel: Path, empty_python: Path, tmp_path: Path
) -> None:
    pip_install(empty_python, [str(wheel)], tmp_path)
    run(empty_python, "-c", "from tracer import TracerPlugin; TracerPlugin()", cwd=tmp_path)
    installed = run(empty_python, "-m", "pip", "list", "--format=freeze", cwd=tmp_path).lower()
    for heavy in ("duckdb", "textual", "pyarrow", "click", "openai", "mcp"):
        assert f"\n{heavy}==" not in installed
    command = empty_python.with_name("retrospan")
    done = subprocess.run([command, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'retrospan[tui]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_works_with_its_extra(wheel: Path, empty_python: Path, tmp_path: Path) -> None:
    pip_install(empty_python, [f"{wheel}[tui]"], tmp_path)
    command = empty_python.with_name("retrospan")
    assert "Usage: retrospan" in run(command, "--help", cwd=tmp_path)
    history = tmp_path / "run.json"
    history.write_text(
        '{"events": [{"eventId": "1", "eventTime": "2026-01-01T00:00:00Z",'
        ' "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",'
        ' "workflowExecutionStartedEventAttributes": {"workflowType": {"name": "Order"}}}]}'
    )
    run(command, "import", history, cwd=tmp_path)
    assert '"workflow_type":"Order"' in run(command, "runs", "--json", cwd=tmp_path)
