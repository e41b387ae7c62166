"""Branch capture tells what workflow code decided, and nothing else."""

import asyncio
import dis
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from tests.tracer.branching_lab import Lab, outcomes
from tracer.branches import (
    ActivationBranches,
    BranchKind,
    BranchWatch,
)
from tracer.branches._plan import plan_of
from tracer.branches._source import index_source


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    lab = Lab(tmp_path, monkeypatch)
    yield lab
    assert lab.errors == []
    lab.watch.close()


def test_a_branch_says_where_what_and_why(lab: Lab) -> None:
    module = lab.load("""
        def decide(amount, is_new):
            if amount > 100 and not is_new:
                return "review"
    """)

    found = lab.activate(lab.new_run(), module.decide, 50, False, at=17)

    (branch,) = found.branches
    assert branch.point.qualname == "decide"
    assert branch.point.file == "flow.py"
    assert (branch.point.line, branch.point.end_line) == (4, 4)
    assert (branch.point.column, branch.point.end_column) == (7, 34)
    assert branch.point.kind is BranchKind.IF
    assert branch.point.condition == "amount > 100 and not is_new"
    assert branch.outcome is False
    assert branch.because == "not amount > 100"
    assert branch.at == 17
    assert branch.values == ()
    assert branch.point.id == "flow.py:decide:4:7:if"


@pytest.mark.parametrize(
    ("condition", "because"),
    [
        ("a and b", "not b"),
        ("not (a and not b)", "not b"),
        ("a and (b or not a)", "a"),
        ("(a if b else not a)", "a"),
        ("b or (a := 0)", "not (a := 0)"),
        ("not b", ""),
    ],
)
def test_what_settled_a_condition_is_named(lab: Lab, condition: str, because: str) -> None:
    module = lab.load(f"""
        def decide(a, b):
            return 1 if {condition} else 2
    """)

    found = lab.activate(lab.new_run(), module.decide, True, False)

    assert found.branches[-1].point.kind is BranchKind.TERNARY
    assert found.branches[-1].because == because


def test_coroutines_generators_groups_and_async_loops_are_told(lab: Lab) -> None:
    module = lab.load("""
        async def numbers():
            for number in (1, 2, 3):
                yield number

        async def decide():
            async for number in numbers():
                if number == 2:
                    continue
            found = [n async for n in numbers() if n > 2]
            try:
                raise ExceptionGroup("both", [KeyError(), OSError()])
            except* ValueError:
                found.append(1)
            except* KeyError:
                found.append(2)
            except* OSError:
                found.append(3)
            return found
    """)

    found = lab.activate(lab.new_run(), module.decide)

    assert outcomes(found) == [
        ("number == 2", False, 1),
        ("number == 2", True, 2),
        ("number == 2", False, 3),
        ("n > 2", False, 1),
        ("n > 2", False, 2),
        ("n > 2", True, 3),
        ("ValueError", False, 1),
        ("KeyError", True, 1),
        ("OSError", True, 1),
    ]
    rounds = {point.condition: count for point, count in found.loops.items()}
    assert rounds == {"number in (1, 2, 3)": 6, "number in numbers()": 3}


