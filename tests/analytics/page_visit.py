"""A page in a headless Chromium: what it drew, what it asked for, and what went wrong."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from choreographer import Browser

from tests.tui.browser import chromium

_PATIENCE = 60
_DRAWN = """
new Promise((done) => {
  const look = () => {
    const drawn = document.documentElement.dataset.drawn;
    drawn ? done(drawn) : setTimeout(look, 20);
  };
  look();
})
"""


@dataclass
class Tab:
    """One tab, watched from before anything is loaded."""

    session: Any
    requests: list[str] = field(default_factory=list)
    """Addresses that anything on the page asked for, the page itself among them."""
    problems: list[str] = field(default_factory=list)
    """Everything in the console: errors, refused loads, messages, dialogs."""

    async def ask(self, method: str, **params: Any) -> Any:
        answer = await self.session.send_command(method, params=params)
        assert "error" not in answer, answer
        return answer["result"]

    async def value(self, expression: str) -> Any:
        answer = await self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def open(self, page: Path, *, width: int = 1280, dark: bool = False) -> str:
        """Open a page and wait until it has drawn its charts; `yes` if it could."""
        is_phone = width < 600
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=is_phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        loaded = self.session.subscribe_once("Page.loadEventFired")
        await self.ask("Page.navigate", url=page.as_uri())
        await asyncio.wait_for(loaded, _PATIENCE)
        return str(await asyncio.wait_for(self.value(_DRAWN), _PATIENCE))

    async def print(self) -> bytes:
        """The page as PDF."""
        answer = await self.ask("Page.printToPDF", printBackground=True)
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def tab() -> AsyncIterator[Tab]:
    """A tab of a browser of its own; the test is skipped where there is none."""
    async with Browser(path=chromium()) as browser:
        opened = await browser.create_tab("about:blank")
        watched = Tab(await opened.create_session())

        async def requested(message: Mapping[str, Any]) -> None:
            watched.requests.append(message["params"]["request"]["url"])

        async def complained(message: Mapping[str, Any]) -> None:
            watched.problems.append(str(message["params"]))

        session = watched.session
        session.subscribe("Network.requestWillBeSent", requested)
        for event in (
            "Log.entryAdded",
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Page.javascriptDialogOpening",
            "Page.windowOpen",
        ):
            session.subscribe(event, complained)
        for domain in ("Network", "Log", "Runtime", "Page"):
            await watched.ask(f"{domain}.enable")
        yield watched
