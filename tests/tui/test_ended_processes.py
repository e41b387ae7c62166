"""Whatever the app starts is gone, pipes and all, when the event loop is."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from tui.app import asking, copying


async def _asked(fifo: Path) -> None:
    await asking.answer(["show", str(fifo)])


async def _copied(fifo: Path) -> None:
    reading = f"open({str(fifo)!r}).read()"
    await copying._piped([sys.executable, "-c", reading], b"x" * 1_000_000)


@pytest.mark.parametrize("work", [_asked, _copied])
@pytest.mark.parametrize("times", [1, 3])
def test_nothing_is_left_of_a_process_whose_task_was_cancelled(
    work: Callable[[Path], Coroutine[None, None, None]], times: int, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo.json"
    os.mkfifo(fifo)

    async def cancelled() -> None:
        task = asyncio.create_task(work(fifo))
        # Opened only once the process is there and waits for what it reads.
        held = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        os.close(held)

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(cancelled())
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