def test_occurrences_go_on_over_activations_and_replays_are_not_told(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    run = lab.new_run()

    assert outcomes(lab.activate(run, module.decide, 1)) == [("a", True, 1)]
    assert outcomes(lab.activate(run, module.decide, 1, recording=False)) == []
    found = lab.activate(run, module.decide, 0)

    assert outcomes(found) == [("a", False, 3)]
    assert found.dropped == 0


def test_a_loop_tells_when_it_begins_and_ends(lab: Lab) -> None:
    module = lab.load("""
        def decide(n):
            while n > 0:
                n -= 1
            for _ in range(3):
                pass
    """)
    run = lab.new_run()

    for activation in (1, 2):
        found = lab.activate(run, module.decide, 4)

        first = 1 + 5 * (activation - 1)
        assert outcomes(found) == [("n > 0", True, first), ("n > 0", False, first + 4)]
        assert {point.condition: count for point, count in found.loops.items()} == {
            "n > 0": 4,
            "_ in range(3)": 3,
        }


def test_a_loop_over_several_activations_begins_once(lab: Lab) -> None:
    module = lab.load("""
        def rounds():
            n = 3
            while n > 0:
                n -= 1
                yield
    """)
    run, rounds = lab.new_run(), module.rounds()

    found = [lab.activate(run, lambda: next(rounds, None)) for _ in range(4)]

    assert [outcomes(activation) for activation in found] == [
        [("n > 0", True, 1)],
        [],
        [],
        [("n > 0", False, 4)],
    ]
    assert [sum(activation.loops.values()) for activation in found] == [1, 1, 1, 0]


def test_conditions_polled_outside_of_tasks_are_no_decisions(lab: Lab) -> None:
    module = lab.load("""
        class Flow:
            def __init__(self, size):
                self.size = "big" if size > 3 else "small"

            def is_done(self):
                return True if self.size else False
    """)
    run = lab.new_run()

    async def activation() -> ActivationBranches:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        found = ActivationBranches()

        def outside_of_tasks() -> None:
            nonlocal found
            with lab.watch.watching(run) as found:
                flow = module.Flow(5)
                flow.is_done()
            done.set()

        loop.call_soon(outside_of_tasks)
        await done.wait()
        return found

    assert outcomes(asyncio.run(activation())) == [("size > 3", True, 1)]


def test_read_only_code_is_not_counted(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    validating = True

    def activation() -> None:
        nonlocal validating
        module.decide(1)
        validating = False
        module.decide(0)

    found = lab.activate(lab.new_run(), activation, is_read_only=lambda: validating)

    assert outcomes(found) == [("a", False, 1)]


def test_code_outside_of_activations_other_code_and_imports_are_not_told(lab: Lab) -> None:
    module = lab.load("""
        import colorsys
        if colorsys:
            pass
        class Inner:
            if colorsys:
                pass
        def decide(a):
            if a: pass
            colorsys.rgb_to_hls(.1, .2, .3)
    """)
    module.decide(1)

    assert outcomes(lab.activate(lab.new_run(), module.decide, 1)) == [("a", True, 1)]
    found = lab.activate(lab.new_run(), lambda: lab.load("x = 3\nif x: y = 1 if x else 2", "g"))
    assert outcomes(found) == []


def test_helpers_in_the_package_count_and_neighbours_of_a_package_do_not(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "shop/__init__.py": "",
        "shop/flows/__init__.py": "from shop.rules import decide as rule\nfrom other import other\n"
        "class Workflow: ...\ndef decide(a):\n    return rule(a) or other(a)\n",
        "shop/rules.py": "def decide(a):\n    return 1 if a else 0\n",
        "other.py": "def other(a):\n    return 1 if a else 0\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("shop.flows")
    lab.watch.include(module.Workflow)

    found = lab.activate(lab.new_run(), module.decide, 0)

    assert [(b.point.file, b.point.condition) for b in found.branches] == [
        ("shop/rules.py", "a"),
        ("shop/flows/__init__.py", "rule(a)"),
    ]


def test_packages_of_later_workers_are_told_too(lab: Lab, tmp_path: Path) -> None:
    first = lab.load("""
        def decide(a):
            if a: pass
    """)
    lab.activate(lab.new_run(), first.decide, 1)
    (tmp_path / "later").mkdir()
    later = Lab(tmp_path / "later", pytest.MonkeyPatch())
    later.watch = BranchWatch()  # never started: loads only
    second = later.load("""
        def decide(b):
            if b: pass
    """, "second")  # fmt: skip
    assert outcomes(lab.activate(lab.new_run(), second.decide, 1)) == []

    lab.watch.include(second.Workflow)

    assert outcomes(lab.activate(lab.new_run(), second.decide, 1)) == [("b", True, 1)]


class NewMonitoring:
    """`sys.monitoring` of Python 3.14: an event for each way of a branch."""

    DISABLE = object()
    events = SimpleNamespace(PY_START=1, BRANCH_LEFT=2, BRANCH_RIGHT=4, BRANCH=6, JUMP=8)

    def __init__(self) -> None:
        self.callbacks: dict[int, Any] = {}
        self.local: dict[CodeType, int] = {}

    def get_tool(self, tool: int) -> str | None:
        return None

    def use_tool_id(self, tool: int, name: str) -> None:
        assert (tool, name) == (4, "retrospan")

    def free_tool_id(self, tool: int) -> None: ...

    def register_callback(self, tool: int, event: int, callback: Any) -> None:
        self.callbacks[event] = callback

    def set_events(self, tool: int, events: int) -> None: ...

    def set_local_events(self, tool: int, code: CodeType, events: int) -> None:
        self.local[code] = events


def test_each_way_of_a_branch_may_have_an_event_of_its_own(lab: Lab) -> None:
    module = lab.load("""
        def decide(a):
            if a: pass
    """)
    code = module.decide.__code__
    monitoring = NewMonitoring()
    lab.watch = BranchWatch(monitoring)
    lab.watch.include(module.Workflow)
    jump = next(
        offset
        for offset, name in instructions(code)
        if name.startswith("POP_JUMP_IF_")
    )  # fmt: skip
    following = next(offset for offset, _ in instructions(code) if offset > jump)

    def events() -> None:
        assert monitoring.callbacks[1](code, 0) is NewMonitoring.DISABLE
        assert monitoring.local[code] == 6
        assert monitoring.callbacks[2](code, jump, following) is None
        assert monitoring.callbacks[4](code, jump, following + 40) is None
        assert monitoring.callbacks[4](code, 9999, 0) is NewMonitoring.DISABLE

    found = lab.activate(lab.new_run(), events)

    assert outcomes(found) == [("a", True, 1), ("a", False, 2)]
    lab.watch.close()
    assert monitoring.local[code] == 0
    assert set(monitoring.callbacks.values()) == {None}


def test_the_way_on_may_be_marked_by_an_instruction(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def decide(a):\n    if a:\n        pass\n    return a\n"
    space: dict[str, Any] = {}
    exec(compile(text, "flow.py", "exec"), space)
    real = list(dis.get_instructions(space["decide"]))
    number = next(n for n, ins in enumerate(real) if ins.opname.startswith("POP_JUMP_IF_"))
    marked = [
        ins if n != number + 1 else ins._replace(opname="NOT_TAKEN") for n, ins in enumerate(real)
    ]
    monkeypatch.setattr(dis, "get_instructions", lambda _: iter(marked))

    plan = plan_of(space["decide"].__code__, index_source(text), "flow.py")

    assert plan.sites[real[number].offset].next_offset == real[number + 2].offset


def instructions(code: CodeType) -> list[tuple[int, str]]:
    return [(ins.offset, ins.opname) for ins in dis.get_instructions(code)]
