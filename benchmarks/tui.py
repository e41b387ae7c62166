"""How quick the app is: first paint, steps, pages, search, stalls, memory, payloads, `--help`.

Each case is a process of its own. The app draws for a terminal that is not there: what one would be
sent is made, and dropped. Every figure is the median of the rounds, and a round goes through all
the cases of its table before the next one begins.

A first paint begins when the app is made, its modules loaded, and ends when every part of the
screen has been drawn and sent; a run is read after that, and until then it says so. `ms CPU` is
of the thread that draws for a first paint, and of the whole process per key press otherwise. A
stall is the longest time in which the event loop did not answer a ticker of 5 ms: after the first
paint while a history was read, and then while keys were pressed. Searches are counted beyond what
the driver waits for any key.

A run of Temporal has 51,200 events at most, and the app lists 100,000 runs at most; a million is
measured where it can occur, in a view of lines that are made when they are looked at, and in a
search through names. Memory is what the app adds to its process for a run: the history as it was
loaded, its model, index and screens, but not Python and the libraries.

Run it: `python -m benchmarks.tui [--quick] [--rounds N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from temporalio.api.common.v1 import Payload
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot
from textual.screen import Screen
from textual.worker import WorkerCancelled

from benchmarks.replay import history_of
from benchmarks.replayed_workflow import Shipping
from benchmarks.startup import milliseconds
from replayer.history import Rejected, RunHistory
from replayer.replaying import PackedHistory
from replayer.tape import record_here
from tracer.identity import RunKey
from tui import memory
from tui.app import RetrospanApp
from tui.app.lines import LineList
from tui.app.payload_screen import PayloadScreen
from tui.haystack import Haystack
from tui.pieces import Line, Piece
from tui.replay.payloads import Section, Tab
from tui.sources import LoadedRuns, RunRow

_SIZE = (130, 36)
_PRESSES = 12
_TICK = 0.005
_NAME, _WIDTH = 26, 15
_MILLION = 1_000_000
_HEAVY = ("textual", "duckdb", "temporalio")

type Row = dict[str, float]

_RUN_GOALS: Final = {
    "first paint, ms": "≤ 150",
    "first paint, ms CPU": "≤ 150",
    "stall reading, ms": "≤ 50",
    "step, ms CPU": "≤ 35",
    "step back, ms CPU": "≤ 35",
    "stall stepping, ms": "≤ 50",
    "stall searching, ms": "≤ 50",
    "memory, MB": "≤ 150",
}
_LIST_GOALS: Final = {
    "first paint, ms": "≤ 150",
    "first paint, ms CPU": "≤ 150",
    "stall reading, ms": "≤ 50",
    "filter, ms": "≤ 100",
    "stall filtering, ms": "≤ 50",
    "memory, MB": "≤ 150",
}
_VIEW_GOALS: Final = {"first paint, ms": "≤ 150", "step, ms CPU": "≤ 35", "search, ms": "≤ 100"}
_PAYLOAD_GOALS: Final = {
    "open, ms": "≤ 500",
    "stall opening, ms": "≤ 50",
    "stall as text, ms": "≤ 50",
    "page, ms CPU": "≤ 35",
}
_HELP_GOALS: Final = {"--help, ms": "≤ 120", "--help, ms CPU": "≤ 120", "heavy imports": "0"}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="only the smallest sizes, once")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    is_quick = arguments.quick
    rounds = 1 if is_quick else arguments.rounds
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, {rounds} rounds, {_load()}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RETROSPAN_STATE"] = str(Path(folder) / "empty")
        sizes = (5_000,) if is_quick else (5_000, 51_200)
        for events in sizes:
            _alone(_prepare, Path(folder), events)
        runs = {
            f"{events:,}{' tape' if is_taped else ''}": partial(
                _run_case, Path(folder), events, is_taped
            )
            for events in sizes
            for is_taped in (False, True)
        }
        _table("a run, events", _measured(rounds, runs), _RUN_GOALS)
        listed = (5_000,) if is_quick else (5_000, 100_000)
        rows = {f"{count:,}": partial(_list_case, count) for count in listed}
        _table("a list of runs", _measured(rounds, rows), _LIST_GOALS)
        lines = {f"{_MILLION:,}": partial(_view_case, _MILLION)}
        _table("a view of lines", _measured(rounds, lines), _VIEW_GOALS)
        payloads = {
            f"{size} MB": partial(_payload_case, size) for size in ((1,) if is_quick else (1, 10))
        }
        _table("a payload", _measured(rounds, payloads), _PAYLOAD_GOALS)
    _table("the command", {"": _medians([_help_case() for _ in range(rounds * 3)])}, _HELP_GOALS)


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def _alone[**P, R](measure: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments, **named).result()


def _measured(rounds: int, cases: Mapping[str, Callable[[], Row]]) -> dict[str, Row]:
    """Every case, once in each round."""
    found: dict[str, list[Row]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(_alone(case))
    return {name: _medians(rows) for name, rows in found.items()}


def _medians(found: Sequence[Row]) -> Row:
    return {name: statistics.median(row[name] for row in found) for name in found[0]}


def _table(title: str, columns: Mapping[str, Row], goals: Mapping[str, str]) -> None:
    print(f"\n{title:<{_NAME}}" + "".join(f"{name:>{_WIDTH}}" for name in columns), end="")
    print(f"{'goal':>{_WIDTH}}   {_load()}")
    for name in next(iter(columns.values())):
        cells = "".join(f"{row[name]:>{_WIDTH},.0f}" for row in columns.values())
        print(f"{name:<{_NAME}}{cells}{goals.get(name, ''):>{_WIDTH}}")


class _Terminal(HeadlessDriver):
    """A terminal that shows nothing, and for which everything is drawn all the same."""

    is_painted = False

    @property
    def is_headless(self) -> bool:
        """Textual does not make the text of a frame that is sent nowhere."""
        return False

    def write(self, data: str) -> None:
        """Drop a frame; the first one has what says that something is read."""
        self.is_painted = self.is_painted or "reading…" in data


class _Ticker:
    """Measures how long the event loop did not answer."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            self._worst = max(self._worst, now - last - _TICK)
            last = now

    async def take(self) -> float:
        """The longest since the last time, in milliseconds."""
        await asyncio.sleep(2 * _TICK)
        worst, self._worst = self._worst, 0.0
        return worst * 1000


