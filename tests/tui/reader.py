"""Somebody at the app, in sentences: what they do, and what they then see."""

from __future__ import annotations

import re
from typing import Any

from textual.pilot import Pilot

from tests.tui.screens import lines_of, screen_text, settled
from tui.replay.values import ValueView


class Reader:
    """Presses keys and looks at the screen."""

    def __init__(self, pilot: Pilot[Any]) -> None:
        self._pilot = pilot
        self._app = pilot.app

    async def waits(self) -> None:
        await settled(self._pilot)

    async def presses(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await settled(self._pilot)

    async def types(self, text: str) -> None:
        await self.presses(*text, "enter")

    async def filters_for(self, text: str) -> None:
        await self.presses("slash")
        await self.types(text)

    async def opens_the_run(self) -> None:
        await self.presses("enter")

    async def records_a_tape_with(self, workflow: str) -> None:
        await self.presses("T")
        await self.types(workflow)

    async def goes_to_the_next_failure(self) -> None:
        await self.presses("p")

    async def goes_back_to_the_decision_before(self) -> None:
        await self.presses("less_than_sign")

    async def asks_who_set(self, name: str) -> None:
        values = self._app.screen.query_one("#values")
        view = values.source  # type: ignore[attr-defined]
        assert isinstance(view, ValueView)
        at = [row.path for row in view.rows].index(name)
        await self.presses("3", "g", *"j" * at, "W", "1")

    async def opens_the_payload(self) -> None:
        await self.presses("enter")

    async def leaves(self) -> None:
        await self.presses("escape")

    async def compares_with_the_first_offered(self) -> None:
        await self.presses("D")
        await self.presses("enter")

    async def forks_with(self, change: str) -> None:
        await self.presses("F")
        await self.presses("ctrl+u", *change, "enter")

    def sees(self, *texts: str) -> None:
        for text in texts:
            assert text in screen_text(self._app), f"{text!r} in:\n{screen_text(self._app)}"

    def sees_no(self, text: str) -> None:
        assert text not in screen_text(self._app), screen_text(self._app)

    def sees_in_the_heading(self, text: str) -> None:
        assert text in lines_of(self._app)[0], lines_of(self._app)[0]

    def is_at_the_line(self, code: str) -> None:
        found = re.search(r"[▶▷] ?\d+ (.*)", screen_text(self._app))
        assert found is not None, screen_text(self._app)
        assert found[1].strip().startswith(code), found[1]
