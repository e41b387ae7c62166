"""Children: their limits hold, their answers arrive, and nothing of them is left behind."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replayer.replaying import (
    Child,
    ChildCrashed,
    ChildError,
    ChildOutOfMemory,
    ChildPool,
    ChildTimedOut,
    Limits,
    run_in_child,
)
from tests.replayer import replaying_jobs as jobs

SHORT = Limits(seconds=0.5)


def is_alive(process_id: int) -> bool:
    """A zombie counts as gone: it runs nothing, and its parent is the one to bury it."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(process_id: int) -> None:
    deadline = time.monotonic() + 20
    while is_alive(process_id):
        assert time.monotonic() < deadline, f"process {process_id} is still there"
        time.sleep(0.02)


def test_a_job_runs_in_a_process_of_its_own() -> None:
    assert run_in_child(jobs.double, 21) == 42
    assert run_in_child(jobs.process_id, None) != os.getpid()


def test_a_child_imports_from_where_its_parent_does() -> None:
    paths, folder = run_in_child(jobs.environment, None)
    assert paths == [str(Path(path).absolute()) for path in sys.path]
    assert folder == str(Path.cwd())


def test_what_a_job_raises_is_raised_here() -> None:
    with pytest.raises(LookupError, match="nothing here") as caught:
        run_in_child(jobs.fail_known, "nothing here")
    assert "fail_known" in "".join(caught.value.__notes__)


def test_an_error_that_cannot_travel_is_told_as_text() -> None:
    with pytest.raises(RuntimeError, match="Unpicklable: no way"):
        run_in_child(jobs.fail, "way")


def test_a_job_that_exits_is_an_error() -> None:
    with pytest.raises(SystemExit):
        run_in_child(jobs.exit_politely, None)


def test_a_job_that_sleeps_is_ended_and_shows_where() -> None:
    with pytest.raises(ChildTimedOut, match=r"longer than 0\.5 s") as caught:
        run_in_child(jobs.sleep_or_answer, 600.0, limits=SHORT)
    assert "sleep_or_answer" in caught.value.talk


def test_a_job_that_blocks_the_interpreter_is_ended() -> None:
    with pytest.raises(ChildTimedOut) as caught:
        run_in_child(jobs.block_the_interpreter, None, limits=SHORT)
    assert "block_the_interpreter" in caught.value.talk


def test_a_crash_is_told_apart() -> None:
    with pytest.raises(ChildCrashed, match="exit code 7"):
        run_in_child(jobs.crash, None)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has the limit")
def test_memory_is_limited() -> None:
    limits = Limits(memory_bytes=300 << 20)
    assert run_in_child(jobs.take_memory, 1, limits=limits) == 1 << 20
    with pytest.raises((ChildOutOfMemory, MemoryError)):
        run_in_child(jobs.take_memory, 2_000, limits=limits)


def test_a_child_is_used_again_until_it_dies() -> None:
    child = Child(SHORT)
    try:
        first = child.do(jobs.process_id, None)
        assert child.do(jobs.process_id, None) == first
        with pytest.raises(ChildTimedOut):
            child.do(jobs.sleep_or_answer, 600.0)
        assert child.do(jobs.process_id, None) != first
    finally:
        child.close()
    with pytest.raises(ChildError, match="closed"):
        child.do(jobs.process_id, None)


def test_the_pipes_of_a_child_that_died_between_jobs_are_closed() -> None:
    with _no_open_pipes():
        child = Child()
        try:
            first = child.do(jobs.process_id, None)
            os.kill(first, signal.SIGKILL)
            wait_until_gone(first)
            assert child.do(jobs.process_id, None) != first
        finally:
            child.close()
        del child


def test_the_pipes_of_a_child_that_does_not_start_are_closed(tmp_path: Path) -> None:
    with _no_open_pipes():
        child = Child(paths=[str(tmp_path)])
        with pytest.raises(ChildCrashed, match="does not start"):
            child.do(jobs.process_id, None)
        child.close()
        del child


@contextmanager
def _no_open_pipes() -> Iterator[None]:
    """Nothing that is freed meanwhile was left open."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_job_that_hangs_costs_itself_only() -> None:
    seconds = [0.0, 600.0, 0.0, 0.0, 600.0, 0.0]
    with ChildPool(2, limits=SHORT) as pool:
        outcomes = sorted(pool.map(jobs.sleep_or_answer, seconds), key=lambda each: each.index)
    assert [outcome.index for outcome in outcomes] == list(range(6))
    assert [outcome.argument for outcome in outcomes] == seconds
    for outcome in outcomes:
        if outcome.argument:
            assert isinstance(outcome.error, ChildTimedOut)
        else:
            assert outcome.result() == 0.0


def test_a_pool_takes_arguments_as_it_needs_them() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1_000_000):
            taken.append(number)
            yield number

    with ChildPool(2) as pool:
        outcomes = pool.map(jobs.double, numbers())
        assert next(outcomes).error is None
    assert len(taken) < 500_000


def test_arguments_that_fail_are_an_error_after_the_jobs_before() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    done: list[int] = []
    with ChildPool(2) as pool, pytest.raises(OSError, match="disk gone"):
        done.extend(outcome.result() for outcome in pool.map(jobs.double, numbers()))
    assert done == [2]


def test_a_child_is_replaced_after_its_share_of_jobs() -> None:
    with ChildPool(1, jobs_per_child=2) as pool:
        ids = [outcome.result() for outcome in pool.map(jobs.process_id, range(4))]
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_closing_ends_children_and_what_they_started(tmp_path: Path) -> None:
    child = Child()
    thread = threading.Thread(target=_swallow, args=(child, tmp_path))
    thread.start()
    own, sleeper = _pids(tmp_path)
    child.close()
    thread.join(20)
    assert not thread.is_alive()
    wait_until_gone(own)
    wait_until_gone(sleeper)


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "from replayer.replaying import run_in_child\n"
        "from tests.replayer.replaying_jobs import start_a_sleeper\n"
        f"run_in_child(start_a_sleeper, {str(tmp_path)!r})"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    own, sleeper = _pids(tmp_path)
    parent.kill()
    parent.wait(10)
    wait_until_gone(own)
    # Only the child is ours to end then; what user code started is ended here.
    os.kill(sleeper, signal.SIGKILL)


def _swallow(child: Child, folder: Path) -> None:
    try:
        child.do(jobs.start_a_sleeper, str(folder))
    except ChildError:
        return


def _pids(folder: Path) -> tuple[int, int]:
    file = folder / "pids"
    deadline = time.monotonic() + 30
    while not (file.exists() and len(file.read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    own, sleeper = file.read_text().split()
    return int(own), int(sleeper)
