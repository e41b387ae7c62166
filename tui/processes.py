"""The end of a process that the app asked something: it is gone before the event loop is.

A process whose task was cancelled is still there, and so are its pipes, until the loop has seen
them close. When the app closes, the loop ends too, and cancels whatever still waits, for the second
or the third time. What is left of a process then complains when Python finds it.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress
from typing import Final

__all__ = ["see_end_of"]

_PATIENCE_SECONDS: Final = 5.0
"""For the pipes of a process that was killed, which others may hold."""


async def see_end_of(process: Process) -> None:
    """Kill a process if it still runs, and see its pipes closed, however often that is cancelled.

    Raises:
        asyncio.CancelledError: It was cancelled meanwhile; the process is gone all the same.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.communicate(), _PATIENCE_SECONDS)
            break
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
