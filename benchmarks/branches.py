"""What branch capture costs: an activation with 10,000 decisions, and code that is not watched.

Each figure is the median of interleaved rounds in one process, with and without; ratios taken in
one run hold on a busy machine, single times do not. Run it: `python -m benchmarks.branches`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from tracer.branches import BranchWatch, RunBranches

_ROUNDS = 41
_SMALL = 20

_WORKFLOW = """
class Workflow: ...

def one_hot_loop():
    total = 0
    for i in range(10_000):
        if i & 1:
            total += 1
    return total

def many_conditions(rounds=100):
    total = 0
    for i in range(rounds):
{conditions}
    return total

def a_few():
    total = 0
    for i in range(5):
        if i & 1:
            total += 1
        elif i > 2 and total:
            total -= 1
    return total
"""
_CONDITIONS = "".join(
    f"        if i & {1 + k % 7}:\n            total += {k}\n" for k in range(100)
)
_LIBRARY = """
def work():
    total = 0
    for i in range(20_000):
        total = step(total, i)
    return total

def step(total, i):
    if i & 1:
        return total + 1
    return total
"""


def main() -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as folder:
        workflow = _load(Path(folder), "flow", _WORKFLOW.format(conditions=_CONDITIONS))
        library = _load(Path(folder) / "elsewhere", "library", _LIBRARY)
        rows = asyncio.run(_measure(workflow, library))
    print(f"Python {sys.version.split()[0]}, medians of {_ROUNDS} interleaved rounds")
    print(f"{'what':<58} {'without':>10} {'with':>10} {'added':>10}")
    for what, without, with_ in rows:
        print(f"{what:<58} {without:>7.3f} ms {with_:>7.3f} ms {with_ - without:>7.3f} ms")


async def _measure(workflow: ModuleType, library: ModuleType) -> list[tuple[str, float, float]]:
    rows = []
    for what, name in (
        ("activation, 10,000 decisions in one hot loop", "one_hot_loop"),
        ("activation, 10,000 decisions at 100 places", "many_conditions"),
    ):
        rows.append((what, *_activation(workflow, getattr(workflow, name))))
        rows.append((f"{what}, replayed", *_activation(workflow, getattr(workflow, name), False)))
    rows.append((f"{_SMALL} activations with 8 decisions, a run each", *_small(workflow, False)))
    rows.append((f"{_SMALL} activations with 8 decisions of one run", *_small(workflow, True)))
    rows.append(("first activation of all (reads the source)", *_first(workflow)))
    rows.append(("40,000 jumps of a library, with a watch at work", *_elsewhere(workflow, library)))
    rows.append(("10,000 decisions outside of any activation", *_outside(workflow)))
    return rows


def _activation(
    workflow: ModuleType, function: Callable[[], object], recording: bool = True
) -> tuple[float, float]:
    """A new run each time: in a run that goes on, points too hot to watch cost nothing more."""

    def watched(watch: BranchWatch) -> None:
        with watch.watching(RunBranches(), recording=recording):
            function()

    # The first time arms the code and makes its plan, once for the process.
    return _medians(workflow, function, watched, prepare=watched)


def _small(workflow: ModuleType, is_one_run: bool) -> tuple[float, float]:
    def plain() -> None:
        for _ in range(_SMALL):
            workflow.a_few()

    def watched(watch: BranchWatch) -> None:
        run = RunBranches()
        for _ in range(_SMALL):
            with watch.watching(run if is_one_run else RunBranches()):
                workflow.a_few()

    return _medians(workflow, plain, watched, prepare=watched)


def _first(workflow: ModuleType) -> tuple[float, float]:
    def watched(watch: BranchWatch) -> None:
        with watch.watching(RunBranches()):
            workflow.many_conditions(1)

    return _medians(workflow, lambda: workflow.many_conditions(1), watched)


def _elsewhere(workflow: ModuleType, library: ModuleType) -> tuple[float, float]:
    def prepare(watch: BranchWatch) -> None:
        with watch.watching(RunBranches()):
            workflow.a_few()
            library.work()

    return _medians(workflow, library.work, lambda _: library.work(), prepare)


def _outside(workflow: ModuleType) -> tuple[float, float]:
    def prepare(watch: BranchWatch) -> None:
        with watch.watching(RunBranches()):
            workflow.one_hot_loop()
        with watch.watching(RunBranches()):
            pass

    function = workflow.one_hot_loop
    return _medians(workflow, function, lambda _: function(), prepare)


def _medians(
    workflow: ModuleType,
    plain: Callable[[], object],
    watched: Callable[[BranchWatch], object],
    prepare: Callable[[BranchWatch], object] = lambda _: None,
) -> tuple[float, float]:
    """Milliseconds without and with."""
    without, with_ = [], []
    for _ in range(_ROUNDS):
        watch = BranchWatch()
        watch.include(workflow.Workflow)
        prepare(watch)
        with_.append(_milliseconds(partial(watched, watch)))
        watch.close()
        plain()  # the interpreter specializes code anew once it is no longer instrumented
        without.append(_milliseconds(plain))
    return statistics.median(without), statistics.median(with_)


def _milliseconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1000


def _load(folder: Path, name: str, text: str) -> ModuleType:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
