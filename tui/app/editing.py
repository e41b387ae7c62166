"""Leaving the app for a while: the reader's editor at a line."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported


def open_editor(app: App[Any], path: str, line: int) -> str:
    """Open a file at a line; the sentence says what happened."""
    if not Path(path).is_file():
        return f"the file is not on this machine: {path or 'unknown'}"
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        with app.suspend():
            subprocess.run([*shlex.split(editor), f"+{line}", path], check=False)
    except (SuspendNotSupported, OSError) as error:
        return f"{editor} cannot be started here: {error}"
    return f"back from {Path(path).name}"
