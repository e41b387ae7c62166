"""How quick the app is: first paint, steps, pages, search, stalls, memory, big payloads.

Each size is a process of its own, without a terminal (Textual's headless driver). CPU is that of
the process per key press, drawing included; a stall is the longest time in which the event loop
could not answer a ticker of 5 ms while the history was read, and then while keys were pressed.

Run it: `python -m benchmarks.tui [--quick]`.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

from temporalio.api.common.v1 import Payload
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from benchmarks.replay import history_of
from benchmarks.replayed_workflow import Shipping
from replayer.history import Rejected, RunHistory
from replayer.tape import record_here
from tracer.identity import RunKey
from tui import memory
from tui.app import RetrospanApp
from tui.app.payload_screen import PayloadScreen
from tui.replay.payloads import Section, Tab
from tui.sources import LoadedRuns, RunRow

_SIZE = (130, 36)
_PRESSES = 60
_TICK = 0.005
_WIDTH = 13


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true", help="only the smallest sizes")
    is_quick = arguments.parse_args().quick
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("\na run, events alone and with its tape")
    cases = [(events, taped) for events in (5_000, 51_200) for taped in (False, True)]
    _table([_alone(_run_case, *case) for case in (cases[:2] if is_quick else cases)])
    print("\na list of runs")
    _table([_alone(_list_case, rows) for rows in ((5_000,) if is_quick else (5_000, 100_000))])
    print("\na payload on the full screen")
    _table([_alone(_payload_case, megabytes) for megabytes in ((1,) if is_quick else (1, 10))])


type Row = dict[str, str]


def _alone[**P](measure: Callable[P, Row], *arguments: P.args, **named: P.kwargs) -> Row:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments, **named).result()


def _table(rows: Sequence[Row]) -> None:
    print("".join(f"{name:>{_WIDTH}}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value:>{_WIDTH}}" for value in row.values()))


class _Ticker:
    """Measures how long the event loop did not answer."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            self.worst = max(self.worst, now - last - _TICK)
            last = now

    def take(self) -> float:
        """The longest since the last time, in milliseconds."""
        worst, self.worst = self.worst, 0.0
        return worst * 1000


async def _settled(pilot: Pilot[None]) -> None:
    with suppress(WorkerCancelled):
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def _cpu_of(pilot: Pilot[None], keys: Sequence[str]) -> float:
    """Median CPU of a press, in milliseconds."""
    taken = []
    for key in keys:
        before = time.process_time()
        await pilot.press(key)
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot._wait_for_screen()
        taken.append((time.process_time() - before) * 1000)
    return statistics.median(taken)


def _resident() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- a run -------------------------------------------------------------------------------------


def _run_case(events: int, is_taped: bool) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RETROSPAN_STATE"] = folder
        history = history_of(events)
        if is_taped:
            path = memory.tape_path(history.key)
            path.parent.mkdir(parents=True)
            record_here(history, [Shipping], path)
        before = _resident()
        row = asyncio.run(_measured_run(history))
    return {"events": f"{len(history.events):,}", "tape": "yes" if is_taped else "no", **row} | {
        "RSS grown": f"{_resident() - before:.0f} MB"
    }


async def _measured_run(history: RunHistory) -> Row:
    app = RetrospanApp(LoadedRuns("benchmark", [history]), history.key)
    begun = time.perf_counter()
    async with app.run_test(size=_SIZE) as pilot:
        ticker = _Ticker()
        await pilot._wait_for_screen()
        first = (time.perf_counter() - begun) * 1000
        await _settled(pilot)
        ready = (time.perf_counter() - begun) * 1000
        reading = ticker.take()
        idle = await _cpu_of(pilot, ["f12"] * _PRESSES)
        step = await _cpu_of(pilot, ["n"] * _PRESSES)
        back = await _cpu_of(pilot, ["N"] * _PRESSES)
        page = await _cpu_of(pilot, ["pagedown"] * _PRESSES)
        stepping = ticker.take()
        await pilot.press("slash", *"nowhere")
        at = time.perf_counter()
        await pilot.press("enter")
        await _settled(pilot)
        found = (time.perf_counter() - at) * 1000
    return {
        "first paint": f"{first:.0f} ms",
        "read": f"{ready:.0f} ms",
        "stall": f"{reading:.0f} ms",
        "idle CPU": f"{idle:.1f} ms",
        "step CPU": f"{step:.1f} ms",
        "back CPU": f"{back:.1f} ms",
        "page CPU": f"{page:.1f} ms",
        "stall then": f"{stepping:.0f} ms",
        "find": f"{found:.0f} ms",
    }


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
    return {"runs": f"{count:,}", **asyncio.run(_measured_list(count))}


async def _measured_list(count: int) -> Row:
    app = RetrospanApp(_ManyRuns(count))
    begun = time.perf_counter()
    async with app.run_test(size=_SIZE) as pilot:
        ticker = _Ticker()
        await pilot._wait_for_screen()
        first = (time.perf_counter() - begun) * 1000
        await _settled(pilot)
        read = (time.perf_counter() - begun) * 1000
        reading = ticker.take()
        page = await _cpu_of(pilot, ["pagedown"] * _PRESSES)
        await pilot.press("slash")
        at = time.perf_counter()
        await pilot.press(*"failed")
        await _settled(pilot)
        filtered = (time.perf_counter() - at) * 1000
        filtering = ticker.take()
    return {
        "first paint": f"{first:.0f} ms",
        "read": f"{read:.0f} ms",
        "stall": f"{reading:.0f} ms",
        "page CPU": f"{page:.1f} ms",
        "filter": f"{filtered:.0f} ms",
        "stall then": f"{filtering:.0f} ms",
        "RSS": f"{_resident():.0f} MB",
    }


# -- a payload ---------------------------------------------------------------------------------


def _payload_case(megabytes: int) -> Row:
    item = b'{"id": "%07d", "name": "a thing", "tags": ["one", "two"], "price": 12.5}'
    count = megabytes * 1024 * 1024 // (len(item) + 7)
    data = b"[" + b", ".join(item % number for number in range(count)) + b"]"
    payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
    return {"size": f"{len(data) / 1024 / 1024:.0f} MB", **asyncio.run(_measured_payload(payload))}


async def _measured_payload(payload: Payload) -> Row:
    app = RetrospanApp(LoadedRuns("benchmark", []))
    async with app.run_test(size=_SIZE) as pilot:
        await _settled(pilot)
        ticker = _Ticker()
        begun = time.perf_counter()
        await app.push_screen(PayloadScreen("benchmark", [Section(Tab.OUT, "out", payload)]))
        with suppress(WorkerCancelled):
            await app.workers.wait_for_complete()
        await pilot._wait_for_screen()
        opened = (time.perf_counter() - begun) * 1000
        stall = ticker.take()
        begun = time.perf_counter()
        await pilot.press("vertical_line")
        with suppress(WorkerCancelled):
            await app.workers.wait_for_complete()
        await pilot._wait_for_screen()
        as_text = (time.perf_counter() - begun) * 1000
        page = await _cpu_of(pilot, ["pagedown"] * _PRESSES)
        await pilot.press("slash", *"0000099")
        begun = time.perf_counter()
        await pilot.press("enter")
        await _settled(pilot)
        found = (time.perf_counter() - begun) * 1000
    return {
        "tree": f"{opened:.0f} ms",
        "stall": f"{stall:.0f} ms",
        "text": f"{as_text:.0f} ms",
        "page CPU": f"{page:.1f} ms",
        "find": f"{found:.0f} ms",
        "RSS": f"{_resident():.0f} MB",
    }


if __name__ == "__main__":
    main()
