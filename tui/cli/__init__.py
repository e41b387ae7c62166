"""The `retrospan` command.

`main` is the console script. It loads a command's module, and with it DuckDB, temporalio or
Textual, only when that command runs: `retrospan --help` stays instant.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


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
