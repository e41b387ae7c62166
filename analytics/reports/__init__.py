"""Reports as pages: one HTML file each, for a browser, a printer, a phone or an incident ticket.

A report is built as a `Page` of plain values (`run_report`, `fleet_report`) and then written
(`html_of`, `screenshot`). A page fetches nothing and runs nothing but its own
scripts, whatever the names and messages in it say. What it leaves out, it says.
"""

from __future__ import annotations

from analytics.reports.browser import BrowserError, NoBrowser, screenshot
from analytics.reports.fleet_report import fleet_report
from analytics.reports.rendering import html_of
from analytics.reports.run_facts import RunFacts, facts_in
from analytics.reports.run_report import run_report
from analytics.reports.words import Page

__all__ = [
    "BrowserError",
    "NoBrowser",
    "Page",
    "RunFacts",
    "facts_in",
    "fleet_report",
    "html_of",
    "run_report",
    "screenshot",
]
