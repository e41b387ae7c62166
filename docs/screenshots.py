"""Takes the screenshots that the docs show, from a demo's data.

retrospan demo && python docs/screenshots.py retrospan-demo/warehouse.duckdb
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from analytics.reports import facts_in, html_of, run_report, screenshot
from analytics.runs import find_runs, load_history
from tracer.model import run_from_events
from tui import memory
from tui.app import RetrospanApp
from tui.sources import WarehouseRuns

_IMAGES = Path(__file__).parent / "images"
_WIDE, _NARROW = (120, 34), (80, 24)
_KEYS = {" ": "space", ".": "full_stop", ":": "colon", "_": "underscore", "=": "equals_sign"}
_KYC = "examples.kyc_review.workflow:KycReview"
_FAULTY = "examples.kyc_review.workflow_faulty:KycReview"
_TRIAGE = "examples.support_triage.workflow:SupportTriage"
_RUN = "demo-cargo-customs-busy-SHP-202"
_REFUND = "demo-triage-refund-paid"
_HUMAN = "demo-kyc-human-approved"


@dataclass(frozen=True, slots=True)
class Shot:
    """One screenshot: what is pressed before it is taken. `=text` is typed."""

    name: str
    run: str = ""
    keys: Sequence[str] = ()
    size: tuple[int, int] = _WIDE
    tape: str = ""
    """The code to record a tape with first."""


SHOTS = (
    Shot("runs"),
    Shot("run", _RUN, ("p",)),
    Shot("replay", _REFUND, ("colon", "=turn 2", "enter", "n", "n", "n", "n"), tape=_TRIAGE),
    Shot("replay-narrow", _REFUND, ("colon", "=turn 2", "enter", "n"), _NARROW, _TRIAGE),
    Shot("payload", _REFUND, ("colon", "=turn 2", "enter", "enter", "v", "vertical_line")),
    Shot("chat", _REFUND, ("colon", "=turn 3", "enter", "enter", "V")),
    Shot("diff", _HUMAN, ("colon", "=diff demo-kyc-faulty-human-approved", "enter", "n")),
    Shot("stop", _HUMAN, ("K", f"={_FAULTY}", "enter")),
    Shot("fork", _HUMAN, ("colon", "=turn 3", "enter", "F", f"={_KYC}")),
    Shot("find", _HUMAN, ("ctrl+f", "=approved", "enter")),
    Shot("cost", _REFUND, ("M",)),
)


_TEXT = re.compile(r'(<text [^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)</text>')
_CELL = 12.2
"""Width of a character."""


async def take(warehouse: Path) -> None:
    """Write one SVG for each shot."""
    for shot in SHOTS:
        found = find_runs(warehouse, shot.run)[0].key if shot.run else None
        app = RetrospanApp(WarehouseRuns(warehouse), found)
        async with app.run_test(size=shot.size) as pilot:
            await _settled(pilot)
            if found is not None and shot.tape and not memory.tape_path(found).exists():
                await _press(pilot, ("T", f"={shot.tape}", "enter"))
            await _press(pilot, shot.keys)
            title = f"retrospan tui {shot.run}".strip()
            _save(app, f"{shot.name}.svg", title)


async def _press(pilot: Pilot[None], keys: Sequence[str]) -> None:
    for key in keys:
        typed = [_KEYS.get(each, each) for each in key[1:]] if key.startswith("=") else [key]
        await pilot.press(*typed)
        await _settled(pilot)


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
    for _ in range(2):
        with suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def _without_place(text: re.Match[str]) -> str:
    """A piece of text as on any machine: paths begin where the pictures were taken."""
    told = text[4]
    for place in (Path.cwd(), _IMAGES.parent.parent):
        told = told.replace(f"{place}/", "")
    width = float(text[2]) - _CELL * (len(text[4]) - len(told))
    return f"{text[1]}{width:g}{text[3]}{told}</text>"


def _save(app: RetrospanApp, name: str, title: str) -> None:
    _IMAGES.mkdir(exist_ok=True)
    svg = app.export_screenshot(title=title)
    # Textual links fonts of a content network; a page of ours loads nothing from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = _TEXT.sub(_without_place, svg)
    (_IMAGES / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # What this reader remembers has no place in the docs.
        os.environ["RETROSPAN_STATE"] = folder
        asyncio.run(take(Path(sys.argv[1])))
    take_report(Path(sys.argv[1]))
