"""Import of generated histories: the official reader alone, and everything of ours, to disk.

2,000 runs of 200 events each, as indented JSON (what `temporal workflow show -o json` writes) and
as protobuf. The official reader only parses: `WorkflowHistory.from_json`. Ours reads, models,
writes every table and the archive, and closes the file, with one process and with two; starting
the second kind of processes is part of it. Rounds take turns; figures are medians. Each measurement
is a process of its own, so that memory is its own, too: MiB is that of the largest process.

Usage: `python -m benchmarks.ingest [RUNS]`
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio.client import WorkflowHistory

from analytics.writer import open_writer
from benchmarks.generated_histories import write_files

RUNS, EVENTS = 2_000, 200
ORACLE_RUNS = 200
"""The official reader is slow: a tenth of the files tells its rate."""
ROUNDS = 3
GOALS = {"json, 1": 8, "json, 2": 12, "protobuf, 1": 10}


@dataclass(frozen=True, slots=True)
class Figure:
    """What one measurement took."""

    events: int
    wall: float
    """Seconds."""
    cpu: float
    """Seconds, of all processes."""
    rss: int
    """MiB, of the largest process."""

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.wall

    @property
    def cpu_rate(self) -> float:
        """Events per second of processor time: hardly changes with what else the machine does."""
        return self.events / self.cpu


@dataclass(slots=True)
class Others:
    """What the processes that read took, by process: they are not our children but a server's."""

    cpu: dict[int, float] = field(default_factory=dict)
    rss: dict[int, int] = field(default_factory=dict)

    def look(self) -> None:
        """Take down what each has used so far."""
        for process in multiprocessing.active_children():
            assert process.pid is not None
            parent = self._note(process.pid)
            if parent != os.getpid():
                self._note(parent)

    def _note(self, pid: int) -> int:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        self.cpu[pid] = (int(stat[11]) + int(stat[12])) / ticks
        status = Path(f"/proc/{pid}/status").read_text()
        self.rss[pid] = int(status.partition("VmHWM:")[2].split()[0]) >> 10
        return int(stat[1])


def oracle(folder: Path) -> int:
    """Parse JSON as the SDK does; returns the number of events."""
    files = sorted(folder.iterdir())[:ORACLE_RUNS]
    return sum(len(WorkflowHistory.from_json("any", file.read_text()).events) for file in files)


def ours(folder: Path, workers: int, others: Others) -> int:
    """Import into a new warehouse; returns the number of events."""
    with (
        TemporaryDirectory(dir=folder.parent) as place,
        open_writer(Path(place, "w.duckdb")) as writer,
    ):
        report = writer.import_files(
            [folder], workers=workers, told=lambda _report, _parts: others.look()
        )
        writer.close()
        return report.events_new


def measured(job: Callable[[], int], others: Others) -> Figure:
    """Run a job in this process."""
    begun, cpu = time.perf_counter(), time.process_time()
    events = job()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return Figure(
        events, wall, cpu + sum(others.cpu.values()), max(largest, *others.rss.values(), 0)
    )


def elsewhere(*arguments: str | Path) -> Figure:
    """Run a measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ingest", *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return Figure(**json.loads(answer.stdout))


def median(figures: list[Figure]) -> Figure:
    """The one in the middle by its time."""
    return sorted(figures, key=lambda figure: figure.wall)[len(figures) // 2]


def table(runs: int) -> None:
    """Measure, and print the table."""
    with TemporaryDirectory() as place:
        as_json, as_protobuf = write_files(Path(place), runs, EVENTS)
        cases: dict[str, tuple[str | Path, ...]] = {
            "from_json, parsing only": ("oracle", as_json),
            "json, 1": ("ours", as_json, "1"),
            "json, 2": ("ours", as_json, "2"),
            "protobuf, 1": ("ours", as_protobuf, "1"),
            "protobuf, 2": ("ours", as_protobuf, "2"),
        }
        found: dict[str, list[Figure]] = {name: [] for name in cases}
        load = [os.getloadavg()[0]]
        for _ in range(ROUNDS):
            for name, arguments in cases.items():
                found[name].append(elsewhere(*arguments))
            load.append(os.getloadavg()[0])
        sizes = [sum(f.stat().st_size for f in d.iterdir()) >> 20 for d in (as_json, as_protobuf)]
    print(
        f"{runs:,} runs, {runs * EVENTS:,} events, {sizes[0]} MiB of JSON, {sizes[1]} MiB of "
        f"protobuf; median of {ROUNDS} rounds; load {statistics.median(load):.1f}"
    )
    base = median(found["from_json, parsing only"])
    print(
        f"{'files, processes':<24}{'s':>7}{'CPU s':>8}{'events/s':>11}{'times':>7}{'MiB':>6}  goal"
    )
    for name, figures in found.items():
        figure = median(figures)
        goal = f">= {GOALS[name]}" if name in GOALS else ""
        times = figure.rate / base.rate
        print(
            f"{name:<24}{figure.wall:>7.2f}{figure.cpu:>8.2f}{figure.rate:>11,.0f}{times:>7.1f}"
            f"{figure.cpu_rate / base.cpu_rate:>11.1f}{figure.rss:>6}  {goal}"
        )


def main() -> None:
    """Print the table, or take one measurement for it."""
    others = Others()
    match sys.argv[1:]:
        case ["oracle", folder]:
            figure = measured(lambda: oracle(Path(folder)), others)
        case ["ours", folder, workers]:
            figure = measured(lambda: ours(Path(folder), int(workers), others), others)
        case rest:
            table(int(rest[0]) if rest else RUNS)
            return
    print(json.dumps(asdict(figure)))


if __name__ == "__main__":
    main()
