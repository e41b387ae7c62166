"""A picture of a page, taken by the Chromium that is installed: nothing is ever downloaded.

What is on the picture is the page's card: its heading, its figures and its first charts, without
the tables. It is drawn without a network, in a profile of its own that is removed again.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any, Final

from analytics.errors import AnalyticsError
from analytics.files import write_whole

__all__ = ["BrowserError", "NoBrowser", "screenshot"]

_WIDTH: Final = 1120
_SCALE: Final = 2
"""Device pixels for a CSS pixel, so that small print survives a chat's own scaling."""
_TALLEST: Final = 4_000
"""CSS pixels; a browser refuses pictures that are much larger."""
_PATIENCE: Final = 60.0
_DRAWN: Final = """
new Promise((done) => {
  const root = document.documentElement;
  const look = () => root.dataset.drawn ? done(root.dataset.drawn) : setTimeout(look, 20);
  look();
})
"""


class BrowserError(AnalyticsError):
    """The browser did not draw the page."""


class NoBrowser(BrowserError):
    """There is no browser on this machine."""


def screenshot(page: Path, png: Path, *, dark: bool = False) -> None:
    """Write a picture of a page's card, whole or not at all.

    Args:
        page: The page, a file that `html_of` made.
        png: Where the picture goes.
        dark: Draw it for a dark background.

    Raises:
        NoBrowser: No Chromium, Chrome or Edge is installed.
        BrowserError: It did not draw the page in time.
        OSError: The picture cannot be written.
    """
    try:
        picture = asyncio.run(asyncio.wait_for(_picture(page.absolute().as_uri(), dark), _PATIENCE))
    except TimeoutError as error:
        raise BrowserError(f"the browser did not draw {page} within {_PATIENCE:g} s") from error
    write_whole(png, picture)


async def _picture(uri: str, dark: bool) -> bytes:
    from choreographer import Browser
    from choreographer.browsers import BrowserFailedError, ChromeNotFoundError

    try:
        async with Browser() as browser:
            tab = await browser.create_tab("about:blank")
            return await _taken(await tab.create_session(), uri, dark)
    except ChromeNotFoundError as error:
        raise NoBrowser(
            "no browser was found for the picture; install Chromium, or leave out --png"
        ) from error
    except BrowserFailedError as error:
        raise BrowserError("the browser ended before it had drawn anything") from error


async def _taken(session: Any, uri: str, dark: bool) -> bytes:
    async def ask(method: str, **params: Any) -> Any:
        answer = await session.send_command(method, params=params)
        if "error" in answer:
            raise BrowserError(f"the browser refused {method}: {answer['error'].get('message')}")
        return answer["result"]

    async def value(expression: str) -> Any:
        answer = await ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return answer["result"].get("value")

    size = {"width": _WIDTH, "height": 800, "deviceScaleFactor": _SCALE, "mobile": False}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    await ask("Emulation.setDeviceMetricsOverride", **size)
    await ask("Emulation.setEmulatedMedia", features=[scheme])
    await ask("Page.enable")
    loaded = session.subscribe_once("Page.loadEventFired")
    await ask("Page.navigate", url=f"{uri}#card")
    await loaded
    if await value(_DRAWN) != "yes":
        raise BrowserError("the page could not draw its charts")
    height = min(int(await value("document.body.getBoundingClientRect().height")) + 1, _TALLEST)
    clip = {"x": 0, "y": 0, "width": _WIDTH, "height": height, "scale": 1}
    answer = await ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    return base64.b64decode(answer["data"])
