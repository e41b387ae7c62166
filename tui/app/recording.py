"""A tape that is made in the background while the reader goes on.

The heading tells how it goes: seconds, and what the child process has written so far. When it is
done, the same screen at the same place has a tape.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from textual.timer import Timer
from textual.worker import Worker

from replayer.replaying import PackedHistory
from replayer.tape import Stop, StopKind
from tui import figures, memory
from tui.app import experiments
from tui.jobs import JobError, RecordJob, run_job
from tui.replay.book import Book

if TYPE_CHECKING:
    from tui.app.replay_view import ReplayView

_TOLD_EVERY = 0.25
_WHOLE = frozenset({StopKind.CLOSED, StopKind.WAITING})


class Recording:
    """One recording, for one screen."""

    def __init__(self, screen: ReplayView, book: Book, workflow: str) -> None:
        self._screen = screen
        self._book = book
        self._workflow = workflow
        self._begun_at = time.monotonic()
        self._path = memory.tape_path(book.walk.run.key)
        self._timer: Timer | None = None
        self._worker: Worker[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is still made."""
        return self._worker is not None and self._worker.is_running

    def begin(self) -> None:
        """Start the child process."""
        self._timer = self._screen.set_interval(_TOLD_EVERY, self._tell)
        self._screen.remark("")
        self._tell()
        self._worker = self._screen.run_worker(
            self._record(), group="record", exclusive=True, exit_on_error=False, description="tape"
        )

    def cancel(self) -> None:
        """End it; what was recorded so far is thrown away."""
        if self._worker is not None:
            self._worker.cancel()

    async def _record(self) -> None:
        said = "the recording was cancelled"
        try:
            said = await self._recorded()
        except JobError as error:
            said = f"no tape: {error}"
        finally:
            if self._timer is not None:
                self._timer.stop()
            self._screen.recording = ""
            self._screen.remark(said)

    async def _recorded(self) -> str:
        history = self._book.walk.history
        packed = await asyncio.to_thread(PackedHistory.of, history)
        await asyncio.to_thread(self._path.parent.mkdir, parents=True, exist_ok=True)
        stop: Stop = await run_job(RecordJob(packed, (self._workflow,), self._path))
        taped = await asyncio.to_thread(self._with_tape)
        if taped is None:
            return f"the tape cannot be read: {self._path}"
        self._screen.begin(taped)
        if stop.kind is StopKind.NONDETERMINISM:
            await experiments.check(self._screen, taped, self._workflow)
        return "" if stop.kind in _WHOLE else f"the tape ends early, {stop.kind}: {stop.text}"

    def _with_tape(self) -> Book | None:
        from tui.app.replay_view import with_known_tape

        return with_known_tape(self._book)

    def _tell(self) -> None:
        part = Path(f"{self._path}.part")
        try:
            size = part.stat().st_size
        except OSError:
            size = 0
        seconds = figures.duration(int((time.monotonic() - self._begun_at) * 1e9))
        self._screen.recording = f"recording {seconds} {figures.size(size)} (T cancels)"
        self._screen.tell_heading()
