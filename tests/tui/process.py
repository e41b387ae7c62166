"""The command as a user runs it: another process, with its own stdout, stderr and exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment, with the checkout importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **extra}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tui", *map(str, arguments)]


def retrospan(
    *arguments: str | Path, cwd: Path, stdin: str = "", **extra: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**extra),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def python(code: str, *, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
