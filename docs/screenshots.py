"""Takes the screenshots that the docs show, from a demo's data.

retrospan demo && python docs/screenshots.py retrospan-demo/warehouse.duckdb
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from analytics.reports import facts_in, html_of, run_report, screenshot
from analytics.runs import find_runs, load_history
from tracer.model import run_from_events
from tui.app import RetrospanApp
from tui.sources import WarehouseRuns

_IMAGES = Path(__file__).parent / "images"
_SIZE = (120, 32)
_RUN = "demo-cargo-customs-busy-SHP-202"
_STEPS_TO_CUSTOMS = 4


async def take(warehouse: Path) -> None:
    """Write `runs.svg` and `run.svg`."""
    source = WarehouseRuns(warehouse)
    [run] = find_runs(warehouse, _RUN)
    app = RetrospanApp(source)
    async with app.run_test(size=_SIZE) as pilot:
        await _settled(pilot)
        _save(app, "runs.svg", "retrospan tui")
    app = RetrospanApp(source, run.key)
    async with app.run_test(size=_SIZE) as pilot:
        await _settled(pilot)
        await pilot.press(*"n" * _STEPS_TO_CUSTOMS)
        await _settled(pilot)
        _save(app, "run.svg", f"retrospan tui {_RUN}")


def take_report(warehouse: Path) -> None:
    """Write `report.png`, with the Chromium that is installed."""
    [summary] = find_runs(warehouse, _RUN)
    history = load_history(warehouse, summary.key)
    run = run_from_events(history.key, history.events)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(html_of(run_report(facts_in(warehouse, run, "")), ""), encoding="utf-8")
        screenshot(page, _IMAGES / "report.png")


async def _settled(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


def _save(app: RetrospanApp, name: str, title: str) -> None:
    _IMAGES.mkdir(exist_ok=True)
    svg = app.export_screenshot(title=title)
    # Textual links fonts of a content network; a page of ours loads nothing from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (_IMAGES / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
    take_report(Path(sys.argv[1]))
