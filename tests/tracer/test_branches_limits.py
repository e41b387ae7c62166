"""What branch capture costs at most; runs, threads and tools do not disturb each other."""

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType

import pytest

from tests.tracer.branching_lab import Lab, outcomes
from tracer.branches import (
    ActivationBranches,
)

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    assert lab.errors == []
    lab.watch.close()


def test_threads_and_runs_do_not_mix(lab: Lab) -> None:
    module = lab.load("""
        def decide(n, meet):
            for i in range(40):
                meet()
                if i == n:
                    pass
    """)
    count = 4
    meeting = threading.Barrier(count, timeout=30)

    def activation(n: int) -> ActivationBranches:
        return lab.activate(lab.new_run(per_outcome=40), module.decide, n, meeting.wait)

    with ThreadPoolExecutor(count) as threads:
        found = list(threads.map(activation, range(count)))

    for n, activated in enumerate(found):
        assert outcomes(activated) == [("i == n", i == n, i + 1) for i in range(40)]


def test_coverage_and_another_tool_keep_working(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "class Workflow: ...\n"
        "def decide(a):\n    if a:\n        b = 1\n    else:\n        b = 2\n    return b\n"
    )
    (tmp_path / "main.py").write_text(
        "import asyncio, sys, flow\n"
        "from tracer.branches import *\n"
        "lines = []\n"
        "m = sys.monitoring\n"
        "m.use_tool_id(1, 'coverage')\n"
        "m.register_callback(1, m.events.LINE, lambda code, line: (\n"
        "    lines.append(line), m.DISABLE)[1])\n"
        "m.register_callback(1, m.events.BRANCH, lambda *_: lines.append('branch'))\n"
        "m.set_local_events(1, flow.decide.__code__, m.events.LINE | m.events.BRANCH)\n"
        "watch = process_watch()\n"
        "watch.include(flow.Workflow)\n"
        "run = RunBranches(BranchSettings(evaluations=2))\n"
        "async def main():\n"
        "    for a in (1, 0, 1, 1, 1):\n"
        "        with watch.watching(run) as found:\n"
        "            flow.decide(a)\n"
        "            flow.decide(a)\n"
        "            flow.decide(a)\n"
        "        print(len(found.branches), len(found.muted), end=' ')\n"
        "asyncio.run(main())\n"
        "print(sorted(set(map(str, lines))), lines.count('branch'))\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "main.py"],
        env={"PYTHONPATH": f"{_ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2 1 0 0 0 0 0 0 0 0 ['3', '4', '6', '7', 'branch'] 15\n"
    assert done.stderr == ""


def test_tools_that_restart_events_do_not_disturb(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            for _ in range(a):
                pass
            if a: pass
    """)
    run = lab.new_run(evaluations_per_point=10)
    assert len(lab.activate(run, module.decide, 30).muted) == 1

    sys.monitoring.restart_events()

    found = lab.activate(run, module.decide, 3)
    assert outcomes(found) == [("a", True, 2)]
    assert found.loops == {}


def test_what_is_over_the_caps_is_counted_as_dropped(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            for i in range(n):
                if i >= 0: pass
                if i == 7: pass
    """)
    run = lab.new_run(per_activation=15, per_outcome=10)

    found = lab.activate(run, module.decide, 20)

    assert len(found.branches) == 15
    assert found.dropped == 25
    assert found.muted == set()
    assert [n for condition, _, n in outcomes(found) if condition == "i == 7"] == list(range(1, 8))
    again = lab.activate(run, module.decide, 2)
    assert outcomes(again) == [
        ("i >= 0", True, 21),
        ("i == 7", False, 21),
        ("i >= 0", True, 22),
        ("i == 7", False, 22),
    ]


def test_a_rare_outcome_is_told_however_common_the_other_is(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            for i in range(n):
                if i == 900: pass
    """)

    found = lab.activate(lab.new_run(), module.decide, 1000)

    assert [n for _, outcome, n in outcomes(found) if outcome] == [901]
    assert found.dropped == 979


def test_points_that_cost_too_much_are_muted_and_the_others_are_not(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            for i in range(n):
                if i == -1: pass
            if n: pass
    """)
    run = lab.new_run(evaluations_per_point=100)

    found = lab.activate(run, module.decide, 100_000)

    assert outcomes(found)[-1] == ("n", True, 1)
    assert {point.condition for point in found.muted} == {"i == -1", "i in range(n)"}
    assert 50 <= found.dropped <= 250
    # Their counts are no longer sure, so they are not told again in this run.
    assert outcomes(lab.activate(run, module.decide, 2)) == [("n", True, 2)]
    # Another run counts anew.
    assert outcomes(lab.activate(lab.new_run(), module.decide, 1)) == [
        ("i == -1", False, 1),
        ("n", True, 1),
    ]
    # And the first still does not.
    assert outcomes(lab.activate(run, module.decide, 2)) == [("n", True, 3)]


def test_the_evaluations_of_an_activation_are_bounded(lab: Lab) -> None:
    conditions = "\n".join(f"    if n == {k}: pass" for k in range(50))
    module = lab.load(f"def decide(n):\n    n += 1\n{conditions}\n")
    run = lab.new_run(evaluations=1000)

    def activation() -> None:
        for _ in range(100):
            module.decide(1)

    found = lab.activate(run, activation)

    assert len(found.muted) == 50
    assert 1000 <= len(found.branches) + found.dropped <= 2000
    assert outcomes(lab.activate(run, module.decide, 1)) == []


def test_a_run_does_not_trust_counts_that_another_run_interrupted(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            for i in range(n):
                if i: pass
    """)
    old, hot = lab.new_run(), lab.new_run(evaluations_per_point=100)
    assert len(outcomes(lab.activate(old, module.decide, 2))) == 2

    lab.activate(hot, module.decide, 500)
    lab.activate(old, module.decide, 2)
    fresh = lab.new_run()

    assert outcomes(lab.activate(fresh, module.decide, 1)) == [("i", False, 1)]
    found = lab.activate(old, module.decide, 2)
    assert outcomes(found) == []
    assert {point.condition for point in found.muted} == {"i", "i in range(n)"}
    assert outcomes(lab.activate(fresh, module.decide, 1)) == [("i", False, 2)]


def test_code_that_is_busy_outside_of_activations_is_left_alone(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            for i in range(n):
                if i: pass
    """)
    old = lab.new_run()
    lab.activate(old, module.decide, 1)
    tool = lab.watch._tool
    assert tool is not None
    assert sys.monitoring.get_local_events(tool, module.decide.__code__)

    module.decide(1000)

    assert sys.monitoring.get_local_events(tool, module.decide.__code__) == 0
    fresh = lab.new_run()
    assert outcomes(lab.activate(fresh, module.decide, 1)) == [("i", False, 1)]
    assert outcomes(lab.activate(old, module.decide, 1)) == []


def test_queries_do_not_wear_the_watch_out(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            for i in range(n):
                if i: pass
    """)
    run = lab.new_run()
    lab.activate(run, module.decide, 1)

    with lab.watch.ignoring():
        module.decide(1000)

    assert outcomes(lab.activate(run, module.decide, 1)) == [("i", False, 2)]


def test_code_that_is_gone_leaves_nothing_behind(lab: Lab) -> None:
    text = """
        def decide(n):
            for i in range(n):
                if i: pass
    """
    codes: list[weakref.ref[CodeType]] = []
    for _ in range(3):
        # As the sandbox does for each run.
        module = lab.load(text)
        codes.append(weakref.ref(module.decide.__code__))
        found = lab.activate(lab.new_run(evaluations_per_point=5), module.decide, 100)
        assert len(found.branches) == 6
        del module
    sys.modules.pop("flow")
    gc.collect()

    assert [code() for code in codes] == [None] * 3
    assert lab.watch._trails == {}
    assert lab.watch._to_wake == set()
    assert len(lab.watch._plans) == 1
