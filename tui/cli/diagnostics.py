"""The one owner of stderr, and of the way from an exception to a message and an exit code.

stdout is data, stderr is talk: commands print rows to the first and call `say` and `warn` for
everything else, so that a pipe never receives a remark. An error that was foreseen is one line
without a traceback; `RETROSPAN_DEBUG=1` shows the traceback as well. An error that was not foreseen
is a defect, and says so with its traceback.

Exceptions of other rooms are known by name and looked up among the modules that are already loaded:
importing them here would load DuckDB and temporalio for `--help`.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from typing import NamedTuple

from tui.cli.exits import Exit
from tui.text import safe_text

PROGRAM = "retrospan"


class CommandError(Exception):
    """A command cannot do what it was asked, and knows why.

    Attributes:
        code: The exit code it ends with.
    """

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


class Known(NamedTuple):
    """An exception of another room or library that a command may end with."""

    module: str
    name: str
    code: Exit


KNOWN = (
    Known("tui.resolve", "AmbiguousRunError", Exit.USAGE),
    Known("tui.resolve", "ResolveError", Exit.UNREACHABLE),
    Known("tui.servers", "ServerError", Exit.UNREACHABLE),
    Known("replayer.history", "HistoryUnavailable", Exit.UNREACHABLE),
    Known("replayer.history", "HistoryError", Exit.REFUSED),
    Known("replayer.fork", "ForkSpecError", Exit.USAGE),
    Known("replayer.fork", "ForkError", Exit.REFUSED),
    Known("replayer.replaying", "LoadError", Exit.USAGE),
    Known("replayer.replaying", "ReplayingError", Exit.UNREACHABLE),
    Known("replayer.tape", "TapeError", Exit.REFUSED),
    Known("replayer.embedded", "TemporalStartError", Exit.UNREACHABLE),
    Known("analytics.errors", "QueryError", Exit.REFUSED),
    Known("analytics.errors", "PriceFileRefused", Exit.REFUSED),
    Known("analytics.errors", "AnalyticsError", Exit.UNREACHABLE),
    Known("duckdb", "IOException", Exit.UNREACHABLE),
    Known("temporalio.service", "RPCError", Exit.UNREACHABLE),
)
"""The first that fits counts: exceptions stand before their bases."""


def say(message: str) -> None:
    """Tell the user something on stderr."""
    _write(message)


def warn(message: str) -> None:
    """Tell the user of something that went wrong and does not stop the command."""
    _write(f"{PROGRAM}: warning: {message}")


def fail(message: str) -> None:
    """Tell the user why the command stops."""
    _write(f"{PROGRAM}: error: {message}")


def report(error: BaseException) -> Exit:
    """Write what `error` means to stderr and return the exit code it leads to."""
    code = code_of(error)
    if code is None or os.environ.get("RETROSPAN_DEBUG"):
        _write("".join(traceback.format_exception(error)).rstrip(), multiline=True)
    if code is None:
        fail(f"this is a defect in Retrospan, please report it: {type(error).__name__}: {error}")
        return Exit.FOUND
    fail(_told(error))
    return code


def _told(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def code_of(error: BaseException) -> Exit | None:
    """The exit code of a foreseen exception, `None` for one that nobody foresaw."""
    if isinstance(error, CommandError):
        return error.code
    for known in KNOWN:
        kind = getattr(sys.modules.get(known.module), known.name, None)
        if kind is not None and isinstance(error, kind):
            return known.code
    if isinstance(error, OSError):
        return Exit.UNREACHABLE
    return None


def _write(message: str, *, multiline: bool = False) -> None:
    # A message quotes file names, ids and server texts: it is data as much as any row. A stderr
    # that nobody reads, or that has no space left, is no reason to fail.
    with suppress(OSError):
        print(safe_text(message, multiline=multiline), file=sys.stderr, flush=True)
