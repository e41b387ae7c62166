"""The app in a browser: who gets in, and what the page may load."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, CookieJar, WSMsgType, web

from tests.tui.process import command
from tui.cli.commands.serve import _free
from tui.serving import LocalServer


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    server = LocalServer(command("tui", "tests"), _free(0))
    runner = web.AppRunner(await server.make_app())
    await runner.setup()
    await web.TCPSite(runner, server.host, server.port).start()
    yield server
    await runner.cleanup()


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield session


async def test_the_address_works_once(server: LocalServer, browser: ClientSession) -> None:
    address = server.address
    for path in ("/", "/ws", "/static/js/textual.js", "/download/x", "/?token=wrong"):
        async with browser.get(server.public_url + path) as refused:
            assert refused.status == 403, path
    async with browser.get(address) as page:
        assert page.status == 200
        assert "textual-terminal" in await page.text()
        assert "token" not in str(page.url)
    async with ClientSession() as other, other.get(address) as again:
        assert again.status == 403


async def test_pages_from_elsewhere_are_refused(
    server: LocalServer, browser: ClientSession
) -> None:
    async with browser.get(server.address) as page:
        assert page.status == 200
    for headers in ({"Origin": "http://evil.example"}, {"Host": f"evil.example:{server.port}"}):
        async with browser.get(server.public_url + "/ws", headers=headers) as refused:
            assert refused.status == 403


async def test_the_page_loads_from_this_server_alone(
    server: LocalServer, browser: ClientSession
) -> None:
    async with browser.get(server.address) as page:
        text = await page.text()
        policy = page.headers["Content-Security-Policy"]
    addresses = re.findall(r"(?:https?|wss?)://[\w.:-]+", text + policy)
    assert {each.partition("//")[2] for each in addresses} == {f"127.0.0.1:{server.port}"}
    assert "default-src 'none'" in policy
    for path in re.findall(r"http://127\.0\.0\.1:\d+(/static/[^\"]+)", text):
        async with browser.get(server.public_url + path) as part:
            assert part.status == 200, path


@pytest.mark.slow
async def test_the_app_runs_in_the_browser(server: LocalServer, browser: ClientSession) -> None:
    async with browser.get(server.address) as page:
        assert page.status == 200
    socket = f"{server.public_url}/ws?width=100&height=30"
    seen = b""
    async with browser.ws_connect(socket, origin=server.public_url) as app:
        async for message in app:
            if message.type is WSMsgType.BINARY:
                seen += message.data
            if b"quit" in seen:
                break
    assert b"quit" in seen
