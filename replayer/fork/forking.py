"""Forks from beginning to end: a server, a child process, and the fork's history.

This process never runs the user's code. It starts a time-skipping server that is this fork's own,
lets a child do the work, and puts both away again, whatever happens.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from replayer.embedded import TimeSkippingServer
from replayer.fork._job import Done, Job, run_job
from replayer.fork.report import ForkReport
from replayer.fork.request import ForkRequest, check_early
from replayer.fork.script import script_of
from replayer.history import RunHistory, read_bytes
from replayer.replaying import Child, Limits, PackedHistory

__all__ = ["Fork", "Forker", "fork_run"]


@dataclass(frozen=True, slots=True)
class Fork:
    """A fork that was made."""

    history: RunHistory
    """Of the fork; its key has the recorded namespace and workflow id, and a run id of its own."""
    report: ForkReport


async def fork_run(history: RunHistory, request: ForkRequest) -> Fork:
    """Run workflow code from a recording, with something changed.

    Args:
        history: The recording.
        request: What to change, and what answers what was not recorded.

    Raises:
        ForkSpecError: The point or the change does not fit the recording.
        ForkError: The run, the code or a file does not allow a fork.
        ReplayingError: The code cannot be loaded, or its process took too long or crashed.
        TemporalStartError: There is no time-skipping server here.
    """
    async with Forker(seconds=request.seconds) as forker:
        return await forker.fork(history, request)


class Forker:
    """Makes forks one after the other; server and child live on between them where they can."""

    def __init__(self, *, seconds: float = 60.0) -> None:
        """Start nothing yet.

        Args:
            seconds: Time limit of each fork.
        """
        self._seconds = seconds
        self._stack = AsyncExitStack()
        self._place: tuple[TimeSkippingServer, Child] | None = None

    async def __aenter__(self) -> Forker:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._put_away()

    async def fork(self, history: RunHistory, request: ForkRequest) -> Fork:
        """Make one fork; raises what `fork_run` raises."""
        check_early(request, script_of(history))
        server, child = self._place or await self._begun()
        is_clean = False
        try:
            job = Job(PackedHistory.of(history), request, server.address)
            done = await asyncio.to_thread(child.do, run_job, job)
            is_clean = done.is_clean
        finally:
            # Ctrl-C ends up here: the thread only comes back when its child is gone.
            if not is_clean:
                await self._put_away()
        return Fork(_history_of(history, done), done.report)

    async def _begun(self) -> tuple[TimeSkippingServer, Child]:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="retrospan-fork-"))
        starting = TimeSkippingServer.start(log_dir=Path(folder))
        server = await self._stack.enter_async_context(starting)
        child = Child(Limits(seconds=self._seconds))
        self._stack.callback(child.close)
        self._place = server, child
        return self._place

    async def _put_away(self) -> None:
        self._place = None
        await self._stack.aclose()


def _history_of(recorded: RunHistory, done: Done) -> RunHistory:
    key = recorded.key
    [read] = read_bytes(
        done.document,
        uri=f"{recorded.origin.uri}#fork-{done.run_id[:8]}",
        namespace=key.namespace,
        workflow_id=key.workflow_id,
        run_id=done.run_id,
    )
    assert isinstance(read, RunHistory), read
    return read
