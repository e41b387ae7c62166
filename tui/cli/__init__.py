"""The `retrospan` command.

`main` loads a command's module, and with it DuckDB, temporalio or Textual, only when that command
runs: `retrospan --help` stays instant. `script` is the console script, and ends the process.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

__all__ = ["main", "script"]


def script() -> NoReturn:
    """Run the command line of this process, and end it with the exit code.

    Threads of Temporal's SDK may still be letting go of a connection. Where they meet an
    interpreter that is being taken down, the process aborts, and its exit code is lost: so, once
    they may exist, it is not taken down.
    """
    _set_up_streams()
    code = main()
    if "temporalio.service" not in sys.modules:
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _set_up_streams() -> None:
    """Make sure that writing cannot fail for what is written, nor for a stream that is closed."""
    # Who closes stdout does not want to read it; without any, talk would end up in data.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        # In a Latin-1 locale a table has signs that cannot be written there.
        sys.stdout.reconfigure(errors="backslashreplace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: What follows the program's name; `sys.argv` when omitted.
    """
    try:
        import click  # noqa: F401
    except ModuleNotFoundError:
        # A worker installs the tracer alone, and the script comes with it.
        print(
            "retrospan: error: the command line is not installed here; "
            "install it with: pip install 'retrospan[tui]'",
            file=sys.stderr,
        )
        return 2
    from tui.cli.program import run

    return run(arguments)
