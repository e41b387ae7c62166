"""The exit codes of every command, in one place: scripts rely on them."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    """Done."""
    FOUND = 1
    """It worked, and found what it looks for: a difference, a problem."""
    USAGE = 2
    """The command line makes no sense, or a part of Retrospan is not installed."""
    UNREACHABLE = 3
    """A server, file or warehouse cannot be reached or read."""
    REFUSED = 4
    """The input was read and refused: not a history, not a permitted query."""
    INTERRUPTED = 130
    """Ctrl-C."""
