"""Each screen as text, line by line; `RETROSPAN_SNAPSHOTS=write` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from replayer.history import RunHistory
from tests.tui.histories import review_history
from tests.tui.screens import SIZES, screen_text, settled
from tests.tui.test_app_screens import read
from tui.app import RetrospanApp
from tui.sources import LoadedRuns

_FOLDER = Path(__file__).parent / "snapshots"
SCREENS: dict[str, tuple[str, ...]] = {
    "runs": (),
    "replay": ("enter", "p"),
    "events": ("enter", "t", "G"),
    "payload": ("enter", "right_parenthesis", "enter"),
    "find": ("enter", "ctrl+f", *"customer", "enter"),
    "cost": ("enter", "M"),
    "waits": ("enter", "Z"),
    "fork": ("enter", "right_parenthesis", "F"),
    "diff": ("space", "j", "D"),
    "breakpoints": ("enter", "right_parenthesis", "b", "B"),
}


@pytest.mark.parametrize("size", SIZES, ids=["narrow", "wide"])
@pytest.mark.parametrize("name", SCREENS)
async def test_a_screen_looks_as_it_did(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    other = "0198c5c6-3b1e-7c2a-9d4e-000000000002"
    runs: list[RunHistory] = [
        read(review_history(), tmp_path / "1.pb"),
        read(review_history("review-2", other), tmp_path / "2.pb"),
    ]
    app = RetrospanApp(LoadedRuns("a source", runs))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for key in SCREENS[name]:
            await pilot.press(key)
            await settled(pilot)
        shown = screen_text(app).rstrip() + "\n"
    path = _FOLDER / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("RETROSPAN_SNAPSHOTS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()
