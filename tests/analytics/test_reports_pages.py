"""Reports in a real browser: on a phone, in the dark, on paper, and with hostile text in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.ingest import ingest
from analytics.questions import Scope
from analytics.reports import fleet_report, html_of, run_report, screenshot
from analytics.warehouse import open_warehouse
from tests.analytics.page_visit import Tab, tab
from tests.analytics.report_stories import EVIL, hostile, largest, telling
from tests.analytics.stories import failed_order, history_of, stuck_order
from tests.analytics.test_reports_run import facts_of
from tests.tui.browser import chromium

pytestmark = pytest.mark.slow

_WIDTHS = (360, 1280)
_LINKS_AWAY = """
[...document.querySelectorAll("a")].filter((a) => !a.getAttribute("href")?.startsWith("#")).length
"""
_ACTING = """
[...document.querySelectorAll("*")]
  .filter((each) => each.getAttributeNames().some((name) => name.startsWith("on"))).length
"""
_MADE_AT = "2026-01-01 00:00:00"


def written(folder: Path, html: str) -> Path:
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    return page


@pytest.fixture
def hostile_run(tmp_path: Path) -> Path:
    return written(tmp_path, html_of(run_report(facts_of(hostile())), EVIL))


@pytest.fixture
def hostile_fleet(made: Path, tmp_path: Path) -> Path:
    with open_warehouse(made) as warehouse:
        runs = [history_of(failed_order(), "run-2", "order-2"), history_of(stuck_order(), "run-3")]
        ingest(warehouse, [telling(), hostile(1), hostile(2), *runs])
    page = fleet_report(made, Scope())
    assert page.counts["runs"] == 5
    return written(tmp_path, html_of(page, EVIL))


async def nothing_but_the_page(opened: Tab, page: Path) -> None:
    """It loaded itself and nothing else, said nothing, and nothing in it came alive."""
    assert opened.problems == []
    assert {address.partition("#")[0] for address in opened.requests} == {page.as_uri()}
    assert await opened.value("document.title.includes('Retrospan')")
    assert (
        await opened.value("document.querySelectorAll('img, base, form, iframe, object').length")
        == 0
    )
    assert await opened.value(_LINKS_AWAY) == 0
    assert await opened.value(_ACTING) == 0


@pytest.mark.parametrize("kind", ["hostile_run", "hostile_fleet"])
async def test_hostile_text_shows_and_does_nothing(
    kind: str, request: pytest.FixtureRequest
) -> None:
    page = request.getfixturevalue(kind)
    async with tab() as opened:
        for width in _WIDTHS:
            assert await opened.open(page, width=width, dark=width == 360) == "yes"
            await nothing_but_the_page(opened, page)
            assert await opened.value("document.documentElement.scrollWidth") <= width
            drawn = "document.querySelectorAll('.chart .main-svg').length"
            charts = await opened.value("document.querySelectorAll('.chart').length")
            assert await opened.value(drawn) >= charts > 0
        shown = await opened.value("document.body.innerText")
        assert "document.title='owned'" in shown
        assert "{{ 7 * 7 }}" in shown
        labels = await opened.value(
            "[...document.querySelectorAll('.chart text')].map((e) => e.textContent).join()"
        )
        assert "</script><script>" in labels
        assert (await opened.print()).startswith(b"%PDF-")
        await nothing_but_the_page(opened, page)


async def test_charts_fit_paper_and_folded_text_is_unfolded(tmp_path: Path) -> None:
    page = written(tmp_path, html_of(run_report(facts_of(history_of(failed_order()))), _MADE_AT))
    async with tab() as opened:
        await opened.open(page, width=1280)
        assert await opened.value("document.querySelectorAll('details:not([open])').length") > 0
        await opened.ask("Emulation.setEmulatedMedia", media="print")
        await opened.value("dispatchEvent(new Event('beforeprint'))")
        assert await opened.value("document.querySelectorAll('details:not([open])').length") == 0
        assert await opened.value("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        assert (
            await opened.value("document.querySelector('.main-svg').viewBox.baseVal.width") == 680
        )
        assert opened.problems == []


async def test_without_scripts_the_tables_tell_everything(tmp_path: Path) -> None:
    page = written(tmp_path, html_of(run_report(facts_of(telling())), _MADE_AT))
    async with tab() as opened:
        await opened.open(page)
        before = await opened.value("document.querySelectorAll('tbody tr').length")
        await opened.ask("Emulation.setScriptExecutionDisabled", value=True)
        loaded = opened.session.subscribe_once("Page.loadEventFired")
        await opened.ask("Page.reload")
        await loaded
        await opened.ask("Emulation.setScriptExecutionDisabled", value=False)
        assert await opened.value("document.querySelectorAll('tbody tr').length") == before > 5
        assert "scripts" in await opened.value("document.querySelector('noscript').innerText")


async def test_the_largest_run_opens(tmp_path: Path) -> None:
    page = written(tmp_path, html_of(run_report(facts_of(largest())), _MADE_AT))
    async with tab() as opened:
        assert await opened.open(page, width=360) == "yes"
        assert opened.problems == []
        assert await opened.value("document.documentElement.scrollWidth") <= 360
        assert "Left out" in await opened.value("document.querySelector('.left-out').innerText")


def test_a_picture_of_the_card(tmp_path: Path) -> None:
    chromium()
    page = written(tmp_path, html_of(run_report(facts_of(hostile())), _MADE_AT))
    png = tmp_path / "report.png"
    screenshot(page, png, dark=True)
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(data[at : at + 4]) for at in (16, 20))
    assert width == 2 * 1120
    assert 800 < height < 8_000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.html", "report.png"]
