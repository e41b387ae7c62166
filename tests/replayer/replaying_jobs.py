"""Jobs for child processes, and what they may do wrong."""

import ctypes
import os
import sys
import time
from pathlib import Path


def double(number: int) -> int:
    print("talk on stdout")
    return 2 * number


def process_id(_: object) -> int:
    return os.getpid()


def environment(_: object) -> tuple[list[str], str]:
    return sys.path, str(Path.cwd())


class Unpicklable(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fail(text: str) -> None:
    raise Unpicklable("no", text)


def fail_known(text: str) -> None:
    raise LookupError(text)


def sleep_or_answer(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def block_the_interpreter(_: object) -> None:
    # PyDLL keeps the interpreter's lock: no Python thread of the child runs while this sleeps.
    ctypes.PyDLL(None).sleep(600)


def crash(_: object) -> None:
    os._exit(7)


def exit_politely(_: object) -> None:
    raise SystemExit(3)


def take_memory(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def start_a_sleeper(folder: str) -> None:
    import subprocess

    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(folder, "pids").write_text(f"{os.getpid()} {sleeper.pid}")
    time.sleep(600)
