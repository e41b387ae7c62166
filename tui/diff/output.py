"""Lines to stdout: folded and coloured on a terminal, whole and plain in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.text import Text

from tui.pieces import Line, Tone, folded, text_of

__all__ = ["write_lines"]

_STYLES: Final = {
    Tone.PLAIN: "",
    Tone.DIM: "dim",
    Tone.STRONG: "bold",
    Tone.GOOD: "green",
    Tone.BAD: "red",
    Tone.WARN: "yellow",
    Tone.NOTE: "cyan",
    Tone.KEYWORD: "magenta",
    Tone.LITERAL: "green",
    Tone.MATCH: "reverse",
}
_NARROWEST: Final = 20


def write_lines(lines: Iterable[Line]) -> None:
    """Write lines to stdout."""
    if not sys.stdout.isatty():
        for line in lines:
            sys.stdout.write(text_of(line).rstrip() + "\n")
        return
    console = Console(file=sys.stdout, highlight=False)
    width = max(console.width, _NARROWEST)
    for line in lines:
        for row in folded(line, width):
            # Text, not str: rich would read `[red]` in a plain string as markup.
            parts = [(each.text, _STYLES[each.tone]) for each in row]
            console.print(Text.assemble(*parts, no_wrap=True), soft_wrap=True)
