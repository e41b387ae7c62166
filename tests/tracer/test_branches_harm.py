"""Branch capture never harms: errors, missing ids, missing sources and the end of the process."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracer.branching_lab import Lab, outcomes
from tracer.branches import (
    ActivationBranches,
    BranchWatch,
    RunBranches,
    process_watch,
)

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    assert lab.errors == []
    lab.watch.close()


def test_an_error_of_ours_stays_here_and_ends_the_capture_of_the_run(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
            return 5
    """)
    run, results = lab.new_run(), []

    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunBranches, "attend", broken)
        lab.activate(run, lambda: results.append(module.decide(1)))
    found = lab.activate(run, lambda: results.append(module.decide(1)))

    assert results == [5, 5]
    assert found == ActivationBranches()
    ((place, error),) = lab.errors
    assert place == "watching branches"
    assert isinstance(error, ZeroDivisionError)
    lab.errors.clear()


def test_an_activation_runs_even_if_watching_cannot_begin_or_end(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    results: list[int] = []

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    for step in ("open", "close"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunBranches, step, broken)
            found = lab.activate(lab.new_run(), lambda: results.append(module.decide(1)))
        assert found == ActivationBranches()

    assert len(results) == 2
    assert [place for place, _ in lab.errors] == ["watching branches"] * 2
    lab.errors.clear()


def test_the_exception_of_an_activation_passes_and_its_decisions_are_kept(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: raise KeyError(a)
    """)
    kept: list[ActivationBranches] = []

    async def activation() -> None:
        with lab.watch.watching(lab.new_run()) as found:
            kept.append(found)
            module.decide(1)

    with pytest.raises(KeyError):
        asyncio.run(activation())
    assert outcomes(kept[0]) == [("a", True, 1)]


def test_a_process_without_a_free_tool_id_runs_on(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    taken = [tool for tool in (3, 4) if sys.monitoring.get_tool(tool) is None]
    for tool in taken:
        sys.monitoring.use_tool_id(tool, f"somebody {tool}")
    try:
        found = lab.activate(lab.new_run(), module.decide, 1)
    finally:
        for tool in taken:
            sys.monitoring.free_tool_id(tool)

    assert found == ActivationBranches()
    assert lab.watch.disabled_reason.startswith("sys.monitoring tool ids 3 and 4 are taken by ")
    assert "somebody" in lab.watch.disabled_reason


def test_a_python_without_monitoring_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "monitoring")
    watch = BranchWatch()
    with watch.watching(RunBranches()) as found:
        pass
    assert found == ActivationBranches()
    assert watch.disabled_reason == "this Python has no sys.monitoring"


def test_closing_gives_everything_back(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    run = lab.new_run()
    lab.activate(run, module.decide, 1)
    tool = lab.watch._tool
    assert tool is not None

    lab.watch.close()

    assert sys.monitoring.get_tool(tool) is None
    sys.monitoring.use_tool_id(tool, "next")
    try:
        assert sys.monitoring.get_events(tool) == 0
        assert sys.monitoring.get_local_events(tool, module.decide.__code__) == 0
    finally:
        sys.monitoring.free_tool_id(tool)
    assert lab.activate(run, module.decide, 1) == ActivationBranches()


def test_the_process_has_one_watch_and_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "class Workflow: ...\ndef decide(a):\n    if a: return 1\n"
        "class Last:\n    def __del__(self):\n        decide(1)\nlast = Last()\n"
    )
    script = (
        "import asyncio, flow\n"
        "from tracer.branches import *\n"
        "async def main():\n"
        "    process_watch().include(flow.Workflow)\n"
        "    with process_watch().watching(RunBranches()) as found:\n"
        "        flow.decide(1)\n"
        "    print(len(found.branches))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": f"{_ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert process_watch() is process_watch()


def test_files_that_cannot_be_read_are_named(lab: Lab, tmp_path: Path) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    gone = lab.load("""
        def decide(a):
            if a: pass
    """, "gone")  # fmt: skip
    (tmp_path / "gone.py").unlink()

    found = lab.activate(lab.new_run(), lambda: (gone.decide(1), module.decide(1)))

    assert [b.point.file for b in found.branches] == ["flow.py"]
    assert list(lab.watch.unreadable) == [str(tmp_path / "gone.py")]
    assert "FileNotFoundError" in lab.watch.unreadable[str(tmp_path / "gone.py")]


def test_code_without_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("class Workflow: ...\ndef decide(a):\n    if a: return 1\n")
    script = (
        "import asyncio, flow\n"
        "from tracer.branches import *\n"
        "async def main():\n"
        "    process_watch().include(flow.Workflow)\n"
        "    with process_watch().watching(RunBranches()) as found:\n"
        "        flow.decide(1)\n"
        "    print(len(found.branches), *process_watch().unreadable.values())\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "no_debug_ranges", "-c", script],
        env={"PYTHONPATH": f"{_ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 compiled without columns (PYTHONNODEBUGRANGES)\n"


def test_a_file_that_was_changed_and_imported_again_reads_as_it_is_now(lab: Lab) -> None:
    before = lab.load("""
        def decide(a):
            if a: pass
    """)
    assert outcomes(lab.activate(lab.new_run(), before.decide, 1)) == [("a", True, 1)]

    after = lab.load("""
        # Something new.
        def decide(a):
            if a > 5: pass
    """)

    assert outcomes(lab.activate(lab.new_run(), after.decide, 1)) == [("a > 5", False, 1)]
