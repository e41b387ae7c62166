"""One fork from beginning to end: a server, a child process, and the fork's history.

This process never runs the user's code. It starts a time-skipping server that is this fork's own,
lets a child do the work, and puts both away again, whatever happens.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from replayer.embedded import TimeSkippingServer
from replayer.fork._job import Done, Job, run_job
from replayer.fork.report import ForkReport
from replayer.fork.request import ForkRequest, checked
from replayer.fork.script import script_of
from replayer.history import RunHistory, read_bytes
from replayer.replaying import Child, Limits, PackedHistory

__all__ = ["Fork", "fork_run"]


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
    checked(request, script_of(history))
    with tempfile.TemporaryDirectory(prefix="retrospan-fork-") as folder:
        async with TimeSkippingServer.start(log_dir=Path(folder)) as server:
            job = Job(PackedHistory.of(history), request, server.address)
            child = Child(Limits(seconds=request.seconds))
            try:
                done = await asyncio.to_thread(child.do, run_job, job)
            finally:
                # Ctrl-C ends up here: the thread only comes back when its child is gone.
                child.close()
    return Fork(_history_of(history, done), done.report)


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
