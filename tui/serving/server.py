"""A server of the app for one reader on this machine.

The app can run workflow code, so whoever reaches it can do what its owner can. It listens on
loopback only; its address has a token that works once and is exchanged for a cookie; requests with
another host or origin, as a page elsewhere would make them, are refused. The page loads nothing
from other hosts, and its policy (CSP) forbids it to.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from textual_serve.server import Server

HOST: Final = "127.0.0.1"
_COOKIE: Final = "retrospan"
_TEMPLATES: Final = Path(__file__).parent / "templates"


class LocalServer(Server):
    """Serves one command on loopback."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        """Prepare; `serve` starts it.

        Args:
            command: The app and its arguments.
            port: Where to listen.
        """
        super().__init__(
            shlex.join(command),
            host=HOST,
            port=port,
            title="Retrospan",
            templates_path=_TEMPLATES,
        )
        self._token: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self.public_url = f"http://{HOST}:{port}"

    @property
    def address(self) -> str:
        """Where a browser begins; works once."""
        return f"{self.public_url}/?token={self._token}"

    def initialize_logging(self) -> None:
        """Leave logging as it is: addresses with tokens belong in no log."""

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command tells where the app is."""

    async def make_app(self) -> web.Application:
        """The application, guarded."""
        return await self._make_app()

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard())
        return app

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._refusal(request)
            if refusal is not None:
                return refusal
            response = await handler(request)
            if not response.prepared:
                response.headers.update(self._headers())
            return response

        return guard

    def _refusal(self, request: web.Request) -> web.Response | None:
        """What is answered instead of the app; `None` for its owner."""
        known = {self.public_url, None}
        if request.headers.get("Host") != f"{HOST}:{self.port}":
            return web.Response(status=403, text="wrong host\n")
        if request.headers.get("Origin") not in known:
            return web.Response(status=403, text="wrong origin\n")
        given = request.cookies.get(_COOKIE, "")
        if secrets.compare_digest(given.encode(), self._session.encode()):
            return None
        token = request.query.get("token", "")
        if self._token and secrets.compare_digest(token.encode(), self._token.encode()):
            self._token = None
            response = web.Response(status=303, headers={"Location": "/"})
            response.set_cookie(_COOKIE, self._session, httponly=True, samesite="Strict")
            return response
        text = "open the address that `retrospan serve` printed; it works once\n"
        return web.Response(status=403, text=text)

    def _headers(self) -> dict[str, str]:
        socket = self.public_url.replace("http", "ws", 1)
        return {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
                f"font-src 'self'; img-src 'self' data:; connect-src 'self' {socket}; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
