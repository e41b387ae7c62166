"""Leaving the app for a while: the reader's editor at a line, or another program of theirs."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported


def open_editor(app: App[Any], path: str, line: int) -> str:
    """Open a file at a line; the sentence says what happened."""
    if not Path(path).is_file():
        return f"the file is not on this machine: {path or 'unknown'}"
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    refused = run_outside(app, [*_words(editor), f"+{line}", path])
    return refused or f"back from {Path(path).name}"


def open_pager(app: App[Any], text: bytes) -> str:
    """Show a text in the reader's pager; the sentence says what went wrong, if anything did."""
    return run_outside(app, _words(os.environ.get("PAGER") or "less"), text)


def run_outside(app: App[Any], command: Sequence[str], text: bytes | None = None) -> str:
    """Run a program in the app's terminal; the sentence says what went wrong, if anything did."""
    refused: Exception | None = None
    try:
        with app.suspend():
            # An exception that left this block would leave the terminal to nobody.
            try:
                subprocess.run(command, input=text, check=False)
            except OSError as error:
                refused = error
    except SuspendNotSupported as error:
        refused = error
    return "" if refused is None else f"{command[0]} cannot be started here: {refused}"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command) or [command]
    except ValueError:  # A quotation mark has no second one: then it is a name with one.
        return [command]
