import subprocess
import sys
from pathlib import Path

import pytest

from dashboards import GENERATED
from dashboards.build import main, rendered, stale, write


def test_the_files_in_the_repository_are_what_the_code_says() -> None:
    assert stale(GENERATED) == []


def test_check_names_what_is_stale_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], folder=tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "fleet.json" in captured.err
    assert "python -m dashboards.build" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_build_writes_repairs_and_removes(tmp_path: Path) -> None:
    assert main([], folder=tmp_path) == 0
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_text()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert written == rendered()
    (tmp_path / "json" / "fleet.json").write_text("{}")
    (tmp_path / "json" / "gone.json").write_text("{}")
    assert [path.name for path in write(tmp_path)] == ["fleet.json", "gone.json"]
    assert main(["--check"], folder=tmp_path) == 0


def test_what_is_built_does_not_depend_on_the_process() -> None:
    code = "import json, dashboards.build as b; print(json.dumps(b.rendered()), end='')"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


@pytest.mark.parametrize("module", ["dashboards", "dashboards.build", "dashboards.promql"])
def test_the_package_loads_without_the_grafana_sdk(module: str) -> None:
    code = f"import {module}, sys; print('grafana_foundation_sdk' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "False"


def test_without_the_sdk_the_command_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['grafana_foundation_sdk'] = None\n"
        "from dashboards.build import main; sys.exit(main(['--check']))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 3
    assert found.stderr.count("\n") == 1
    assert "pip install 'retrospan[dev]'" in found.stderr
