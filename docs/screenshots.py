"""Takes the screenshots that the docs show, from a demo's data.

retrospan demo && python -m docs.screenshots retrospan-demo/warehouse.duckdb
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from analytics.reports import facts_in, html_of, run_report, screenshot
from analytics.runs import find_runs, load_history
from docs.shots import IMAGES, SHOTS
from tracer.model import run_from_events
from tui.app import RetrospanApp
from tui.sources import WarehouseRuns

_RUN = "demo-cargo-customs-busy-SHP-202"


_TEXT = re.compile(r'(<text [^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)</text>')
_CELL = 12.2
"""Width of a character."""


async def take(warehouse: Path) -> None:
    """Write one SVG for each shot."""
    for shot in SHOTS:
        with tempfile.TemporaryDirectory() as folder:
            # What this reader remembers has no place in the docs.
            os.environ["RETROSPAN_STATE"] = folder
            app = RetrospanApp(WarehouseRuns(warehouse))
            async with app.run_test(size=shot.size) as pilot:
                for step in shot.steps:
                    await _do(pilot, step)
                _save(app, shot.path, f"retrospan tui {shot.run}".strip())


async def _do(pilot: Pilot[None], step: str) -> None:
    if step.startswith("@"):  # Whatever was begun is done when `_settled` is.
        return
    await pilot.press(*(step[1:] if step.startswith("=") else [step]))
    await _settled(pilot)


def take_report(warehouse: Path) -> None:
    """Write `report.png`, with the Chromium that is installed."""
    [summary] = find_runs(warehouse, _RUN)
    history = load_history(warehouse, summary.key)
    run = run_from_events(history.key, history.events)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(html_of(run_report(facts_in(warehouse, run, "")), ""), encoding="utf-8")
        screenshot(page, IMAGES / "report.png")


async def _settled(pilot: Pilot[None]) -> None:
    for _ in range(2):
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def _without_place(text: re.Match[str]) -> str:
    """A piece of text as on any machine: paths begin where the pictures were taken."""
    told = text[4]
    for place in (Path.cwd(), IMAGES.parent.parent):
        told = told.replace(f"{place}/", "")
    width = float(text[2]) - _CELL * (len(text[4]) - len(told))
    return f"{text[1]}{width:g}{text[3]}{told}</text>"


def _save(app: RetrospanApp, path: Path, title: str) -> None:
    path.parent.mkdir(exist_ok=True)
    svg = app.export_screenshot(title=title)
    # Textual links fonts of a content network; a page of ours loads nothing from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = _TEXT.sub(_without_place, svg)
    path.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
    take_report(Path(sys.argv[1]))
