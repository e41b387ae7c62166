"""A headless Chromium, driven by its command line alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_CONSOLE = re.compile(r":CONSOLE[^\]]*\]\s*(.*)")
_PATIENCE = 90


@dataclass(frozen=True)
class Opened:
    """A page that was opened, after its scripts ran."""

    dom: str
    """The document as HTML."""
    console: list[str]
    """What it wrote to the console: errors, refused loads, messages."""

    def elements(self) -> list[tuple[str, dict[str, str | None]]]:
        """Every element's name and attributes, in order."""
        found: list[tuple[str, dict[str, str | None]]] = []

        class Parser(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                found.append((tag, dict(attrs)))

        Parser().feed(self.dom)
        return found


def chromium() -> str:
    """The browser; the test is skipped without one, but not where everything must run."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and not os.environ.get("CI"):
        pytest.skip("no Chromium is installed")
    assert found is not None, f"install one of {', '.join(_NAMES)}"
    return found


def open_page(page: Path, profile: Path, *flags: str) -> Opened:
    """Open a file, wait until it has loaded, and read its document."""
    done = subprocess.run(
        [
            chromium(),
            "--headless",
            "--no-sandbox",  # as root, in containers
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            *flags,
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=True,
    )
    return Opened(done.stdout, _CONSOLE.findall(done.stderr))
