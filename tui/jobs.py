"""Work that runs other people's code, done in a process of its own: tapes, forks, checks.

The app must stay quick and survive whatever a workflow does, and must be able to end the work at
once. `run_job` starts `python -m tui.jobs`, hands it one job and waits for the outcome; cancelling
it interrupts the process, which cleans up after itself.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from replayer.replaying import Limits, PackedHistory
from tui.processes import see_end_of

if TYPE_CHECKING:
    from replayer.check import Verdict
    from replayer.fork import ForkReport, ForkRequest
    from replayer.tape import Stop

_PATIENCE_SECONDS = 5.0


class JobError(Exception):
    """The job could not be done; says why on one line."""


class Job[T](Protocol):
    """Something to do in another process; it and its outcome are pickled."""

    def run(self) -> T:
        """Do it."""
        ...


@dataclass(frozen=True, slots=True)
class RecordJob:
    """Record a run on a tape."""

    history: PackedHistory
    workflows: tuple[str, ...]
    path: Path
    profile: str | None = None
    seconds: float = 300.0

    def run(self) -> Stop:
        """Do it."""
        from replayer.tape import record

        return record(
            self.history.unpacked(),
            self.workflows,
            self.path,
            profile=self.profile,
            limits=Limits(seconds=self.seconds),
        )


@dataclass(frozen=True, slots=True)
class CheckJob:
    """Find out whether a run replays, and why not."""

    history: PackedHistory
    workflows: tuple[str, ...]
    profile: str | None = None

    def run(self) -> Verdict:
        """Do it."""
        from replayer.check import CheckOptions, check_history

        return check_history(self.history.unpacked(), CheckOptions(self.workflows, self.profile))


@dataclass(frozen=True, slots=True)
class ForkJob:
    """Fork a run."""

    history: PackedHistory
    request: ForkRequest

    def run(self) -> tuple[PackedHistory, ForkReport]:
        """Do it."""
        from replayer.fork import fork_run

        fork = asyncio.run(fork_run(self.history.unpacked(), self.request))
        return PackedHistory.of(fork.history), fork.report


async def run_job[T](job: Job[T]) -> T:
    """Do a job in a process of its own.

    Raises:
        JobError: It failed; the message says why.
    """
    order = await asyncio.to_thread(pickle.dumps, job)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tui.jobs",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C in the terminal is the app's: it decides what becomes of its jobs.
        start_new_session=True,
    )
    try:
        answer, talk = await process.communicate(order)
    except asyncio.CancelledError:
        await _ended(process)
        raise
    if not answer:
        last = talk.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise JobError(f"the process of the job ended: {last[0]}")
    is_done, outcome = await asyncio.to_thread(pickle.loads, answer)
    if not is_done:
        raise JobError(outcome)
    result: T = outcome
    return result


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let it clean up; once this is cancelled too, as by an app that closes, it is killed."""
    try:
        with suppress(ProcessLookupError, TimeoutError):
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)
    finally:
        await see_end_of(process)


def main() -> int:
    """Do the job that stdin holds; its outcome goes to stdout, as a pickle."""
    # Workflow code may print: what it prints must not get among the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    job: Job[Any] = pickle.load(sys.stdin.buffer)
    try:
        outcome: tuple[bool, Any] = True, job.run()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the app tells it
        outcome = False, str(error).strip() or type(error).__name__
    with os.fdopen(answer, "wb") as file:
        pickle.dump(outcome, file)
    return 0


if __name__ == "__main__":
    # Jobs were pickled as `tui.jobs`, not as `__main__`; both must be one module.
    from tui.jobs import main as main_of_module

    raise SystemExit(main_of_module())
