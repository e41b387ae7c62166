"""What a screen shows, as text."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual.worker import WorkerCancelled

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

SIZES = [(80, 24), (140, 45)]


def screen_text(app: App[Any]) -> str:
    """Every line of the screen on top, without colours and trailing spaces."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def lines_of(app: App[Any]) -> list[str]:
    return screen_text(app).split("\n")


async def settled(pilot: Pilot[Any]) -> None:
    """Everything that was begun is done and drawn: workers, their messages, the layout."""
    for _ in range(2):
        # A worker whose work is no longer wanted is cancelled; that is no failure.
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()
