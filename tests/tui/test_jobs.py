"""Jobs in processes of their own end with the app, however little they want to."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tui.jobs import run_job


@dataclass(frozen=True, slots=True)
class Stubborn:
    """Tells its process and that it was interrupted, and goes on for ever."""

    pipe: Path

    def run(self) -> None:
        """Never ends."""
        signal.signal(signal.SIGINT, lambda *_: self._interrupted())
        self.pipe.write_text(str(os.getpid()))
        while True:
            time.sleep(60)

    def _interrupted(self) -> None:
        self.pipe.write_text("interrupted")


@pytest.mark.slow
async def test_a_job_is_killed_when_the_app_will_not_wait_for_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    job = asyncio.create_task(run_job(Stubborn(pipe)))
    process = int(await asyncio.to_thread(pipe.read_text))

    job.cancel()
    assert await asyncio.to_thread(pipe.read_text) == "interrupted"
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job

    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    # What is left of it would complain once the event loop is closed, which fails the test.
    del job
    gc.collect()
