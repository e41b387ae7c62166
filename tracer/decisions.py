"""`decision`: workflow code names what it decides, and says why.

    if decision("needs_review", amount > limit, amount=amount, limit=limit):
        ...

It gives back the outcome and does nothing else to the workflow: no command, no random number, no
exception. Where no tracer looks (outside of workflows, without the plugin, in a query, a validator
or a polled condition) it only gives back the outcome; while replaying it is counted, not told.

The plugin passes this module through the sandbox, so that workflow code finds here what the worker
put. A replayer without the plugin imports it anew in the sandbox: it imports next to nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any, Final

__all__ = ["decision"]

type Taker = Callable[[str, Any, dict[str, Any], FrameType], None]
"""Takes name, outcome, reasons, and the frame of the code that decided."""

TAKERS: Final[dict[int, Taker]] = {}
"""By thread: who takes the decisions of the activation that it runs."""


def decision[T: (bool, str, int, float)](name: str, outcome: T, /, **why: Any) -> T:
    """Name a decision of a workflow and record its outcome and reasons.

    Args:
        name: What is decided; few different ones, because metrics count by it.
        outcome: What it came to: a truth value, a choice from a few, or a number.
        **why: What it was based on. Texts, numbers and truth values are kept as they are, of other
            values only the type; credentials are taken out, long texts are cut.

    Returns:
        The outcome.
    """
    if TAKERS and (taker := TAKERS.get(get_ident())) is not None:
        taker(name, outcome, why, sys._getframe(1))
    return outcome
