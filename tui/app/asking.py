"""Asking the command line from within the app: the same commands, the same answers.

A command runs in a process of its own, as a user would run it in another terminal: the app waits
for nothing, and what a command loads or locks is not the app's. What it prints is outside text.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path
from typing import Final

from tui.pieces import Line, Tone, piece
from tui.processes import see_end_of

_MOST_BYTES: Final = 1 << 20


def arguments_of(verb: str, argument: str, warehouse: Path) -> list[str]:
    """A command line, from what follows the verb.

    Raises:
        ValueError: A quotation mark has no second one.
    """
    # A query is one argument, whatever is in it.
    words = [argument] if verb == "sql" else shlex.split(argument)
    return [verb, *words, "--warehouse", str(warehouse)]


async def answer(arguments: list[str]) -> list[Line]:
    """What a command prints, to the reader's screen or about its failure.

    Args:
        arguments: As for `retrospan`.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    printed = b""
    try:
        while len(printed) < _MOST_BYTES and (more := await process.stdout.read(1 << 16)):
            printed += more
        if process.stdout.at_eof():
            await process.wait()
    finally:
        await see_end_of(process)
    is_fine = process.returncode in (0, 1) or len(printed) >= _MOST_BYTES
    tone = Tone.PLAIN if is_fine else Tone.BAD
    lines: list[Line] = [
        (piece(line, tone),) for line in printed.decode(errors="replace").splitlines()
    ]
    if len(printed) >= _MOST_BYTES:
        lines.append((piece("… and more: `retrospan` in a terminal prints it all", Tone.WARN),))
    return lines or [(piece("It printed nothing.", Tone.DIM),)]