async def _settled(pilot: Pilot[None]) -> None:
    with suppress(WorkerCancelled):
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def _cpu_of(pilot: Pilot[None], key: str) -> float:
    """Median CPU of a press, in milliseconds."""
    taken = []
    for _ in range(_PRESSES):
        before = time.process_time()
        await pilot.press(key)
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot._wait_for_screen()
        taken.append((time.process_time() - before) * 1000)
    return statistics.median(taken)


async def _pressed(pilot: Pilot[None], key: str) -> float:
    """Milliseconds until what a key asks for was done, beyond those of a key without a meaning."""
    idle = min([await _wall_of(pilot, "f12") for _ in range(5)])
    return max(0, await _wall_of(pilot, key) - idle)


async def _wall_of(pilot: Pilot[None], key: str) -> float:
    begun = time.perf_counter()
    await pilot.press(key)
    await _settled(pilot)
    return _since(begun)


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


def _resident() -> float:
    """Megabytes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@asynccontextmanager
async def _running(app: RetrospanApp) -> AsyncIterator[Pilot[None]]:
    app.driver_class = _Terminal
    async with app.run_test(headless=False, size=_SIZE) as pilot:
        yield pilot


@asynccontextmanager
async def _started(
    make: Callable[[], RetrospanApp], row: Row
) -> AsyncIterator[tuple[Pilot[None], _Ticker]]:
    """The app from its first paint on."""
    begun, cpu = time.perf_counter(), time.thread_time()
    async with _running(make()) as pilot:
        await pilot._wait_for_screen()
        row["first paint, ms"] = _since(begun)
        row["first paint, ms CPU"] = (time.thread_time() - cpu) * 1000
        terminal = pilot.app._driver
        if not isinstance(terminal, _Terminal) or not terminal.is_painted:
            raise RuntimeError("nothing was painted")
        ticker = _Ticker()
        await _settled(pilot)
        row["ready, ms"] = _since(begun)
        row["stall reading, ms"] = await ticker.take()
        yield pilot, ticker


# -- a run -------------------------------------------------------------------------------------


def _prepare(folder: Path, events: int) -> None:
    """Make a history, and record its tape."""
    history = history_of(events)
    (folder / str(events)).write_bytes(pickle.dumps(PackedHistory.of(history)))
    os.environ["RETROSPAN_STATE"] = str(folder / f"{events}-taped")
    path = memory.tape_path(history.key)
    path.parent.mkdir(parents=True)
    record_here(history, [Shipping], path)


def _run_case(folder: Path, events: int, is_taped: bool) -> Row:
    state = folder / f"{events}-taped" if is_taped else folder / "empty"
    os.environ["RETROSPAN_STATE"] = str(state)
    packed: PackedHistory = pickle.loads((folder / str(events)).read_bytes())
    before = _resident()
    return asyncio.run(_measured_run(packed.unpacked(), before))


async def _measured_run(history: RunHistory, before: float) -> Row:
    row: Row = {}
    source = LoadedRuns("benchmark", [history])
    async with _started(lambda: RetrospanApp(source, history.key), row) as (pilot, ticker):
        row["no-op key, ms CPU"] = await _cpu_of(pilot, "f12")
        await ticker.take()
        row["step, ms CPU"] = await _cpu_of(pilot, "n")
        row["step back, ms CPU"] = await _cpu_of(pilot, "N")
        row["page, ms CPU"] = await _cpu_of(pilot, "pagedown")
        row["stall stepping, ms"] = await ticker.take()
        await pilot.press("g")
        await pilot.press("slash", *"nowhere")
        row["first search, ms"] = await _pressed(pilot, "enter")
        row["next search, ms"] = await _pressed(pilot, "full_stop")
        row["stall searching, ms"] = await ticker.take()
        row["memory, MB"] = _resident() - before
    return row


# -- a list ------------------------------------------------------------------------------------


class _ManyRuns(LoadedRuns):
    """Rows without histories."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count:,} runs", [])
        self._count = count

    def rows(self) -> Iterator[RunRow | Rejected]:
        """Made up."""
        for number in range(self._count):
            key = RunKey("default", f"order-{number}", f"{number:032x}")
            status = "FAILED" if number % 7 == 0 else "COMPLETED"
            yield RunRow(key, "Order", status, number * 10**9, 5 * 10**9, 8, 9, 0.01)


