"""How long the command takes to answer: wall time of whole processes, interleaved, medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_ROUNDS = 15
_COMMANDS = {
    "python, doing nothing": ("-c", "pass"),
    "retrospan --help": ("-m", "tui", "--help"),
    "retrospan version": ("-m", "tui", "version"),
}


def milliseconds(arguments: tuple[str, ...]) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Print the table."""
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(_ROUNDS):
        for name, arguments in _COMMANDS.items():
            times[name].append(milliseconds(arguments))
    print(f"{'command':24} {'median ms':>10} {'fastest':>8} {'slowest':>8}")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:24} {median:10.0f} {min(taken):8.0f} {max(taken):8.0f}")


if __name__ == "__main__":
    main()
