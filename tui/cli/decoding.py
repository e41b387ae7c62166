"""Payloads decoded by a codec server, where a command was given one and the server answers."""

from __future__ import annotations

import asyncio

from replayer.history import CodecError, CodecServer, RunHistory, decoded_history
from tui.cli.diagnostics import warn

__all__ = ["decoded"]


def decoded(history: RunHistory, codec: CodecServer | None, done: str) -> RunHistory:
    """The history with decoded payloads; as recorded, with a warning, if the server fails.

    Args:
        history: The run.
        codec: As `codec_option` passes it.
        done: What the command does with payloads, for the warning, such as `shown`.
    """
    if codec is None:
        return history
    try:
        return asyncio.run(decoded_history(history, codec))
    except CodecError as error:
        warn(f"payloads are {done} as recorded: {error}")
        return history