def _list_case(count: int) -> Row:
    return asyncio.run(_measured_list(count))


async def _measured_list(count: int) -> Row:
    row: Row = {}
    before = _resident()
    async with _started(lambda: RetrospanApp(_ManyRuns(count)), row) as (pilot, ticker):
        row["page, ms CPU"] = await _cpu_of(pilot, "pagedown")
        await pilot.press("slash", *"faile")
        await _settled(pilot)
        await ticker.take()
        row["filter, ms"] = await _pressed(pilot, "d")
        row["stall filtering, ms"] = await ticker.take()
        row["memory, MB"] = _resident() - before
    return row


# -- a view of lines ---------------------------------------------------------------------------


class _ManyLines:
    """Lines that are made when they are looked at."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        return Piece(f"{index:>9,} "), Piece(_name(index)), Piece("  completed 2.00s")


def _name(index: int) -> str:
    return f"activity charge_card of order-{index}"


def _view_case(count: int) -> Row:
    names = Haystack(map(_name, range(count)))
    begun = time.perf_counter()
    found = names.after(-1, _name(count - 1).upper())
    searched = _since(begun)
    if found != count - 1:
        raise RuntimeError("the search does not find the last name")
    return {**asyncio.run(_measured_view(count)), "search, ms": searched}


async def _measured_view(count: int) -> Row:
    row: Row = {}
    async with _running(RetrospanApp(LoadedRuns("benchmark", []))) as pilot:
        await _settled(pilot)
        begun = time.perf_counter()
        screen = Screen[None]()
        await pilot.app.push_screen(screen)
        lines = LineList()
        await screen.mount(lines)
        lines.show(_ManyLines(count))
        lines.focus()
        await pilot._wait_for_screen()
        row["first paint, ms"] = _since(begun)
        row["step, ms CPU"] = await _cpu_of(pilot, "j")
        row["page, ms CPU"] = await _cpu_of(pilot, "pagedown")
        row["to the end, ms"] = await _pressed(pilot, "G")
    return row


# -- a payload ---------------------------------------------------------------------------------


def _payload_case(megabytes: int) -> Row:
    item = b'{"id": "%07d", "name": "a thing", "tags": ["one", "two"], "price": 12.5}'
    count = megabytes * 1024 * 1024 // (len(item) + 7)
    data = b"[" + b", ".join(item % number for number in range(count)) + b"]"
    payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
    return asyncio.run(_measured_payload(payload))


async def _measured_payload(payload: Payload) -> Row:
    row: Row = {}
    async with _running(RetrospanApp(LoadedRuns("benchmark", []))) as pilot:
        await _settled(pilot)
        ticker, before = _Ticker(), _resident()
        begun = time.perf_counter()
        screen = PayloadScreen("benchmark", [Section(Tab.OUT, "out", payload)])
        await pilot.app.push_screen(screen)
        await _settled(pilot)
        row["open, ms"] = _since(begun)
        row["stall opening, ms"] = await ticker.take()
        row["as text, ms"] = await _pressed(pilot, "vertical_line")
        row["stall as text, ms"] = await ticker.take()
        row["page, ms CPU"] = await _cpu_of(pilot, "pagedown")
        await pilot.press("slash", *"0000099")
        row["search, ms"] = await _pressed(pilot, "enter")
        row["memory, MB"] = _resident() - before
    return row


# -- the command -------------------------------------------------------------------------------

_PROBE = f"""
import contextlib, io, sys
from tui.cli import main
sys.argv = ["retrospan", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
print(len({{*sys.modules}} & {{*{_HEAVY!r}}}))
"""


def _help_case() -> Row:
    answer = subprocess.run(
        [sys.executable, "-c", _PROBE], check=True, capture_output=True, text=True
    )
    alone, alone_cpu = _process(("-c", "pass"))
    took, cpu = _process(("-m", "tui", "--help"))
    return {
        "python alone, ms": alone,
        "python alone, ms CPU": alone_cpu,
        "--help, ms": took,
        "--help, ms CPU": cpu,
        "heavy imports": float(answer.stdout),
    }


def _process(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Wall time and CPU of a whole process, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = milliseconds(arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return took, cpu * 1000


if __name__ == "__main__":
    main()
