"""The MCP server of the support desk, as a worker uses it.

Owns the server's process: it starts with the first call, serves all calls of the worker, and ends
with the worker. A server that died is replaced at the next call; the failed call itself is not
repeated here, because Temporal retries it and the attempt must be seen.
"""

import asyncio
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp_types import CONNECTION_CLOSED, TextContent

from examples.support_triage.models import Tool, ToolResult

SERVER = StdioServerParameters(
    command=sys.executable,
    # -P keeps the folder of the file off the server's import path.
    args=["-P", str(Path(__file__).with_name("mcp_server.py"))],
)
CALL_SECONDS = 30.0


class ToolboxError(Exception):
    """The MCP server cannot be started or was lost; another try may work."""


class Toolbox:
    """Tools of one MCP server over stdio; use it as an async context manager."""

    def __init__(self, server: StdioServerParameters = SERVER) -> None:
        self._server = server
        self._session: _Session | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def list_tools(self) -> list[Tool]:
        """The tools that the server offers.

        Raises:
            ToolboxError: The server cannot be reached.
        """
        session = self._live_session()
        try:
            listed = await (await session.client()).list_tools()
        except MCPError as error:
            raise await self._explained(session, error) from error
        return [Tool(t.name, t.description or "", t.input_schema) for t in listed.tools]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Call a tool; an error of the tool itself is a result, for the model to read.

        Raises:
            ToolboxError: The server cannot be reached.
        """
        session = self._live_session()
        try:
            result = await (await session.client()).call_tool(name, arguments)
        except MCPError as error:
            raise await self._explained(session, error) from error
        texts = [block.text for block in result.content if isinstance(block, TextContent)]
        return ToolResult("\n".join(texts), result.is_error)

    def _live_session(self) -> "_Session":
        if self._session is None or self._session.over:
            self._session = _Session(self._server)
        return self._session

    async def _explained(self, session: "_Session", error: MCPError) -> ToolboxError:
        if error.code == CONNECTION_CLOSED:
            await session.close()
        return ToolboxError(f"the MCP server failed: {error.message}")


class _Session:
    """One server process.

    A task of its own opens and closes it: the client's cancel scopes must be left by the task
    that entered them, while calls come from any activity.
    """

    def __init__(self, server: StdioServerParameters) -> None:
        self._opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._hold(server))

    @property
    def over(self) -> bool:
        """True when the server is gone, or about to be stopped."""
        return self._stop.is_set() or self._task.done()

    async def client(self) -> Client:
        """The connected client.

        Raises:
            ToolboxError: The server did not start.
        """
        # Shielded: a cancelled caller must not cancel the start that others wait for.
        return await asyncio.shield(self._opened)

    async def close(self) -> None:
        """Stop the server and wait until it is gone."""
        self._stop.set()
        await asyncio.wait([self._task])

    async def _hold(self, server: StdioServerParameters) -> None:
        # A replaced sys.stderr may have no file descriptor for the server to inherit.
        transport = stdio_client(server, errlog=sys.__stderr__ or sys.stderr)
        try:
            async with Client(transport, read_timeout_seconds=CALL_SECONDS) as client:
                self._opened.set_result(client)
                await self._stop.wait()
        except (OSError, MCPError, ExceptionGroup) as error:
            if not self._opened.done():
                reason = f"the MCP server {server.command} did not start: {_innermost(error)}"
                self._opened.set_exception(ToolboxError(reason))


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
