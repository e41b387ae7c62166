"""Copying to the clipboard, by whatever works here; it always says what happened.

A terminal's own clipboard sequence (OSC 52) is not answered: nobody knows whether it worked, and
long texts are cut by many terminals. So a program of the desktop comes first, and for what is too
long a file comes last.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tui import figures, memory
from tui.processes import see_end_of

if TYPE_CHECKING:
    from textual.app import App

_PROGRAMS: Sequence[tuple[str, Sequence[str]]] = (
    ("", ("pbcopy",)),
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
)
"""The variable that must be set for it to make sense, and the command."""
_SEQUENCE_BYTES = 70_000
_PATIENCE_SECONDS = 5.0


async def copy(app: App[Any], text: str) -> str:
    """Copy a text; the sentence says where it is now."""
    data = text.encode(errors="replace")
    size = figures.size(len(data))
    for variable, command in _PROGRAMS:
        if (variable and not os.environ.get(variable)) or not shutil.which(command[0]):
            continue
        if await _piped(command, data):
            return f"copied {size} with {command[0]}"
    if len(data) <= _SEQUENCE_BYTES:
        app.copy_to_clipboard(text)
        return f"sent {size} to the terminal's clipboard, if it has one (tmux: set-clipboard on)"
    path = memory.state_folder() / "copied.txt"
    try:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_bytes, data)
    except OSError as error:
        return f"{size} are too long for the terminal, and not saved: {error}"
    return f"{size} are too long for the terminal's clipboard: saved in {path}"


async def _piped(command: Sequence[str], data: bytes) -> bool:
    nowhere = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=nowhere, stderr=nowhere
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(data), _PATIENCE_SECONDS)
        return process.returncode == 0
    except TimeoutError:
        return False
    finally:
        await see_end_of(process)
