"""Why a fork cannot be made.

    ForkError                the run, the code or a file does not allow it
    └── ForkSpecError        what was asked for makes no sense for this run

Every message is one line: what, where, what was expected, what to do next.
"""

from __future__ import annotations

__all__ = ["ForkError", "ForkSpecError"]


class ForkError(Exception):
    """The run cannot be forked."""


class ForkSpecError(ForkError):
    """The point or the change that was asked for does not fit the run."""
