"""Forks and checks of one run, made in the background, and what their outcome leads to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.files import write_whole
from replayer.check import VerdictStatus
from replayer.fork import ForkReport, ForkRequest
from replayer.history import RunHistory
from replayer.replaying import PackedHistory
from tui import memory
from tui.app.stop_screen import StopScreen
from tui.jobs import CheckJob, ForkJob, JobError, run_job
from tui.replay.book import Book

if TYPE_CHECKING:
    from tui.app.replay_view import ReplayView


async def check(screen: ReplayView, book: Book, workflow: str) -> None:
    """Find out whether the run replays; what does not is explained on a screen."""
    try:
        verdict = await run_job(CheckJob(await _packed(book), (workflow,)))
    except JobError as error:
        screen.remark(f"no check: {error}")
        return
    if verdict.explanation is not None and verdict.status is not VerdictStatus.OK:
        await screen.app.push_screen(StopScreen(verdict, verdict.explanation))
        return
    screen.remark(f"▶ replay matches: {verdict.commands} commands as recorded")


async def fork(
    screen: ReplayView, book: Book, request: ForkRequest
) -> tuple[RunHistory, ForkReport] | None:
    """Fork the run, and save the fork's history; `None` if that is not possible."""
    try:
        packed, report = await run_job(ForkJob(await _packed(book), request))
    except JobError as error:
        screen.remark(f"no fork: {error}")
        return None
    history = await asyncio.to_thread(packed.unpacked)
    await asyncio.to_thread(_save, history)
    return history, report


async def _packed(book: Book) -> PackedHistory:
    return await asyncio.to_thread(PackedHistory.of, book.walk.history)


def _save(history: RunHistory) -> Path:
    path = memory.fork_path(history.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, history.raw, is_private=True)
    return path


def fork_sentence(report: ForkReport) -> str:
    """How a fork came out, in one line."""
    words = f"FORKED at {report.point}: {report.changes} → {report.status}"
    if report.reason:
        words += f"; it ends there: {report.reason}"
    return words + "; D compares it with the recording"
