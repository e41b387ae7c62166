"""Connections to Temporal servers that a user named.

Address, namespace, TLS and API key come from where Temporal's own command line takes them: its
environment variables and its configuration file. What was said on our command line wins.
"""

from __future__ import annotations

import asyncio
import re

from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile

_CONNECT_SECONDS = 10.0
_SYSTEM_WORDS = re.compile(r'(?:message|error): "([^"]+)"')


class ServerError(Exception):
    """No server was named, or the one that was does not answer."""


async def connect(address: str | None, namespace: str | None) -> Client:
    """Connect to a server.

    Args:
        address: `HOST:PORT`; from Temporal's environment variables or configuration when `None`.
        namespace: Likewise, and `default` where neither says.

    Raises:
        ServerError: No address is known, the configuration is damaged, or nobody answers there.
    """
    try:
        options = ClientConfigProfile.load().to_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise ServerError(f"Temporal's client configuration cannot be used: {error}") from error
    target = address or options.get("target_host")
    if not target:
        raise ServerError("no server is named; pass --address HOST:PORT or set TEMPORAL_ADDRESS")
    options["target_host"] = target
    if namespace:
        options["namespace"] = namespace
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await Client.connect(**options)
    except TimeoutError:
        raise ServerError(f"{target}: no answer within {_CONNECT_SECONDS:.0f} s") from None
    except (RuntimeError, ValueError, OSError) as error:
        raise ServerError(f"{target}: cannot connect: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Why, in the words of the system, where the SDK has them amid what it printed of itself."""
    lines = str(error).splitlines() or [type(error).__name__]
    told = _SYSTEM_WORDS.findall(lines[0])
    return told[-1] if told else lines[0]
